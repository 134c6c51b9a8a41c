"""No secret reaches what is stored or logged, by whatever door and in whatever spelling it comes."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from agentflow.definition.models import Step
from agentflow.engine import Answer
from agentflow.errors import StepError
from agentflow.redaction import HIDDEN
from agentflow.steps import agent_run, saga, script, sequence, set_, step, step_type, tool_call, workflow
from agentflow.steps.contract import AgentAsks, Artifact, Context, EventWait, Park, Skip, Wait
from agentflow.testing.clock import FakeClock
from tests.engine.lab import Lab
from tests.spelled import SPELLINGS

pytestmark = pytest.mark.anyio

CANARY = "Canary \"q'ö\\x/0815-canary"
TEXTS = [f"{name}: {spell(CANARY)}." for name, spell in SPELLINGS.items()]
ALL = "\n".join(TEXTS)
LONG = "".join(f"k{n:03}-" for n in range(80))
TOOLS: dict[str, Any] = {}
AGENTS: dict[str, Any] = {}


class Checked(BaseModel):
    """Fields of a step type whose validator tells too much."""

    model_config = ConfigDict(extra="forbid")
    value: Any = None

    @field_validator("value")
    @classmethod
    def _told(cls, value: Any) -> Any:
        if value == "bad":
            raise ValueError(ALL)
        if value == "missing":
            raise KeyError(ALL)
        return value


@step_type("secrets_told", config=Checked)
async def _checked(_config: Checked, _ctx: Context) -> Any:
    return Skip(ALL)


def raises(make: Callable[[], BaseException]) -> Callable[[], None]:
    """Return a function that raises."""

    def fails() -> None:
        raise make()

    return fails


def _noted() -> BaseException:
    error = RuntimeError("noted")
    error.add_note(ALL)
    return error


def _caused() -> BaseException:
    error = RuntimeError("caused")
    error.__cause__ = LookupError(ALL)
    return error


async def _saves(ctx: Context) -> None:
    await ctx.save({"state": TEXTS, ALL: 1})


async def _publishes(ctx: Context) -> None:
    await ctx.publish("told", {"data": TEXTS, ALL: 1})


def _logs(ctx: Context) -> None:
    ctx.log(ALL)


def _logs_much(ctx: Context) -> None:
    ctx.log("x" * 9_990 + ALL)


def _progresses(ctx: Context) -> None:
    ctx.progress(0.5, ALL)


def _says(ctx: Context) -> None:
    ctx.status(ALL)


def _is_canary(x: str) -> bool:
    return x == CANARY


def _sends(ctx: Context) -> None:
    ctx.message([{"text": ALL}, {"data": {"x": TEXTS}}], {"meta": TEXTS})


async def _adds(ctx: Context) -> None:
    parts = ({"text": ALL}, {"data": {"x": TEXTS}})
    await ctx.artifact(Artifact(TEXTS[0], name=ALL, description=ALL, parts=parts, metadata={"m": TEXTS}))


def _asks() -> Park:
    schema = {"type": "object", "description": ALL, "properties": {"x": {"enum": [*TEXTS]}}}
    return Park(Wait("input", ALL, schema, details={"d": TEXTS}), state={"s": TEXTS})


def _asks_with_default() -> Park:
    return Park(Wait("tool", "?", timeout=5, default={"d": TEXTS}, details={"tool_name": "t", "input": TEXTS}))


def _waits() -> Park:
    return Park(EventWait("topic", message=ALL, default=TEXTS, timeout=5), then="enter", state=TEXTS)


def _waits_for_a_secret() -> Park:
    return Park(EventWait("topic", filter={"token": CANARY}))


def _reduce(_old: Any, _new: Any) -> Any:
    return TEXTS


def _reduce_in_vain(_old: Any, _new: Any) -> Any:
    raise RuntimeError(ALL)


class Provider:
    """Tools and agents that tell too much."""

    async def call(self, tool: str, arguments: Any, ctx: Context) -> Any:
        """Fail."""
        raise RuntimeError(ALL)

    async def run(self, turn: Any, ctx: Context) -> Any:
        """Ask."""
        return AgentAsks(Wait("input", ALL), {"state": TEXTS})

    async def answer(self, turn: Any, state: Any, answer: Any, ctx: Context) -> Any:
        """Answer."""
        return {"texts": TEXTS}


PRINT = 'cat "$FILE"'
FILE = {"FILE": "{input.file}"}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "result": lambda: {"list": TEXTS, ALL: 1, "deep": [{"x": (TEXTS, 5)}]},
    "exception": raises(lambda: RuntimeError(ALL)),
    "exception with arguments": raises(lambda: KeyError(*TEXTS)),
    "exception with notes": raises(_noted),
    "exception with a cause": raises(_caused),
    "exceptions in a group": raises(lambda: ExceptionGroup(ALL, [RuntimeError(ALL), ValueError(ALL)])),
    "step error": raises(lambda: StepError(ALL, why=ALL, hint=ALL, data={"d": TEXTS, ALL: 1})),
    "log": _logs,
    "long log": _logs_much,
    "progress": _progresses,
    "status": _says,
    "message": _sends,
    "artifact": _adds,
    "saved state": _saves,
    "event": _publishes,
    "wait": _asks,
    "wait with a default": _asks_with_default,
    "wait for an event": _waits,
    "wait for a secret": _waits_for_a_secret,
}
STEPS: dict[str, Callable[[Lab], list[Step]]] = {
    "value that a validator refuses": lambda _: [step("a", "secrets_told", {"value": "{input.bad}"})],
    "value that a validator fails at": lambda _: [step("a", "secrets_told", {"value": "{input.missing}"})],
    "reason of a skip": lambda _: [step("a", "secrets_told", {"value": "{input.good}"})],
    "shared key": lambda lab: [lab.call("a", lambda: TEXTS, update={"all": "{steps.a}"})],
    "reducer": lambda lab: [lab.call("a", lambda: 1, update={"made": "{steps.a}"}), set_("b", value="{context.made}")],
    "reducer that fails": lambda lab: [lab.call("a", lambda: 1, update={"fails": "{steps.a}"})],
    "tool": lambda _: [tool_call("a", tool_name="tells")],
    "tool that fails": lambda _: [tool_call("a", tool_name="fails", server="provider")],
    "agent": lambda _: [agent_run("a", agent="tells", prompt="?")],
    "agent that asks": lambda _: [agent_run("a", agent="provider", prompt="?")],
    "output of a script": lambda _: [script("a", run=PRINT, env=FILE, output_format="text")],
    "lines of a script": lambda _: [script("a", run=PRINT, env=FILE, output_format="stream")],
    "errors of a script": lambda _: [script("a", run=PRINT + " >&2", env=FILE)],
    "script that fails": lambda _: [script("a", run=PRINT + " >&2; exit 3", env=FILE)],
    "script without JSON": lambda _: [script("a", run=PRINT, env=FILE, output_format="json")],
    "child run": lambda _: [workflow("a", workflow="child")],
    "failure that is retried": lambda lab: [
        lab.call("a", raises(lambda: RuntimeError(ALL)), retry={"max_attempts": 2, "base": 0.1})
    ],
    "failure that is tolerated": lambda lab: [
        lab.call("a", raises(lambda: RuntimeError(ALL)), on_error="continue"), set_("b", value="{run.steps.a.error}")
    ],
    "failure that suspends": lambda lab: [lab.call("a", raises(lambda: RuntimeError(ALL)), on_error="suspend")],
    "compensation": lambda lab: [
        saga("a", steps=[
            lab.call("done", lambda: 1, compensate=[lab.call("undo", raises(lambda: RuntimeError(ALL)))]),
            lab.call("fails", raises(lambda: RuntimeError(ALL))),
        ]),
    ],
    "group": lambda lab: [
        sequence("a", steps=[lab.call("x", lambda: TEXTS), lab.call("y", raises(lambda: RuntimeError(ALL)))])
    ],
}  # fmt: skip
PLACES: dict[str, Callable[[Lab], list[Step]]] = {
    **{name: (lambda lab, each=each: [lab.call("a", each)]) for name, each in FUNCTIONS.items()}, **STEPS,
}  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Return where the store's file goes."""
    return tmp_path / "runs.db"


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> str:
    """Set the secret."""
    monkeypatch.setenv("CANARY", CANARY)
    return CANARY


def stored(db: Path) -> str:
    """Return every text and blob of a database, and what its files hold."""
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        rows = [row for name in names for row in connection.execute(f'select * from "{name}"')]
    cells = [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]
    # the files are mostly room that is kept free
    files = [re.sub(rb"\0+", b"\0", path.read_bytes()) for path in db.parent.iterdir() if path.is_file()]
    return b"\n".join([*cells, *files]).decode("utf-8", "replace")


def leaks(text: str) -> list[str]:
    """Return the spellings that stand in a text, also as JSON writes them."""
    small = text.lower()
    return [
        name
        for name, spell in SPELLINGS.items()
        if any(form.lower() in small for form in (spell(CANARY), SPELLINGS["json, not ascii"](spell(CANARY))[1:-1]))
    ]


@pytest.mark.parametrize("place", PLACES)
async def test_no_spelling_of_a_secret_is_stored_or_logged(
    clock: FakeClock,
    db: Path,
    place: str,
    canary: str,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lab = Lab(clock, always_replay=False)
    caplog.set_level(logging.DEBUG)
    file = tmp_path_factory.mktemp("printed") / "all"
    file.write_text(ALL, "utf-8")
    lab.functions |= {"lab:reduce": _reduce, "lab:fails": _reduce_in_vain}
    shared: dict[str, Any] = {
        "all": {"default": [], "reducer": "append"}, "made": {"reducer": "lab:reduce"},
        "fails": {"reducer": "lab:fails"},
    }  # fmt: skip
    child = lab.workflow(lab.call("c", lambda: TEXTS), lab.call("d", raises(lambda: RuntimeError(ALL))), id="child")
    hook = lab.call("hook", raises(lambda: RuntimeError(ALL)))
    main = lab.workflow(*PLACES[place](lab), context=shared, on_failure=[hook])
    options = {
        "tools": {"tells": lambda: {"t": TEXTS}, "provider": Provider()},
        "agents": {"tells": lambda: {"t": TEXTS}, "provider": Provider()},
    }
    async with lab.open(main, child, store=db, config={"env": ["CANARY"]}, **options) as engine:
        run = await engine.start("main", {"bad": "bad", "missing": "missing", "good": "good", "file": str(file)})
        done = await lab.finish(engine, run)
        for wait in done.waits:
            if wait.kind == "input" and wait.schema is None:
                await engine.resume(wait.id, Answer("x"))
                done = await lab.finish(engine, run)
        text = stored(db)
    assert not leaks(text)
    assert not leaks(caplog.text)
    assert not leaks("".join(capfd.readouterr()))
    assert HIDDEN in text or place in ("wait for a secret", "long log"), done


async def test_a_result_tells_in_its_log_what_was_taken_out(lab: Lab, canary: str) -> None:
    flow = lab.workflow(lab.call("a", lambda: [canary, canary, {"k": canary}]))
    async with lab.open(flow, config={"env": ["CANARY"]}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.results["a"] == [HIDDEN, HIDDEN, {"k": HIDDEN}]
    logs = [event.data["text"] for event in done.events if event.type == "step_log" and event.data]
    assert logs == ["the secret CANARY was taken out of the result; if it is none, mark it as public"]


async def test_a_wait_for_an_event_by_a_secret_is_refused(lab: Lab, canary: str) -> None:
    flow = lab.workflow(lab.call("a", _waits_for_a_secret))
    async with lab.open(flow, config={"env": ["CANARY"]}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.errors["a"].code == "AF-SECRET-PLACE"
    assert done.errors["a"].message == "the topic or filter of a wait may not hold a secret"


async def test_what_comes_from_outside_is_kept_as_it_was_given(lab: Lab, canary: str) -> None:
    flow = lab.workflow(lab.call("a", _is_canary, input={"x": "{input.x}"}))
    async with lab.open(flow, config={"env": ["CANARY"]}) as engine:
        done = await lab.finish(engine, await engine.start("main", {"x": canary}))
    assert done.output is True


async def test_a_secret_of_digits_in_a_failure_fails_the_step_only(
    lab: Lab, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCOUNT", "100200300")
    fails = raises(lambda: StepError("quota", data={"account": 100200300}, retryable=False))
    flow = lab.workflow(lab.call("a", fails))
    async with lab.open(flow, store=db, config={"env": ["ACCOUNT"]}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.errors["a"].data == {"account": HIDDEN}


async def test_a_process_whose_number_is_a_secret_is_still_known(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        monkeypatch.setenv(f"DIGIT{number}", str(number) * 4)
    monkeypatch.setenv("ANY", "script")
    names = [f"DIGIT{number}" for number in range(10)] + ["ANY"]
    flow = lab.workflow(script("a", run="echo 1", output_format="json"))
    async with lab.open(flow, config={"env": names}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert done.output == 1


@pytest.mark.parametrize("before", [10, 50, 190, 1800, 1960])
async def test_a_secret_across_the_place_where_a_text_is_cut_leaves_no_part(
    lab: Lab, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONG", LONG)
    text = "x " * (before // 2) + LONG

    def failing() -> None:
        error = RuntimeError(text)
        error.add_note(text)
        raise error

    undone = set_("a", value=1, compensate=lab.call("undo", failing))
    trip = saga("trip", steps=[undone, lab.call("fails", failing)])
    async with lab.open(lab.workflow(trip), config={"env": ["LONG"]}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    told = f"{done.errors} {[event.data for event in done.events]} {done.run.failure} {done.run.now_text}"
    assert HIDDEN in told
    assert not [n for n in range(0, len(LONG), 8) if LONG[n : n + 8] in told]
