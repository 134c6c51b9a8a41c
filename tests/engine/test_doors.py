"""Every door of the engine and every kind of value: what fits comes back equal, what doesn't is refused by its code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from agentflow.data import decode
from agentflow.definition.models import Step
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import AgentflowError, StepError
from agentflow.steps import set_, wait_for_event, wait_for_input
from agentflow.steps.contract import Artifact, Context, EventWait, Park, Result, Timer, Wait
from tests.engine.lab import Lab
from tests.values import CONVERTED, FITS, UNFIT

pytestmark = pytest.mark.anyio
Try = Callable[["Trial"], Awaitable[Any]]


@dataclass
class Trial:
    """One door: its steps, and how a value goes through it and back."""

    lab: Lab
    value: Any = None
    came: list[Any] = field(default_factory=list[Any])
    engine: Engine = field(init=False)

    async def start(self, given: Any = None, **options: Any) -> Run:
        return await self.engine.start("main", given, **options)

    async def done(self, run: Run | None = None) -> Any:
        """Wait for a run; a failure of it is raised."""
        done = await self.lab.finish(self.engine, run or await self.start())
        if done.run.failure is not None:
            raise AgentflowError(done.run.failure.message, code=done.run.failure.code)
        return done

    async def wait_of(self, run: Run) -> Any:
        await self.done(run)
        return (await self.engine.waits(run.id))[0]


def step(trial: Trial, act: Callable[[Context], Any]) -> Step:
    return trial.lab.call("a", act)


async def by_input(trial: Trial) -> Any:
    return (await trial.done(await trial.start({} if trial.value is None else trial.value))).run.input


async def by_message(trial: Trial) -> Any:
    run = await trial.start(message={"v": trial.value})
    found = await trial.engine.store.get_run(run.id)
    assert found is not None
    return decode(found.start_message or b"")["v"]


async def by_retry(trial: Trial) -> Any:
    run = (await trial.done()).run
    new = await trial.engine.retry(run.id, "a", input={} if trial.value is None else trial.value)
    assert isinstance(new, Run)
    return (await trial.done(new)).run.input


async def by_answer(trial: Trial) -> Any:
    run = await trial.start()
    wait = await trial.wait_of(run)
    try:
        await trial.engine.resume(wait.id, Answer(trial.value))
    except AgentflowError:
        assert [open_.id for open_ in await trial.engine.waits(run.id)] == [wait.id]
        raise
    return (await trial.done(run)).output


async def by_event(trial: Trial) -> Any:
    run = await trial.start()
    await trial.wait_of(run)
    await trial.engine.publish("t", trial.value)
    return (await trial.done(run)).output


async def by_own_event(trial: Trial) -> Any:
    await trial.done()
    return (await trial.done(await trial.start())).output


async def output(trial: Trial) -> Any:
    return (await trial.done()).output


async def arrived(trial: Trial) -> Any:
    trial.came.clear()
    await trial.done()
    return trial.came[-1]


async def by_artifact(trial: Trial) -> Any:
    run = (await trial.done()).run
    return (await trial.engine.store.artifacts(run.id))[-1]["parts"][0]["data"]


async def by_message_sent(trial: Trial) -> Any:
    done = await trial.done()
    return next(event.data["parts"][0]["data"] for event in done.events if event.type == "message")


async def by_default(trial: Trial) -> Any:
    return (await trial.wait_of(await trial.start())).default


async def by_details(trial: Trial) -> Any:
    return (await trial.wait_of(await trial.start())).details["d"]["v"]


async def by_filter(trial: Trial) -> Any:
    await trial.wait_of(await trial.start())
    return trial.value


async def by_failure(trial: Trial) -> Any:
    done = await trial.lab.finish(trial.engine, await trial.start())
    assert done.errors["a"].code == "AF-MINE"
    return done.errors["a"].data["v"]


def saving(trial: Trial) -> Callable[[Context], Awaitable[Any]]:
    async def act(ctx: Context) -> Any:
        await ctx.save(trial.value)
        [row] = await trial.engine.steps(ctx.run_id)
        trial.came.append(decode(row.memo or b"null")["saved"])

    return act


def parking(trial: Trial) -> Callable[[Context], Any]:
    def act(ctx: Context) -> Any:
        if ctx.state is None and not trial.came:
            trial.came.append(None)
            return Park(Timer(ctx.now()), state=trial.value, then="enter")
        trial.came.append(ctx.state)
        return Result(None)

    return act


def publishing(trial: Trial) -> Callable[[Context], Awaitable[int]]:
    async def act(ctx: Context) -> int:
        return await ctx.publish("t", trial.value)

    return act


def failing(trial: Trial) -> Callable[[Context], None]:
    def act(ctx: Context) -> None:
        raise StepError("no", code="AF-MINE", data={"v": trial.value})

    return act


def _artifact(trial: Trial) -> Callable[[Context], Awaitable[None]]:
    return lambda ctx: ctx.artifact(Artifact("id", parts=({"data": trial.value},)))


def _message(trial: Trial) -> Callable[[Context], None]:
    return lambda ctx: ctx.message([{"data": trial.value}])


@dataclass(frozen=True)
class Door:
    """What is known of a door."""

    code: str
    steps: Callable[[Trial], list[Step]]
    through: Try
    around: int = 0
    """Levels that it puts around a value."""
    fields: dict[str, Any] = field(default_factory=dict[str, Any])


def one(act: Callable[[Trial], Callable[[Context], Any]]) -> Callable[[Trial], list[Step]]:
    return lambda trial: [step(trial, act(trial))]


def idle(_: Trial) -> list[Step]:
    return [set_("a", value=1)]


def reducing(trial: Trial) -> list[Step]:
    trial.lab.functions["lab:f0"] = reducer(trial)
    return [set_("a", value=1, update={"k": 1}), set_("b", value="{context.k}")]


def reducer(trial: Trial) -> Callable[[Any, Any], Any]:
    return lambda old, new: trial.value


REDUCED = {"k": {"default": None, "reducer": "lab:f0"}}
DOORS = {
    "a run's input": Door("AF-INPUT-INVALID", idle, by_input),
    "a retry's input": Door("AF-INPUT-INVALID", idle, by_retry),
    "a run's message": Door("AF-INPUT-INVALID", idle, by_message, 1),
    "an answer": Door("AF-WAIT-INVALID", lambda _: [wait_for_input("a", message="m")], by_answer),
    "an event": Door("AF-EVENT-INVALID", lambda _: [wait_for_event("a", topic="t")], by_event),
    "a step's event": Door(
        "AF-EVENT-INVALID",
        lambda trial: [step(trial, publishing(trial)), wait_for_event("b", topic="t")],
        output,
    ),
    "a result": Door("AF-RESULT-INVALID", one(lambda trial: lambda ctx: trial.value), output),
    "a saved state": Door("AF-RESULT-INVALID", one(saving), arrived),
    "a parked state": Door("AF-RESULT-INVALID", one(parking), arrived),
    "an artifact": Door("AF-RESULT-INVALID", one(_artifact), by_artifact, 3),
    "a message": Door("AF-RESULT-INVALID", one(_message), by_message_sent, 3),
    "a wait's default": Door(
        "AF-WAIT-INVALID",
        one(lambda trial: lambda ctx: Park(Wait("input", "m", default=trial.value))),
        by_default,
    ),
    "a wait's details": Door(
        "AF-WAIT-INVALID",
        one(lambda trial: lambda ctx: Park(Wait("input", "m", details={"d": {"v": trial.value}}))),
        by_details,
        2,
    ),
    "a wait's filter": Door(
        "AF-WAIT-INVALID",
        one(lambda trial: lambda ctx: Park(EventWait("t", filter={"d": trial.value}))),
        by_filter,
        1,
    ),
    "what a reducer returns": Door(
        "AF-RESULT-INVALID",
        reducing,
        output,
        fields={"context": REDUCED},
    ),
    "a failure's details": Door("", one(failing), by_failure, 1),
}


def given(around: int) -> dict[str, tuple[Any, Any]]:
    """Return what fits through a door that puts some levels around it: name → what is given, what is kept."""
    plain = {name: (value, value) for name, value in FITS.items()} | CONVERTED
    if around:
        plain = {name: pair for name, pair in plain.items() if "deep" not in name}
    return plain


async def _read_all(engine: Engine) -> None:
    """Read all that there is: nothing of it may be unreadable."""
    for run in await engine.list():
        await engine.get(run.id)
        assert all(decode(row.result) is not ... for row in await engine.steps(run.id) if row.result is not None)
        assert all(event.data != {"unreadable": True} for event in await engine.store.events(run.id, 0, 500, False))
    await engine.waits()


@pytest.mark.parametrize("name", DOORS)
async def test_what_fits_comes_back_equal_and_what_doesnt_is_refused_by_the_doors_code(lab: Lab, name: str) -> None:
    door, trial = DOORS[name], Trial(lab)
    async with lab.open(lab.workflow(*door.steps(trial), **door.fields)) as engine:
        trial.engine = engine
        for what, (value, kept) in given(door.around).items():
            trial.value = value
            trial.came.clear()
            back = await door.through(trial)
            expected: Any = value if door.through is by_filter else kept
            if value is None and "input" in name:
                expected = {}
            assert (back, type(back)) == (expected, type(expected)), what
        before = len(await engine.list())
        for what, value in UNFIT.items():
            trial.value = value
            trial.came.clear()
            if not door.code:
                assert str(await door.through(trial)).startswith("(can't be kept: "), what
                continue
            with pytest.raises(AgentflowError) as caught:
                await door.through(trial)
            assert caught.value.code == door.code, what
        if door.through in (by_input, by_message):
            assert len(await engine.list()) == before
        await _read_all(engine)
