"""Gates: nothing that somebody has to approve ever runs unapproved, and what nobody has accepted isn't given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Decline, Engine, Run, WaitView
from agentflow.errors import ConflictError
from agentflow.steps import for_each, parallel, saga, sequence, set_
from agentflow.steps import workflow as sub
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import doom
from tests.engine.asked import Deed, over, questions
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

HOUR = 3600.0


@dataclass(frozen=True)
class Shape:
    """Where a gated step stands."""

    make: Callable[[Lab, Deed, dict[str, Any]], tuple[Workflow, ...]]
    questions: int = 1
    runs: int = 1
    """How often the step runs in all once everything is approved."""
    failing: int = 0
    ends: str = "completed"
    edits: bool = True
    refused: str = "failed"
    """How the run ends where somebody refuses."""
    reviewed: bool = True
    """Whether there is a result to review."""


def _failing() -> None:
    raise RuntimeError("something else")


def _leaf(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    return (lab.workflow(lab.call("pay", deed, input={"value": 1}, **gate)),)


def _group(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    return (lab.workflow(sequence("pay", steps=[lab.call("do", deed, input={"value": 1})], **gate)),)


def _item(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    return (
        lab.workflow(for_each("all", in_=[1, 2], steps=[lab.call("pay", deed, input={"value": "{item}"}, **gate)])),
    )


def _side_by_side(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    steps = [lab.call(name, deed, input={"value": n}, **gate) for n, name in enumerate("ab")]
    return (lab.workflow(parallel("both", steps=[*steps, set_("free", value=1)])),)


def _child(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    child = lab.workflow(lab.call("do", deed, input={"value": 1}), id="child")
    return (lab.workflow(sub("pay", workflow="child", **gate)), child)


def _undoing(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    undo = lab.call("undo", deed, input={"value": 1}, **gate)
    steps = [set_("done", value=1, compensate=undo), lab.call("fails", _failing)]
    return (lab.workflow(saga("trip", steps=steps)),)


def _retried(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    again = {"max_attempts": 2, "base": 0}
    return (lab.workflow(lab.call("pay", deed, input={"value": 1}, retry=again, **gate)),)


def _tolerated(lab: Lab, deed: Deed, gate: dict[str, Any]) -> tuple[Workflow, ...]:
    return (lab.workflow(lab.call("pay", deed, input={"value": 1}, on_error="continue", **gate), set_("on", value=1)),)


SHAPES = {
    "leaf": Shape(_leaf),
    "group": Shape(_group, edits=False),
    "loop item": Shape(_item, questions=2, runs=2),
    "side by side": Shape(_side_by_side, questions=2, runs=2),
    "sub-workflow": Shape(_child, edits=False),
    "compensation": Shape(_undoing, ends="failed"),
    "retry": Shape(_retried, runs=2, failing=1),
    "tolerated failure": Shape(_tolerated, failing=9, refused="completed", reviewed=False),
}
OUTCOMES = ("approve", "reject", "decline", "edit", "timeout", "cancel", "kill", "both at once")
ROWS = [(shape, outcome) for shape in SHAPES for outcome in OUTCOMES if SHAPES[shape].edits or outcome != "edit"]


async def both(engine: Engine, wait: WaitView, yes: Any, no: Any) -> bool:
    """Give two answers at once; tells whether the first was taken. One of them is refused."""
    refused: list[Any] = []

    async def give(answer: Any) -> None:
        try:
            await engine.resume(wait.id, answer)
        except ConflictError:
            refused.append(answer)

    async with anyio.create_task_group() as group:
        group.start_soon(give, yes)
        group.start_soon(give, no)
    assert len(refused) == 1
    return refused == [no]


def timed(outcome: str) -> dict[str, Any]:
    """Return how long it is waited for: the clock of the tests jumps to what is due."""
    return {"timeout": HOUR} if outcome == "timeout" else {}


async def answer(engine: Engine, wait: WaitView, outcome: str, deed: Deed, yes: str) -> bool:
    """Answer one question; tells whether it was a yes."""
    if outcome == "both at once":
        deed.allowed = True  # if yes is first, the step runs before this goes on
        taken = await both(engine, wait, Answer({"decision": yes}), Answer({"decision": "reject"}))
        deed.allowed = taken or deed.allowed
        return taken
    if outcome in {"approve", "kill", "edit"}:
        deed.allowed = True
        change = {"edit": {"value": 7}} if yes == "approve" else {"result": {"value": 7}}
        said = {"decision": "edit", **change} if outcome == "edit" else {"decision": yes}
        await engine.resume(wait.id, Answer(said))
        return True
    if outcome == "reject":
        await engine.resume(wait.id, Answer({"decision": "reject", "comment": "too dear"}))
    else:
        await engine.resume(wait.id, Decline("too dear"))
    return False


async def lived(
    lab: Lab, store: Path, flows: tuple[Workflow, ...], shape: Shape, deed: Deed, outcome: str, yes: str, begun: int
) -> tuple[Run, int, bool]:
    """Run a workflow until it asks, and on with a new host; return its end, how often yes was said, and if always.

    Args:
        lab: makes engines.
        store: where the run is kept.
        flows: the workflow and what it calls.
        shape: where the gated step stands.
        deed: what the step does.
        outcome: what becomes of each question.
        yes: the decision that lets it go on.
        begun: how often the step has run when it is asked for.
    """
    lab.clock = FakeClock(auto=outcome != "timeout")
    async with lab.open(*flows, store=store) as engine:
        run = await engine.start("main", None)
        await questions(engine, run, shape.questions)
        assert len(deed.done) == begun
        if outcome == "kill":
            doom(engine)
    count, said = 0, True
    async with lab.open(*flows, store=store) as engine:
        if outcome == "timeout":
            lab.clock.advance(HOUR + 1)
            said = False
        elif outcome == "cancel":
            await engine.cancel(run.id, force=True)
            said = False
        else:
            for wait in await questions(engine, run, shape.questions):
                if said:  # what one refusal has ended asks no more
                    said = await answer(engine, wait, outcome, deed, yes)
                    count += said
        return await over(engine, run), count, said


def ends(shape: Shape, outcome: str, *, said: bool) -> str:
    """Return the state in which a run ends."""
    return "canceled" if outcome == "cancel" else shape.ends if said else shape.refused


@pytest.mark.parametrize(("name", "outcome"), ROWS)
async def test_nothing_ever_runs_unapproved(lab: Lab, tmp_path: Path, name: str, outcome: str) -> None:
    shape, deed = SHAPES[name], Deed(SHAPES[name].failing)
    gate = {"approve": {**timed(outcome), **({"edit": ["value"]} if shape.edits else {})}}
    flows = shape.make(lab, deed, gate)
    ended, count, said = await lived(lab, tmp_path / "runs.db", flows, shape, deed, outcome, "approve", 0)
    assert (deed.unapproved, ended.state) == (0, ends(shape, outcome, said=said))
    assert len(deed.done) == shape.runs if said else len(deed.done) <= count
    if outcome == "edit":
        assert set(deed.done) == {7}


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        pytest.param(*row, marks=() if row[0] in {"leaf", "loop item", "compensation"} else pytest.mark.slow)
        for row in ROWS
        if SHAPES[row[0]].reviewed and row[1] != "edit"
    ],
)
async def test_what_nobody_accepts_is_not_given(lab: Lab, tmp_path: Path, name: str, outcome: str) -> None:
    shape, deed = SHAPES[name], Deed(SHAPES[name].failing, allowed=True)
    flows = shape.make(lab, deed, {"review": timed(outcome)})
    ended, _, said = await lived(lab, tmp_path / "runs.db", flows, shape, deed, outcome, "accept", shape.runs)
    assert (len(deed.done), ended.state) == (shape.runs, ends(shape, outcome, said=said))
