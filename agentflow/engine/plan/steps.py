"""One step's way: reached, gated, queued or expanded, completed, skipped, failed, tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from heapq import heappush
from typing import Any

from agentflow.data import is_object
from agentflow.definition.durations import parse_duration
from agentflow.definition.times import later, parse_time
from agentflow.engine.decided import DELAY, UNDECIDED
from agentflow.engine.failures import failed_by, failure_of
from agentflow.engine.gate import FIELD, RESULT
from agentflow.engine.misfits import fitted
from agentflow.engine.plan import limits, order, reducing, shared, turns
from agentflow.engine.plan.carried import UNREAD, Response, Worked
from agentflow.engine.plan.marks import ROOT, SATISFYING
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.retries import next_delay, should_retry
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.errors import Failure, StepError
from agentflow.steps.contract import Outcome, Park, Result, Skip
from agentflow.store.rows import added
from agentflow.store.slot_rows import SlotRow


def gate(run: RunState, node: Node) -> None:
    """Wait for the step's own time, if it names one, before its conditions are looked at."""
    program = node.program
    if program.at is None and program.delay is None:
        conditions(run, node)
        return
    view = NodeView(run, node.scope)
    now = run.tree.env.moment
    try:
        due = now if program.at is None else max(parse_time(program.at.render(view)), now)
        if program.delay is not None:
            due = later(due, parse_duration(program.delay.render(view)))
    except Exception as error:
        fail(run, node, failed_by(run.tree.env.gate, error))
        return
    if due <= now:
        conditions(run, node)
        return
    node.state, node.phase = "working", "timer"
    node.decided = DELAY
    run.set_timer(node, due, "timer")
    run.save(node, memo=True)


def conditions(run: RunState, node: Node) -> None:
    """Look at `if` and `skip_if`: the step is otherwise ready."""
    program = node.program
    try:
        wanted = (program.if_ is None and program.skip_if is None) or _wanted(run, node)
    except Exception as error:
        fail(run, node, failed_by(run.tree.env.gate, error))
        return
    if wanted:
        enter(run, node)
    else:
        skip(run, node, "condition")


def _wanted(run: RunState, node: Node) -> bool:
    program = node.program
    view = NodeView(run, node.scope, values_of(run, node))
    if program.if_ is not None and not program.if_.evaluate(view):
        return False
    return not (program.skip_if is not None and program.skip_if.evaluate(view))


def values_of(run: RunState, node: Node) -> Any:
    """Return a step's `with`, computed when it is first asked for."""
    program = node.program
    if program.with_ is not None and node.values is None:
        values = program.with_.render(NodeView(run, node.scope, node=node))
        run.tree.env.gate.encoded(values, FIELD)
        node.values = values
    return node.values


def enter(run: RunState, node: Node) -> None:
    """Start an attempt, if the step may: queue a leaf for a slot, ask a prompt, expand a container."""
    program = node.program
    if program.needy:
        missing = run.tree.env.missing(program)
        if missing is not None:
            hint = "grant it in the config: skills: [" + ", ".join(n for n in program.needs if n in missing) + "]"
            fail(run, node, Failure("AF-SKILL-MISSING", missing, kind="skill", retryable=False, hint=hint))
            return
    if program.gated and program.approve is not None:
        run.tree.push("approve", run, node)
    else:
        begin(run, node)


def begin(run: RunState, node: Node) -> None:
    """Start an attempt of a step that may begin."""
    program = node.program
    if program.is_leaf:
        queue(run, node)
        return
    if not has_slot(run, node):
        return
    if run.paused:
        run.held = added(run.held, node)
        return
    try:
        values_of(run, node)
        if program.container is not None:
            run.tree.push("restart_container" if node.attempt else "begin_container", run, node)
            return
        outcome = ask(run, node)
    except BaseException as error:  # a validator and a prompt of the user may raise anything
        fail(run, node, failed_by(run.tree.env.gate, error))
        return
    apply(run, node, outcome)


def queue(run: RunState, node: Node) -> None:
    """Let a leaf queue for one of the slots of its host; the one of its key is asked for by its claim."""
    if node.program.concurrency is not None and node.slot is None:
        node.demand = demand_of(run, node)
        if node.demand is None:
            return
    heappush(run.ready, (node.n, node))


def has_slot(run: RunState, node: Node) -> bool:
    """Tell whether a step needs no slot of a key, or has it. Else it asks for one, and goes on when it is given."""
    if node.program.concurrency is None or node.slot is not None:
        return True
    if run.paused:
        run.held = added(run.held, node)
        return False
    wanted = demand_of(run, node)
    if wanted is not None:
        limits.ask(run, node, wanted)
    return False


def demand_of(run: RunState, node: Node) -> SlotRow | None:
    """Return the slot of a key that a step needs; None: the step has failed."""
    try:
        values_of(run, node)
        return limits.demand(run, node)
    except Exception as error:
        fail(run, node, failed_by(run.tree.env.gate, error))
        return None


def go_on(run: RunState) -> None:
    """Enter the steps that were reached while the run was paused, and those that had no slot yet when it was."""
    held, run.held = run.held, ()
    for node in held:
        if run.live.get(node.n) is node:
            enter(run, node)


def ask(run: RunState, node: Node) -> Outcome:
    """Let a prompt type say what it waits for."""
    program = node.program
    config = render_config(run, node)
    prompt = program.spec.prompt
    if prompt is None:
        raise ValueError(f'step type "{program.spec.name}" can do nothing')
    node.attempt += 1
    node.tries += 1
    node.started = run.tree.env.moment if node.started is None else node.started
    return prompt(config, PromptView(run, node))


class PromptView:
    """What a prompt type sees."""

    __slots__ = ("_run", "address")

    def __init__(self, run: RunState, node: Node) -> None:
        """Look at a step."""
        self._run = run
        self.address = node.address

    def now(self) -> float:
        """Return the engine's time."""
        return self._run.tree.env.moment


def computed(run: RunState, node: Node) -> Mapping[str, Any]:
    """Return the fields of a step's type, their templates computed.

    Raises:
        StepError: a reference has no value.
    """
    program = node.program
    values = values_of(run, node)
    rendered = program.config.render(NodeView(run, node.scope, values, node=node))
    fields: dict[str, Any] = {**program.plain_conditions, **program.raw_config, **rendered}
    if program.spec.takes_input and values is not None:
        # a tool_call of distri's files has an empty input beside the mapping that is meant to be it
        empty = fields.get("input") == {} and program.program.workflow.dialect == "distri"
        if empty or "input" not in fields:
            fields["input"] = dict(values)
    return fields if node.decided.gates is None else _edited(node, fields)


def _edited(node: Node, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a step's fields with what was changed when it was approved."""
    edits = (node.decided.gates or {}).get("edits")
    if not is_object(edits):
        return fields
    for name, value in edits.items():
        if name in fields or not is_object(fields.get("input")):
            fields[name] = value
        else:
            fields["input"] = {**fields["input"], name: value}
    return fields


def constant_of(node: Node) -> tuple[Mapping[str, Any], Any] | None:
    """Return a step's fields, and these validated, where they are the same whenever it runs."""
    return node.program.constant if node.decided.gates is None else None


def render_config(run: RunState, node: Node) -> Any:
    """Return a step's validated config, its templates computed; raises StepError as `computed` and `fitted` do."""
    constant = constant_of(node)
    return constant[1] if constant is not None else fitted(node.program.spec, computed(run, node))


def apply(run: RunState, node: Node, outcome: Outcome) -> None:
    """Carry out what a step answered."""
    if isinstance(outcome, Result):
        try:
            raw = run.tree.env.gate.encoded(outcome.value, RESULT)
        except StepError as error:
            fail(run, node, failure_of(error))
            return
        complete(run, node, raw)
    elif isinstance(outcome, Skip):
        known = outcome.reason in SATISFYING
        message = None if known else run.tree.env.gate.text(outcome.reason)
        skip(run, node, outcome.reason if known else "condition", message)
    else:
        park: Park = outcome
        run.tree.push("park", run, node, park)


def complete(run: RunState, node: Node, raw: bytes | None, worked: Worked | None = None) -> None:
    """End a step well, once the reducers of its updates have worked.

    Args:
        run: its run.
        node: the step.
        raw: its result as JSON; None for containers, whose result is assembled.
        worked: what reducers of the user's have made for it.
    """
    if node.program.gated and node.program.review is not None and not (node.decided.gates or {}).get("accepted"):
        run.tree.push("review", run, node, raw)
        return
    node.state, node.phase, node.reason = "completed", None, None
    node.result = raw
    node.failure = None
    node.ended = run.tree.env.moment
    if node.decided.turn is not None:
        turns.end(run, node, "completed", raw=raw)
    if node.program.update is not None:
        try:
            values_of(run, node)
            written = shared.update(run, node, worked)
        except Exception as error:
            node.state, node.result, node.value = "working", None, UNREAD
            fail(run, node, failed_by(run.tree.env.gate, error))
            return
        if not written:
            reducing.wait(run, node, raw)
            return
    if raw is not None and node.program.spec.name == "api_call":
        run.last_response = Response(node.n, raw)
        run.patch(last_response=node.n)
    run.save(node, memo=node.decided is not UNDECIDED and node.scopes is None, result=True)
    run.emit("step_completed", node.address, {"attempt": node.attempt} if node.attempt > 1 else None)
    close(run, node)


def skip(run: RunState, node: Node, reason: str, message: str | None = None) -> None:
    """Skip a step: it counts as satisfied. `reason` is one of `SATISFYING`, `message` says more."""
    node.state, node.phase, node.reason = "canceled", None, reason
    node.ended = run.tree.env.moment
    turns.end(run, node, "canceled", message or reason)
    run.save(node, memo=node.decided is not UNDECIDED)
    run.emit("step_skipped", node.address, {"reason": reason, "message": message} if message else {"reason": reason})
    close(run, node)


def cancel(run: RunState, node: Node, reason: str) -> None:
    """End a step because something else ended."""
    node.state, node.phase, node.reason = "canceled", None, reason
    node.ended = run.tree.env.moment
    turns.end(run, node, "canceled", reason)
    turns.take_back(run, node)
    run.save(node)
    run.emit("step_canceled", node.address, {"reason": reason})
    close(run, node)


def close(run: RunState, node: Node) -> None:
    """Take an ended step out of what is in progress, and let its scope go on."""
    run.live.pop(node.n, None)
    node.lease = None
    node.arrived = None
    if node.n == ROOT:
        run.tree.push("end_run", run)
        return
    limits.give_back(run, node)
    scope = node.scope
    if scope is not None:
        scope.active -= 1
        scope.open -= 1
        order.settled(run, scope, node)


def fail(run: RunState, node: Node, failure: Failure) -> None:
    """Fail an attempt: try again, tolerate, suspend, or fail the step and its scope."""
    failure = run.tree.env.gate.failure(failure)
    if failure.step is None:
        failure = replace(failure, step=node.address)
    node.failure = failure
    node.lease = None
    turns.end(run, node, "failed", failure.message)
    turns.take_back(run, node)
    program = node.program
    halted = node.halting or (node.scope.halted if node.scope is not None else None)
    if node.tries == 0:
        node.attempt, node.tries = node.attempt or 1, 1
    if halted is None and node.n != ROOT:
        if should_retry(program, failure, node.tries):
            _again(run, node, failure)
            return
        if program.on_error == "suspend":
            run.emit("step_failed", node.address, {"error": failure.to_data(), "will_retry": False})
            run.tree.push("suspend", run, node)
            return
        if program.on_error == "continue":
            tolerate(run, node, failure)
            return
    node.state, node.phase, node.reason = "failed", None, _reason(failure)
    node.ended = run.tree.env.moment
    run.save(node)
    run.emit("step_failed", node.address, {"error": failure.to_data(), "will_retry": False})
    if not node.scopes or program.container is None or node.n == ROOT:
        run.failures = added(run.failures, failure)
    if node.scope is not None:
        run.tree.push("scope_failed", run, node.scope, failure)
    close(run, node)


def tolerate(run: RunState, node: Node, failure: Failure) -> None:
    """End a step whose failure its dependents don't mind."""
    run.emit("step_failed", node.address, {"error": failure.to_data(), "will_retry": False, "tolerated": True})
    node.state, node.phase, node.reason = "canceled", None, "tolerated"
    node.ended = run.tree.env.moment
    run.tolerate(node)
    run.save(node, memo=True)
    close(run, node)


def _reason(failure: Failure) -> str | None:
    reasons = {"AF-SKILL-MISSING": "missing_skill", "AF-TIMEOUT": "timeout", "AF-INTERRUPTED": "interrupted"}
    return reasons.get(failure.code)


def _again(run: RunState, node: Node, failure: Failure) -> None:
    """Wait for the next attempt."""
    delay = next_delay(node.program, failure, node.tries, run.tree.env.random)
    run.emit("step_failed", node.address, {"error": failure.to_data(), "will_retry": True, "attempt": node.tries})
    run.emit("step_retrying", node.address, {"attempt": node.tries + 1, "delay": delay})
    node.state, node.phase, node.entered = "working", "backoff", None
    limits.give_back(run, node)
    run.set_timer(node, run.tree.env.moment + delay, "backoff")
    run.save(node, memo=node.program.spec.turns)
