"""Parked steps: waits, timers, answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agentflow.data import encode, is_object
from agentflow.definition.durations import UnreadableError
from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.engine.decided import Parked, anew, lasting
from agentflow.engine.failures import failure_of
from agentflow.engine.parking import admitted
from agentflow.engine.plan import limits, steps, turns
from agentflow.engine.plan.nodes import Node, stopping
from agentflow.engine.plan.state import RunState
from agentflow.engine.suspended import call_of, connection_of
from agentflow.errors import Failure, StepError
from agentflow.steps.contract import EventWait, Park, Timer, Wait
from agentflow.steps.unset import UNSET
from agentflow.store.rows import (
    SubscriptionRow,
    TaskRow,
    added,
)

OPERATOR_SCHEMA = {
    "type": "object",
    "properties": {"action": {"type": "string", "enum": ["retry", "skip", "fail"]}},
    "required": ["action"],
    "additionalProperties": False,
}
GATES = {
    "approve": "approval_answered", "review": "review_answered", "interrupted": "interrupt_answered",
    "tool": "call_answered",
}  # fmt: skip
"""Operations that carry out the answers of a step's own gates, by what a parked step waits for."""
_ENTERS = frozenset({"enter", "answer"})
"""What becomes of a parked step that is executed with what has come."""


def park(run: RunState, node: Node, what: Park) -> None:
    """Let a step wait for an answer, an event or a time."""
    program = node.program
    try:
        kept = admitted(run.tree.env.gate, what)
        on, state = kept.on, kept.state
        if isinstance(on, Wait) and on.schema is not None and not (program.spec.prompt and program.constant):
            _check_schema(on.schema, on.default)
    except (StepError, UnreadableError) as error:
        steps.fail(run, node, failure_of(error))
        return
    then = what.then if call_of(state) is None else "tool"
    node.decided = lasting(node.decided)._replace(parked=Parked(then, state), turn=node.decided.turn)
    if reason := stopping(node):  # a worker elsewhere hadn't heard of it
        steps.cancel(run, node, reason)
        return
    node.state = "working"
    if node.program.is_leaf:  # what only waits has no other use for a slot than to wait with it
        limits.give_back(run, node)
    if isinstance(on, Timer):
        node.phase = "timer"
        run.set_timer(node, on.due, "timer")
        run.save(node, memo=True)
        if not node.program.is_leaf:
            run.emit("step_started", node.address, {"attempt": node.tries, "until": on.due})
    elif isinstance(on, Wait):
        _open(run, node, on, on.kind, on.message, {"assignees": list(on.assignees), **on.details})
    else:
        message = on.message or f"Waits for the event {on.topic}"
        _open(run, node, on, "event", message, {"topic": on.topic})
        since = None if on.since is None else run.tree.root.row.created_at - on.since
        wanted = None if on.filter is None else encode(on.filter)
        row = SubscriptionRow(
            node.task or "", run.key, node.n, on.topic, wanted, since, run.row.owner, run.row.tenant, on.shared
        )
        change = run.changes()
        change.subscriptions = added(change.subscriptions, row)


def _check_schema(schema: Mapping[str, Any], default: Any) -> None:
    """Refuse a schema that nothing can be checked by, and a default that doesn't fit.

    Templates may have made both, or a step's own code; what is constant was checked with the definition.
    """
    try:
        validator = make_validator(schema)
    except ValueError as error:
        raise _unfit("the wait's schema isn't valid", str(error)) from None
    problems = [] if default is UNSET else errors_of(validator, default)
    if problems:
        raise _unfit("the wait's default doesn't fit its schema", "\n".join(problems))


def _unfit(what: str, why: str) -> StepError:
    return StepError(what, code="AF-WAIT-INVALID", kind="wait", retryable=False, why=why)


def _open(run: RunState, node: Node, on: Wait | EventWait, kind: Any, message: str, details: dict[str, Any]) -> None:
    """Make the task that stands for a wait."""
    now = run.tree.env.moment
    asked = kind == "operator" or _then(node) in GATES
    own = node.program.timeout if node.program.spec.whole_timeout and not asked else None
    timeouts = [t for t in (on.timeout, own) if t is not None]
    expires = now + min(timeouts) if timeouts else None
    schema = on.schema if isinstance(on, Wait) else None
    if on.default is not UNSET:
        details["default"] = on.default
    parked = replace(node.decided.parked or Parked(), kind=kind, default=on.default)
    node.decided = node.decided._replace(parked=parked)
    node.phase = "wait"
    node.state = "auth-required" if kind == "auth" else "input-required"
    node.task = run.tree.env.new_id()
    run.waits[node.task] = node
    run.asks_anew = True
    run.save(node, memo=True)
    if node.decided.turn is not None:
        details["turn"] = node.decided.turn
    row = TaskRow(
        node.task, run.key, node.n, node.address, kind, node.state, message,
        encode(dict(schema)) if schema is not None else None,
        encode({k: v for k, v in details.items() if v not in ([], None) or k == "default"}), expires, now, now,
        details.get("assignees") or (),
    )  # fmt: skip
    change = run.changes()
    change.tasks = added(change.tasks, row)
    if expires is not None:
        run.set_timer(node, expires, "timeout")
    data = {"wait_task_id": node.task, "kind": kind, "message": message}
    if schema is not None:
        data["schema"] = dict(schema)
    run.emit("step_waiting", node.address, data, task=node.task, bumps=True)
    turns.change_state(run, node, node.state)


def open_wait(run: RunState, node: Node, wait: Wait, then: str | None = None) -> None:
    """Ask something of a step's own: it isn't at work meanwhile.

    Args:
        run: its run.
        node: the step.
        wait: what is asked.
        then: what the answer is for, one of `GATES`.
    """
    if then is not None:
        node.decided = node.decided._replace(parked=Parked(then))
    limits.give_back(run, node)
    _open(run, node, wait, wait.kind, wait.message, dict(wait.details))


def suspend(run: RunState, node: Node) -> None:
    """Open an operator's wait after a final failure."""
    message = f'Step "{node.address}" failed: {node.failure.message if node.failure else ""}'
    node.decided = lasting(node.decided)._replace(parked=Parked("operator"))
    limits.give_back(run, node)
    wait = Wait("operator", message, OPERATOR_SCHEMA)
    _open(run, node, wait, "operator", message, {})


def close_wait(run: RunState, node: Node, message: str | None = None) -> None:
    """Close a step's open wait without an answer."""
    if node.task is not None and node.task in run.waits:
        del run.waits[node.task]
        run.asks_anew = True
        change = run.changes()
        change.close_tasks = added(change.close_tasks, (node.task, "canceled", message))
        run.drop_timer(node, "timeout")
        run.emit("task_closed", node.address, {"state": "canceled"}, task=node.task, bumps=True)


def asking(run: RunState, n: int, task: str | None) -> Node | None:
    """Return the step that an open wait is of."""
    node = run.live.get(n)
    return None if node is None or node.phase != "wait" or node.task != task or task is None else node


def answered(run: RunState, node: Node, data: Any) -> None:
    """Carry out an answer: `{"answer": {"value" | "decline" | "failure": …}, "by", "door"}`."""
    run.waits.pop(node.task or "", None)
    run.asks_anew = True
    run.drop_timer(node, "timeout")
    answer = data.get("answer")
    if node.decided.asked is not None:
        run.tree.push("budget_answered", run, node, answer or {})
    elif _then(node) in GATES:
        run.tree.push(GATES[_then(node)], run, node, answer or {})
    elif answer is None:
        message = "what answered the wait can't be read: an older version has kept what isn't data"
        steps.fail(run, node, Failure("AF-STORE-DAMAGED", message, kind="wait", retryable=False))
    elif "decline" in answer and _then(node) == "operator":
        _operator(run, node, "fail")
    elif "decline" in answer and _then(node) == "answer":
        _arrived(run, node, {"decline": str(answer["decline"] or "")})
    elif "decline" in answer:
        steps.fail(run, node, _declined(node, str(answer["decline"] or "")))
    elif "failure" in answer:
        message = str(answer["failure"])
        steps.fail(run, node, Failure("AF-TOOL-FAILED", message, kind="exception"))
    else:
        value = answer.get("value")
        _arrived(run, node, {"value": value} if _then(node) == "answer" else value)


def _declined(node: Node, why: str) -> Failure:
    """Return the failure of a step whose wait somebody has declined."""
    connection, reason = _connection(node), f": {why}" if why else ""
    if connection is not None:
        message = f"{connection} wasn't connected: that was declined{reason}"
        return Failure("AF-AUTH-DECLINED", message, kind="wait", retryable=False)
    return Failure("AF-WAIT-DECLINED", f"the wait was declined{reason}", kind="wait", retryable=False)


def _too_late(node: Node) -> Failure:
    """Return the failure of a step whose wait nobody has answered in time."""
    connection = _connection(node)
    if connection is not None:
        message = f"nobody connected {connection} in time"
        return Failure("AF-AUTH-TIMEOUT", message, kind="wait", retryable=False)
    return Failure("AF-WAIT-TIMEOUT", "nobody answered in time", kind="wait", retryable=False)


def _connection(node: Node) -> str | None:
    """Return the connection that a step waits for; None: it waits for something else."""
    return connection_of(node.decided.parked.state) if node.decided.parked is not None else None


def _then(node: Node) -> str:
    """Return what becomes of a parked step when what it waits for is there."""
    return node.decided.parked.then if node.decided.parked is not None else "result"


def _arrived(run: RunState, node: Node, value: Any) -> None:
    """Go on with what a parked step waited for."""
    then = _then(node)
    if then == "operator":
        _operator(run, node, value.get("action") if is_object(value) else "fail")
    elif then in _ENTERS:
        go_on(run, node, value)
    else:
        steps.complete(run, node, encode(value))


def go_on(run: RunState, node: Node, value: Any) -> None:
    """Execute a parked step again, with what has come for it."""
    node.entry += 1
    node.entered = "park"
    node.arrived = value
    node.phase = None
    node.state = "working"
    if node.decided.parked is not None or node.decided.saved is UNSET:
        node.decided = node.decided._replace(parked=replace(node.decided.parked or Parked(), arrived=value))
    run.save(node, memo=True)
    turns.change_state(run, node, "working")
    steps.queue(run, node)


def _operator(run: RunState, node: Node, action: Any) -> None:
    node.decided = lasting(node.decided)
    if action == "retry":
        node.tries, node.decided = (
            0,
            anew(node.decided)._replace(stage="due"),
        )  # whoever finds it waiting begins a new attempt
        node.phase, node.state, node.failure, node.task = None, "working", None, None
        run.save(node, memo=True)
        run.tree.push("again", run, node)
    elif action == "skip":
        steps.skip(run, node, "operator")
    else:
        failure = node.failure or Failure("AF-STEP-FAILED", "an operator failed the step")
        node.state, node.phase, node.reason = "failed", None, None
        node.ended = run.tree.env.moment
        run.save(node, memo=True)
        run.emit("step_failed", node.address, {"error": failure.to_data(), "will_retry": False})
        run.failures = added(run.failures, failure)
        if node.scope is not None:
            run.tree.push("scope_failed", run, node.scope, failure)
        steps.close(run, node)


def fired(run: RunState, n: int, kind: str, entry: int) -> None:
    """Something has come due."""
    node = run.live.get(n)
    if node is None or node.entry != entry:
        change = run.changes()
        change.drop_timers = added(change.drop_timers, (n, kind))
        return
    if kind == "timer" and node.phase == "timer":
        run.drop_timer(node, kind)
        _timer(run, node)
    elif kind == "backoff" and node.phase == "backoff":
        run.drop_timer(node, kind)
        _due(run, node)
        run.tree.push("again", run, node)
    elif kind == "timeout" and node.phase == "wait":
        _timed_out(run, node)
    elif kind == "scope_timeout" and node.phase in {"scope", "timer", "child"}:
        run.drop_timer(node, kind)
        run.tree.push("timed_out", run, node)
    else:
        change = run.changes()
        change.drop_timers = added(change.drop_timers, (n, kind))


def _due(run: RunState, node: Node) -> None:
    """Store that a step's time has come: it may have to wait for a slot, and its timer is gone."""
    node.phase = None
    node.decided = lasting(node.decided)._replace(stage="due")
    run.save(node, memo=True)


def _timer(run: RunState, node: Node) -> None:
    if node.decided.stage == "delay":
        _due(run, node)
        steps.conditions(run, node)
    elif node.program.container is not None and node.decided.parked is None:
        node.phase = "scope"
        run.tree.push("container_fired", run, node)
    elif _then(node) in _ENTERS:
        _arrived(run, node, None)
    else:
        steps.complete(run, node, b"{}")


def _timed_out(run: RunState, node: Node) -> None:
    parked, task = node.decided.parked, node.task
    if task is not None:
        run.waits.pop(task, None)
        run.asks_anew = True
        change = run.changes()
        change.close_tasks = added(change.close_tasks, (task, "canceled", "timed out"))
        run.emit("task_closed", node.address, {"state": "canceled", "reason": "timeout"}, task=task, bumps=True)
    run.drop_timer(node, "timeout")
    if _then(node) in GATES:
        run.tree.push(GATES[_then(node)], run, node, {"timeout": True})
    elif parked is not None and parked.default is not UNSET:
        steps.complete(run, node, encode(parked.default))
    elif _then(node) == "answer":
        _arrived(run, node, {"timeout": True})
    else:
        steps.fail(run, node, _too_late(node))


def again(run: RunState, node: Node) -> None:
    """Start the next attempt of a step."""
    node.entered = None
    node.failure = None
    node.values = None
    if node.program.container is None:
        steps.enter(run, node)
    elif node.program.gated and node.program.approve is not None:
        run.tree.push("approve", run, node)
    elif steps.has_slot(run, node):
        run.tree.push("restart_container", run, node)
