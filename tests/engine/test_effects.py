"""A commit that is refused has touched nothing: no worker is interrupted, no process is ended, nobody is told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agentflow import faultpoints
from agentflow.definition.models import Step, Workflow
from agentflow.engine import Decline, Engine, Run
from agentflow.engine.exchange import Executing
from agentflow.engine.host.flush import Work
from agentflow.engine.host.queue import Input
from agentflow.engine.plan import commands
from agentflow.errors import StoreError
from agentflow.steps import parallel, set_, step, wait_for_input
from agentflow.steps.contract import Context, Result, StepType
from agentflow.steps.registry import register
from agentflow.store.acknowledgement import Fenced
from agentflow.store.rows import RunChange
from agentflow.testing.faults import doom
from tests.engine.hands import Fails, Gate, by_hand
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

ONE: Any = {"key": "the one", "limit": 1}


@dataclass
class Outside:
    """What a run has done outside, and what its worker is to do next."""

    gate: Gate = field(default_factory=lambda: Gate("done"))
    act: Callable[[Context], Awaitable[None]] | None = None
    """What the worker does when the gate is open."""
    reaped: list[Any] = field(default_factory=list[Any])
    told: int = 0
    """Commits that others have heard of."""

    def touched(self) -> tuple[int, int, int]:
        """Return how many workers were interrupted, processes ended, commits told."""
        return self.gate.interrupted, len(self.reaped), self.told


outside: list[Outside] = []


class Nothing(BaseModel):
    """No fields."""


async def _hold(_config: Nothing, ctx: Context) -> Result:
    here = outside[-1]
    if here.gate.entered == 0:
        await ctx.save("a process")
    value = await here.gate()
    if here.act is not None:
        await here.act(ctx)
    return Result(value)


def _reap(saved: Any) -> None:
    outside[-1].reaped.append(saved)


register(StepType("effects_hold", Nothing, execute=_hold, reap=_reap))


@pytest.fixture(autouse=True)
def here() -> Outside:
    outside[:] = [Outside()]
    return outside[-1]


class Refusal:
    """Refuses one commit, and notes what was touched when it was asked for, and when it was refused."""

    def __init__(self, engine: Engine, here: Outside) -> None:
        self._engine = engine
        self._here = here
        self.kinds: set[type[Any]] = set()
        """Commands of the transitions that were refused."""
        self.touched: list[tuple[int, int, int]] = []
        self.event = anyio.Event()

    def __call__(self, point: str) -> None:
        """Refuse the commit that is about to be done, if none was."""
        flush = self._engine.core.transactor.committing
        if point != "before-commit" or self.event.is_set() or flush is None:
            return
        self.kinds |= {type(item.command if isinstance(item, Input) else item) for item in flush.held}
        self.touched.append(self._here.touched())
        self.event.set()
        raise StoreError("the disk is full", code="AF-STORE-FULL")

    async def wait(self) -> None:
        """Return when it has been refused, and everybody has done what follows from that."""
        with anyio.fail_after(LIMIT):
            await self.event.wait()
        await anyio.wait_all_tasks_blocked()
        self.touched.append(self._here.touched())


@contextmanager
def refusing(engine: Engine, here: Outside) -> Generator[Refusal]:
    """Refuse the next commit."""
    engine.core.committer.on_commit.append(lambda _, __: setattr(here, "told", here.told + 1))
    refusal = Refusal(engine, here)
    faultpoints.enable(refusal)
    try:
        yield refusal
    finally:
        faultpoints.enable(None)


Cause = Callable[[Engine, Run, Outside], Awaitable[object]]


@dataclass(frozen=True)
class Scene:
    """A transition: what causes it, and what it does outside when it is committed."""

    command: type[Any]
    cause: Cause
    steps: tuple[Step, ...] = ()
    """Beside the one that is being executed."""
    interrupts: int = 0
    state: str = "completed"

    def workflow(self, lab: Lab) -> Workflow:
        """Return the workflow: a worker is inside one of its steps, and whatever fails stops that."""
        inner = (step("hold", "effects_hold", {}), *self.steps)
        box = parallel("box", steps=list(inner), timeout=3600, on_error_siblings="cancel")
        return lab.workflow(box, on_error_siblings="cancel")


def broken() -> None:
    raise ValueError("broken")


async def _lets(act: Callable[[Context], Awaitable[None]], here: Outside) -> None:
    """Let the worker do something."""
    here.act = act
    here.gate.open()


async def _logs(ctx: Context) -> None:
    ctx.log("said")
    await anyio.Event().wait()


async def _saves(ctx: Context) -> None:
    with suppress(StoreError):
        await ctx.save("another")


async def _due(engine: Engine) -> None:
    clock: Any = engine.core.env.clock
    clock.advance(3600)


WAIT = wait_for_input("w", message="?", execution="parallel")
SCENES = {
    "answer": Scene(
        commands.Answer, lambda engine, run, _: engine.resume(run.id, Decline()), (WAIT,), interrupts=1, state="failed"
    ),
    "cancel": Scene(commands.Cancel, lambda engine, run, _: engine.cancel(run.id), interrupts=1, state="canceled"),
    "pause": Scene(commands.Pause, lambda engine, run, _: engine.pause(run.id)),
    "timer": Scene(commands.TimerFired, lambda engine, _, __: _due(engine), interrupts=1, state="failed"),
    "note": Scene(commands.Note, lambda _, __, here: _lets(_logs, here), state="canceled"),
    "saved": Scene(commands.Saved, lambda _, __, here: _lets(_saves, here)),
    "begin": Scene(commands.Begin, lambda engine, _, __: engine.start("other")),
}


@asynccontextmanager
async def executing(lab: Lab, scene: Scene, here: Outside, **options: Any) -> AsyncGenerator[tuple[Engine, Run]]:
    """Open an engine that executes a step of a run, and does nothing else."""
    other = lab.workflow(set_("a", value=1), id="other")
    async with lab.open(scene.workflow(lab), other, **options) as engine:
        run = await engine.start("main")
        await here.gate.inside()
        await anyio.wait_all_tasks_blocked()
        yield engine, run


@pytest.mark.parametrize("name", SCENES)
async def test_a_refused_transition_touches_nothing_and_is_done_again(lab: Lab, here: Outside, name: str) -> None:
    scene = SCENES[name]

    async def causes(engine: Engine, run: Run) -> None:
        with suppress(StoreError):  # who waits for it is told; the store knows nothing of it
            await scene.cause(engine, run, here)

    async with executing(by_hand(lab), scene, here) as (engine, run), anyio.create_task_group() as group:
        with refusing(engine, here) as refusal:
            group.start_soon(causes, engine, run)
            await refusal.wait()
        assert (scene.command in refusal.kinds, refusal.touched) == (True, [(0, 0, 0)] * 2)
        await engine.core.mailbox.take_inbox()
        await until_calm(engine)
        if name == "pause":
            await engine.unpause(run.id)
        if name == "note":
            await engine.cancel(run.id)
        if not scene.interrupts:
            here.gate.open()
        done = await lab.finish(engine, run)
        assert (done.state, here.gate.interrupted, here.reaped) == (scene.state, scene.interrupts, [])


async def test_a_refused_outcome_stops_no_sibling(lab: Lab, here: Outside) -> None:
    door = Gate()

    async def fails() -> None:
        await door()
        broken()

    scene = Scene(commands.Outcome, lambda _, __, ___: door(), (lab.call("fails", fails, execution="parallel"),))
    async with executing(lab, scene, here) as (engine, run):
        await door.inside()
        with refusing(engine, here) as refusal:
            door.open()
            await refusal.wait()
        assert (refusal.kinds, refusal.touched) == ({commands.Outcome}, [(0, 0, 0)] * 2)
        done = await lab.finish(engine, run)
    assert (done.state, here.gate.interrupted) == ("failed", 1)


async def test_a_refused_takeover_ends_no_process(lab: Lab, here: Outside, tmp_path: Path) -> None:
    scene, path = Scene(commands.Touch, lambda _, __, ___: anyio.lowlevel.checkpoint()), tmp_path / "runs.db"
    async with executing(lab, scene, here, store=path) as (engine, run):
        doom(engine)
    before, here.gate = here.gate.entered, Gate("done")
    here.gate.entered = before
    here.gate.open()
    async with lab.open(scene.workflow(lab), store=path, host="own") as engine:
        with refusing(engine, here) as refusal:
            with pytest.raises(StoreError):
                await engine.adopt(run.id)
            await refusal.wait()
        assert (refusal.kinds, refusal.touched) == ({commands.Touch}, [(0, 0, 0)] * 2)
        await until_calm(engine)
        await engine.adopt(run.id)
        done = await lab.finish(engine, run)
    assert (done.state, here.reaped, here.gate.entered) == ("completed", ["a process"], before + 1)


async def test_a_slot_that_is_given_by_a_refused_commit_is_given_to_nobody(lab: Lab) -> None:
    first, second = Gate(1), Gate(2)
    here = outside[-1]
    flows = [
        lab.workflow(lab.call("a", gate, concurrency=ONE), id=name)
        for name, gate in {"first": first, "second": second}.items()
    ]
    async with lab.open(*flows) as engine:
        runs = [await engine.start(flow.id) for flow in flows]
        await first.inside()
        await anyio.wait_all_tasks_blocked()
        with refusing(engine, here) as refusal:
            first.open()
            await refusal.wait()
            assert (second.entered, here.told) == (0, 0)
        second.open()
        outputs = [(await lab.finish(engine, run)).output for run in runs]
    assert (outputs, first.entered, second.entered) == ([1, 2], 1, 1)


async def test_a_step_that_was_to_be_stopped_before_it_began_goes_on_when_that_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, planned, refuse = Gate(), anyio.Event(), anyio.Event()
    flow = lab.workflow(lab.call("a", Fails(0, "done"), at_most_once=True))
    async with lab.open(flow) as engine, anyio.create_task_group() as group:
        core, perform, write = engine.core, engine.core.performer.perform, engine.core.committer.write

        async def slowly(work: Work, lease: Executing) -> Sequence[Work]:
            await begins()
            return await perform(work, lease)

        async def refused(changes: Sequence[RunChange]) -> Sequence[Fenced]:
            monkeypatch.setattr(core.committer, "write", write)
            planned.set()
            await refuse.wait()
            raise StoreError("the disk is full", code="AF-STORE-FULL")

        async def cancels(root: int) -> None:
            with pytest.raises(StoreError):
                await core.mailbox.apply(root, commands.Cancel(root, {"by": "local"}, 0))

        monkeypatch.setattr(core.performer, "perform", slowly)
        run = await engine.start("main")
        await begins.inside()
        await until_calm(engine)
        monkeypatch.setattr(core.committer, "write", refused)
        group.start_soon(cancels, core.cache.keys[run.id])
        with anyio.fail_after(LIMIT):
            await planned.wait()
        begins.open()
        await anyio.wait_all_tasks_blocked()
        refuse.set()
        done = await lab.finish(engine, run)
        assert (done.state, done.output, done.tries) == ("completed", "done", {"a": 1})


async def until_calm(engine: Engine) -> None:
    """Return when nothing is left to be carried out; steps may be at work."""
    with anyio.fail_after(LIMIT):
        while engine.core.queue.items or engine.core.transactor.committing is not None:
            await anyio.lowlevel.checkpoint()
