"""What is recorded: workflows, how far their runs get before the process is gone, and what must become of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentflow.definition.models import SharedKey
from agentflow.engine import Answer, Engine, Event
from agentflow.steps import (
    ForEachField,
    RetryPolicy,
    Step,
    Workflow,
    artifact,
    delay,
    end,
    parallel,
    python,
    reply,
    saga,
    set_,
    wait_for_event,
    wait_for_input,
    workflow,
)
from agentflow.testing.clock import FakeClock

START = 1_700_000_000.0
ANSWER = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


class Hands:
    """The one Python function of all scenes: it notes its calls, and hangs or fails where it is told to."""

    def __init__(self, *, hangs: Sequence[str] = (), fails: Sequence[str] = ()) -> None:
        """Say which steps never end, and which fail."""
        self.calls: list[str] = []
        self._hangs = hangs
        self._fails = fails
        self._begun = anyio.Event()

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """What `Engine.open` takes."""
        return {"hands:work": self.work}

    async def work(self, name: str) -> str:
        """Do a step's work."""
        self.calls.append(name)
        self._begun.set()
        if name in self._fails:
            raise RuntimeError(f"{name} fails")
        if name in self._hangs:
            await anyio.sleep_forever()
        return f"done {name}"

    async def reach(self, name: str) -> None:
        """Return when a step has begun."""
        while name not in self.calls:
            self._begun = anyio.Event()
            await self._begun.wait()


def work(id: str, name: str | None = None, **common: Any) -> Step:  # noqa: A002  as in the constructors
    """Return a step that calls the function."""
    return python(id, function="hands:work", input={"name": name or id}, **common)


Recording = Callable[[Engine, str, Hands, FakeClock], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """One history."""

    name: str
    workflows: tuple[Workflow, ...]
    record: Recording
    """Brings the run to where its process dies."""
    hangs: Sequence[str] = ()
    """Steps that are executing then."""
    fails: Sequence[str] = ()
    """Steps that fail, then and later."""
    input: Any = None
    message: Mapping[str, Any] | None = None
    """The message that starts it."""
    # what must become of it
    state: str = "completed"
    output: Any = None
    calls: Sequence[str] = ()
    """Steps that whoever finishes it executes, sorted."""
    events: Sequence[str] = field(default=())
    """Types of the events that must be in its log in the end, besides others."""


async def _rest(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
    await engine.wait(run_id)


def _event(kind: str, step: str) -> Recording:
    async def until(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
        await _seen(engine, run_id, kind, step)

    return until


async def _seen(engine: Engine, run_id: str, kind: str, step: str) -> Event:
    async for event in engine.subscribe(run_id):
        if (event.type, event.step) == (kind, step):
            return event
    raise AssertionError(f"no {kind} of {step}")


async def _in_parallel(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
    await _seen(engine, run_id, "step_completed", "both/c")
    await hands.reach("b")
    await hands.reach("d")


async def _in_the_loop(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
    for n in (0, 2):
        await _seen(engine, run_id, "step_completed", f"loop[{n}]")
    await hands.reach("item1")
    await hands.reach("item3")


async def _paused(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
    await _seen(engine, run_id, "step_started", "sleep")
    await engine.pause(run_id)


async def _half_undone(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
    await hands.reach("undo pay")


async def _told(engine: Engine, run_id: str, hands: Hands, clock: FakeClock) -> None:
    await engine.wait(run_id)
    [first] = await engine.waits(run_id)
    await engine.resume(first.id, Answer({"ok": True}), by="ann", message_id="m-2")
    await engine.wait(run_id)
    await engine.publish("other", {"order": 1})
    await engine.publish("paid", {"order": 6}, id="e-6")


SCENES = (
    Scene(
        "wait",
        (Workflow(id="main", steps=(work("a"), wait_for_input("ask", message="Go on?", schema=ANSWER), work("b"))),),
        _rest,
        output="done b",
        calls=["b"],
        events=["step_resumed"],
    ),
    Scene(
        "event",
        (
            Workflow(
                id="main",
                steps=(
                    wait_for_event("paid", topic="paid", filter={"order": 7}),
                    set_("last", value="{steps.paid.order}"),
                ),
            ),
        ),
        _rest,
        output=7,
    ),
    Scene(
        "killed",
        (
            Workflow(
                id="main",
                steps=(work("a"), parallel("both", steps=[work("b"), work("c"), work("d")]), work("e")),
                output={"both": "{steps.both}", "e": "{steps.e}"},
            ),
        ),
        _in_parallel,
        hangs=["b", "d"],
        output={"both": {"b": "done b", "c": "done c", "d": "done d"}, "e": "done e"},
        calls=["b", "d", "e"],
    ),
    Scene(
        "loop",
        (
            Workflow(
                id="main",
                steps=(
                    work("loop", "item{item}", for_each=ForEachField(in_=[0, 1, 2, 3, 4], max_parallel=2)),
                ),
            ),
        ),
        _in_the_loop,
        hangs=["item1", "item3"],
        output=[f"done item{n}" for n in range(5)],
        calls=["item1", "item3", "item4"],
    ),
    Scene(
        "timer",
        (Workflow(id="main", steps=(work("a"), delay("sleep", for_="1h"), work("b"))),),
        _event("step_started", "sleep"),
        output="done b",
        calls=["b"],
    ),
    Scene(
        "saga",
        (
            Workflow(
                id="main",
                steps=(
                    saga(
                        "trip",
                        steps=[
                            work("pay", compensate=work("undo", "undo pay")),
                            work("ship", compensate=work("undo", "undo ship")),
                            work("bill"),
                        ],
                    ),
                ),
            ),
        ),
        _half_undone,
        hangs=["undo pay"],
        fails=["bill"],
        state="failed",
        calls=["undo pay"],
    ),
    Scene(
        "children",
        (
            Workflow(id="main", steps=(work("a"), workflow("sub", workflow="child", input={"n": 3}), work("b"))),
            Workflow(
                id="child",
                input_schema={"type": "object", "properties": {"n": {"type": "integer"}}},
                steps=(wait_for_input("ask", message="{input.n}?", schema=ANSWER), work("c")),
            ),
        ),
        _rest,
        output="done b",
        calls=["b", "c"],
    ),
    Scene(
        "retry",
        (
            Workflow(
                id="main",
                steps=(
                    work("a"),
                    work("b", retry=RetryPolicy(max_attempts=2, base=60.0, jitter=0.0), on_error="continue"),
                    work("c"),
                ),
            ),
        ),
        _event("step_retrying", "b"),
        fails=["b"],
        output="done c",
        calls=["b", "c"],
    ),
    Scene(
        "paused",
        (Workflow(id="main", steps=(work("a"), delay("sleep", for_="1h"), work("b"))),),
        _paused,
        output="done b",
        calls=["b"],
    ),
    Scene(
        "completed",
        (
            Workflow(
                id="main",
                context={"notes": SharedKey(default=[], reducer="append")},
                steps=(
                    work("a", update={"notes": "{input.text}"}),
                    artifact("file", text="{steps.a}", name="note.txt"),
                    end("end", output={"a": "{steps.a}", "notes": "{context.notes}"}),
                    work("never"),
                ),
            ),
        ),
        _rest,
        input={"text": "größer"},
        output={"a": "done a", "notes": ["größer"]},
    ),
    Scene(
        "told",
        (
            Workflow(
                id="main",
                steps=(
                    artifact("first", text="one", artifact_id="file", last_chunk=False),
                    reply("hello", text="Hello"),
                    wait_for_input("ask", message="Go on?", schema=ANSWER),
                    artifact("second", text="two", artifact_id="file", append=True),
                    wait_for_event("paid", topic="paid", filter={"order": 7}),
                    set_("last", value="{steps.paid.order}"),
                ),
            ),
        ),
        _told,
        message={"messageId": "m-1", "role": "user", "parts": [{"text": "Begin"}]},
        output=7,
    ),
)  # fmt: skip


async def finish(engine: Engine, run_id: str) -> Any:
    """Bring a run to its end: answer what it asks, publish what it waits for, let it go on where it is paused."""
    while True:
        run = await engine.get(run_id)
        if run.ended:
            return run
        if run.paused:
            await engine.unpause(run_id)
        run = await engine.wait(run_id)
        for view in await engine.waits(run_id):
            if view.kind == "event":
                await engine.publish("paid", {"order": 7})
            else:
                await engine.resume(view.id, Answer({"ok": True}))
