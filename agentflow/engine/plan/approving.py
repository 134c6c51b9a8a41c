"""`approve`: a step that somebody has to approve waits before it begins. Whatever isn't a yes is a no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.data import is_object
from agentflow.engine.decided import Decided, Parked, lasting
from agentflow.engine.failures import failed_by
from agentflow.engine.plan import gate_texts, limits, steps, turns, waiting
from agentflow.engine.plan.nodes import Node, is_stopped
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.errors import Failure
from agentflow.steps.unset import UNSET
from agentflow.store.rows import added

CHANGED = "AF-APPROVAL-CHANGED"
MOST = 3
"""How often a step is asked for once more that would do something else than was approved; then it fails."""


def consider(run: RunState, node: Node) -> None:
    """Let a step begin that was approved, or that nobody has to approve this time; else ask."""
    gate = node.program.approve
    if gate is None or run.live.get(node.n) is not node:
        return
    if run.paused:
        run.held = added(run.held, node)
        return
    kept = node.decided.gates or {}
    try:
        view = NodeView(run, node.scope, steps.values_of(run, node), node=node)
        wait = None
        if gate.if_ is None or gate.if_.evaluate(view):
            shown = run.tree.env.gate.redactor.value(_fields(run, node))
            mark = gate_texts.mark_of(shown, node.attempt if gate.settings.each_attempt else 0)
            if kept.get("approved") != mark:
                wait = gate_texts.approval(run, node, gate, shown, view)
                rest = {name: value for name, value in kept.items() if name not in {"approved", "edits"}}
                node.decided = _asking(node.decided, {**rest, "asked": mark})
    except Exception as error:
        steps.fail(run, node, failed_by(run.tree.env.gate, error))
        return
    if wait is None:
        if "middle" in kept:  # what it goes on with needs no approval
            _going_on(node, dict(kept))
            _go_on(run, node)
            return
        steps.begin(run, node)
        return
    if node.entered == "crash" and "middle" not in kept:  # what broke off isn't a try of its own
        node.tries, node.entered = max(node.tries - 1, 0), None
    waiting.open_wait(run, node, wait, "approve")


def asks_anew(run: RunState, node: Node) -> bool:
    """Ask once more for a step that is about to be claimed, where what it would do isn't what was approved."""
    if run.paused or node.entered == "reducing":
        return False
    try:
        if changed(run, node) is None:
            return False
    except Exception:  # its attempt fails of it
        return False
    return ask_again(run, node)


def asks_instead(run: RunState, node: Node, failure: Failure) -> bool:
    """Ask once more for a step whose attempt would have done what wasn't approved; False: it has failed."""
    if failure.code != CHANGED or node.program.approve is None or is_stopped(node) or not ask_again(run, node):
        return False
    node.tries -= node.entered is None
    return True


def ask_again(run: RunState, node: Node) -> bool:
    """Ask once more for a step, also for one that goes on in its middle; False: that was done often enough."""
    decided, gates = node.decided, node.decided.gates or {}
    times = gates.get("anew", 0)
    if not isinstance(times, int) or times >= MOST:
        return False
    gates = {**gates, "anew": times + 1}
    middle = _middle(decided) if node.entered is not None else {}
    if not middle:
        node.decided = lasting(decided._replace(gates=gates))._replace(stage="due")
        if decided.turn is not None:
            turns.end(run, node, "canceled", "what it would do has changed since it was approved")
    else:
        node.decided = decided._replace(stage="due", gates={**gates, "middle": middle})
    node.state, node.phase, node.lease = "working", None, None
    limits.give_back(run, node)
    run.save(node, memo=True)
    run.tree.push("approve", run, node)
    return True


def _middle(decided: Decided) -> dict[str, Any]:
    """Return what a step that goes on in its middle has, to be given back to it when that is approved."""
    kept = {} if decided.saved is UNSET else {"saved": decided.saved}
    parked = decided.parked
    if parked is not None:
        kept |= {"then": parked.then, "state": parked.state}
        kept |= {} if parked.arrived is UNSET else {"arrived": parked.arrived}
    return kept


def _asking(decided: Decided, gates: dict[str, Any]) -> Decided:
    """Return what a step has decided while it is asked for; one that goes on in its middle keeps its turn."""
    return Decided(gates=gates, turn=decided.turn if "middle" in gates else None)


def _going_on(node: Node, gates: dict[str, Any]) -> bool:
    """Give a step back what it had in its middle; False: it is at its beginning."""
    middle = gates.pop("middle", None)
    node.decided = Decided(gates=gates or None, turn=node.decided.turn)
    if not is_object(middle):
        return False
    parked = None
    if "then" in middle:
        parked = Parked(str(middle["then"]), middle.get("state"), arrived=middle.get("arrived", UNSET))
    node.decided = node.decided._replace(saved=middle.get("saved", UNSET), parked=parked)
    return True


def changed(run: RunState, node: Node) -> Failure | None:
    """Return why an attempt that was claimed may not work: what it would do isn't what was approved.

    Between an approval and the slot that a step gets, others may have changed what it reads. The last guard: whatever
    let it come here, without an approval it doesn't work.
    """
    gate = node.program.approve
    if gate is None or is_approved(run, node):
        return None
    if gate.if_ is not None:
        view = NodeView(run, node.scope, steps.values_of(run, node), node=node)
        if not gate.if_.evaluate(view):
            return None
    message = "what it would do has changed since it was approved"
    hint = "retry the run from the step: it asks again; let it read results of steps, and not what others change"
    return Failure(CHANGED, message, kind="wait", retryable=False, hint=hint)


def is_approved(run: RunState, node: Node) -> bool:
    """Tell whether somebody has approved what a step would do now."""
    approved = (node.decided.gates or {}).get("approved")
    shown = run.tree.env.gate.redactor.value(_fields(run, node))
    return isinstance(approved, str) and approved.startswith(gate_texts.mark_of(shown, 0)[:-1])


def _fields(run: RunState, node: Node) -> Any:
    """Return what is approved: the step's fields without what an earlier approval has changed."""
    before, gates = node.decided, {name: told for name, told in (node.decided.gates or {}).items() if name != "edits"}
    node.decided = before._replace(gates=gates or None)
    try:
        constant = steps.constant_of(node)
        return dict(constant[0] if constant is not None else steps.computed(run, node))
    finally:
        node.decided = before


def _go_on(run: RunState, node: Node) -> None:
    parked = node.decided.parked
    waiting.go_on(run, node, None if parked is None or parked.arrived is UNSET else parked.arrived)


def answered(run: RunState, node: Node, answer: Mapping[str, Any]) -> None:
    """Let a step begin that was approved; end it else."""
    gate, kept, value = node.program.approve, dict(node.decided.gates or {}), answer.get("value")
    mark = kept.pop("asked", None)
    told = value if is_object(value) else {}
    decision = told.get("decision")
    if gate is not None and "timeout" in answer:
        decision = gate.settings.default
    node.phase, node.state, node.task = None, "working", None
    if decision in {"approve", "edit"}:
        edits = told.get("edit")
        kept |= {"approved": mark, **({"edits": edits} if decision == "edit" and is_object(edits) else {})}
        if _going_on(node, kept):
            _go_on(run, node)
            return
        node.decided = Decided(stage="due", gates=kept)
        node.entered = None
        run.save(node, memo=True)
        run.tree.push("again", run, node)
        return
    _going_on(node, kept)
    said = told.get("comment") or answer.get("decline") or ""
    why = f": {said}" if said else ""
    message = "nobody approved it in time" if "timeout" in answer else f"it wasn't approved{why}"
    failure = Failure("AF-APPROVAL-REJECTED", message, kind="wait", retryable=False)
    refused(run, node, failure, gate.settings.on_reject if gate is not None else "fail")


def refused(run: RunState, node: Node, failure: Failure, on_reject: str) -> None:
    """End a step that somebody has refused."""
    failure = run.tree.env.gate.failure(failure)
    if on_reject == "skip":
        steps.skip(run, node, "operator", failure.message)
    elif on_reject == "continue":
        node.failure = failure
        steps.tolerate(run, node, failure)
    else:
        steps.fail(run, node, failure)
