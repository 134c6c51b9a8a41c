"""Runs: their beginning, their end, child runs, cancel, pause, early ends, and the state that people see."""

from __future__ import annotations

from typing import Any

from agentflow.data import decode, encode
from agentflow.definition.inputs import undeclared
from agentflow.engine.decided import Canceling, Early, ended_as
from agentflow.engine.failures import failed_by
from agentflow.engine.gate import OUTPUT, RESULT
from agentflow.engine.plan import budget_state, chain, halting, keeping, limits, order, steps
from agentflow.engine.plan.containers import open_body
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.results import result_value
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.engine.program import Program
from agentflow.errors import Failure, StepError
from agentflow.steps.containers import Child, End, Opening
from agentflow.steps.unset import UNSET
from agentflow.store.rows import (
    HELD,
    NewRun,
    State,
)


def begin_run(run: RunState) -> None:
    """Start a run: skip what its entry point leaves out, then let the first steps start."""
    if run.state != "working":  # it was created by a process that executes nothing
        run.patch(state="working")
    run.state = "working"
    canceled = run.root.halting is not None
    run.emit("run_started", None, _begun(run), bumps=True)
    scope = open_body(run, run.root, Opening("steps"), start=False)
    run.root.phase = "scope"
    _enter_at(run, scope)
    keeping.fill(run, scope, open_body)
    if canceled:  # before it began
        scope.halted = run.root.halting
    run.tree.push("start_scope", run, scope)


def _begun(run: RunState) -> dict[str, Any]:
    """Return what is told of a run's beginning: its entry point, or the step that started it."""
    told: dict[str, Any] = {"entry_point": run.row.entry_point} if run.row.entry_point else {}
    if run.parent_run is not None and run.parent is not None:
        told |= {"parent_id": run.parent_run.id, "parent_step": run.parent.address}
    return told


def _enter_at(run: RunState, scope: Scope) -> None:
    name = run.row.entry_point
    entry = next((e for e in run.program.workflow.entry_points if e.id == name), None)
    if entry is None or entry.starts_at is None:
        return
    keep = order.reachable(scope.program.order, scope.program.index[entry.starts_at])
    now = run.tree.env.moment
    for number, step in enumerate(scope.program.steps):
        if number in keep:
            continue
        node = run.begin_node(scope, number)
        node.state, node.reason, node.ended = "canceled", "entry_point", now
        if step.id in entry.preset_results:
            node.result = run.tree.env.gate.encoded(entry.preset_results[step.id], RESULT)
        run.save(node, result=True)
        run.emit("step_skipped", node.address, {"reason": "entry_point"})
        steps.close(run, node)


def end_run(run: RunState) -> None:
    """A run's body and hooks are over: give it its end state and tell its parent."""
    ending, early = run.root.decided.ending, run.root.decided.early
    outcome = ending.outcome if ending is not None else "completed"
    failure = run.root.failure
    output: bytes | None = None
    output_step: int | None = None
    if outcome == "completed":
        try:
            output, output_step = _output(run, early)
        except Exception as error:
            outcome, failure = "failed", failed_by(run.tree.env.gate, error)
    elif early is not None and early.output is not UNSET:
        output = encode(early.output)
    run.state = outcome
    now = run.tree.env.moment
    reason = run.root.halting if outcome == "canceled" else None
    error = failure.to_data() if failure is not None and outcome in {"failed", "rejected"} else None
    if error is not None and len(run.failures) > 1:
        error["failures"] = [{"step": f.step, "code": f.code, "message": f.message} for f in run.failures[:100]]
    message = failure.message if error and failure else None
    run.patch(
        state=outcome, reason=reason, error=encode(error) if error else None, output=output, output_step=output_step,
        ended_at=now, message=message, now_text=_summary(failure, error) or "", memo=b"",
    )  # fmt: skip
    kinds = {"completed": "run_completed", "canceled": "run_canceled"}
    told = {"error": error} if error else {"tolerated": run.tolerated} if run.tolerated else None
    run.emit(kinds.get(outcome, "run_failed"), None, told, bumps=True)
    run.waits.clear()
    parent = run.parent_run
    if parent is not None and run.parent is not None:
        run.tree.push("child_ended", parent, run.parent, run, failure)


def _summary(failure: Failure | None, error: Any) -> str | None:
    if failure is None or error is None:
        return None
    return f"{failure.step}: {failure.told}" if failure.step else failure.told


def _output(run: RunState, end: Early | None) -> tuple[bytes | None, int | None]:
    """Return a completed run's output: of an early end, of the `output` template, or of the last step."""
    gate = run.tree.env.gate
    if end is not None and end.output is not UNSET:
        return gate.encoded(end.output, OUTPUT), None
    template = run.program.output
    if template is not None:
        value = template.render(NodeView(run, None))
    else:
        body = (run.root.scopes or {}).get("steps")
        last = body.at(len(body.program.steps) - 1) if body is not None and body.program.steps else None
        if last is None:
            return None, None
        if run.program.output_validator is None and last.program.container is None:
            return None, last.n
        value = result_value(run, last)
    raw = gate.encoded(value, OUTPUT)
    check = run.program.output_validator
    problems = check(value) if check is not None else []
    if problems:
        raise StepError(
            "Output validation failed: " + "; ".join(problems),
            code="AF-OUTPUT-INVALID",
            kind="invalid",
            retryable=False,
        )
    return raw, None


def start_child(run: RunState, node: Node, child: Child) -> None:
    """Start a sub-workflow as a child run, in the commit that parks the step."""
    env = run.tree.env
    program = _child_program(run, child.workflow)
    problem = _child_problem(run, child, program)
    if program is None or problem is not None:
        node.failure = env.gate.failure(problem) if problem is not None else None
        run.tree.push("body_done", run, node)
        return
    key = env.allocate()
    new = NewRun(
        id=env.new_id(), workflow=program.workflow.id, definition=program.digest, input=encode(child.input),
        created_at=env.moment, owner=run.row.owner, tenant=run.row.tenant, agent=run.row.agent,
        context_id=run.row.context_id, parent=run.key, parent_step=node.n, door=run.row.door,
        pins=dict(getattr(run.row, "pins", {})),
    )  # fmt: skip
    state = RunState(run.tree, new, key, program, node)
    state.parent_run = run
    run.tree.runs[key] = state
    run.children[key] = state
    state.changes().create = new
    if run.paused:
        state.paused = True
        state.patch(paused=True)
    node.phase, node.task = "child", new.id
    run.save(node, memo=True)
    run.tree.push("begin_run", state)


def _child_program(run: RunState, name: str) -> Program | None:
    """Return what a sub-workflow's name means in a run: what was pinned, a run that it is part of, or the config's."""
    pinned = run.row.pins.get(name)
    if pinned is not None:
        return run.tree.env.pinned(pinned)
    above: RunState | None = run
    while above is not None:
        if above.row.workflow == name:
            return above.program
        above = above.parent_run
    return run.tree.env.find_workflow(name, run.row.agent)


def _child_problem(run: RunState, child: Child, program: Program | None) -> Failure | None:
    if program is None:
        pinned = child.workflow in run.row.pins
        message = f'no workflow is called "{child.workflow}"'
        if pinned:
            message = f'the definition that workflow "{child.workflow}" had when the run began can\'t be used here'
        return Failure("AF-WORKFLOW-UNKNOWN", message, kind="invalid", retryable=False)
    deep = chain.too_deep(run, child.workflow)
    if deep is not None:
        return deep
    unknown = undeclared(program.workflow, child.input)
    if unknown is not None:
        message = f"Input validation failed: {unknown.message}"
        return Failure("AF-INPUT-UNKNOWN", message, kind="invalid", retryable=False, hint=unknown.hint)
    problems = program.input_validator(child.input) if program.input_validator is not None else []
    if problems:
        message = f'Input validation failed for workflow "{child.workflow}": ' + "; ".join(problems)
        return Failure("AF-INPUT-INVALID", message, kind="invalid", retryable=False)
    return None


def child_ended(run: RunState, node: Node, child: RunState, failure: Failure | None) -> None:
    """A child run has ended: its step ends with its output, or fails."""
    run.children.pop(child.key, None)
    if node.phase != "child":
        return
    node.phase = "scope"
    if child.state == "completed":
        if child.tolerated:
            run.tolerate(node, child.tolerated)
            run.save(node, memo=True)
        node.decided = node.decided._replace(early=Early(output=output_value(child)))
    elif child.state == "canceled" and node.halting is None:
        message = f'the run of "{child.row.workflow}" was canceled'
        canceled = Failure("AF-CHILD-CANCELED", message, kind="canceled", retryable=False)
        node.failure = node.failure or canceled  # its time was over, if it has one already
    elif node.halting is None:
        node.failure = chain.of_child(child, failure, node.address)
    run.tree.push("body_done", run, node)


def output_value(run: RunState) -> Any:
    """Return a completed run's output from its state in memory."""
    output, step = _output(run, run.root.decided.early)
    if output is not None:
        return decode(output)
    body = (run.root.scopes or {}).get("steps")
    last = body.at(step) if step is not None and body is not None else None
    return result_value(run, last) if last is not None else None


def cancel_run(run: RunState, how: Canceling) -> None:
    """Cancel a run and everything below it."""
    if run.ended or (run.cancel is not None and not how.force):
        return
    run.cancel = how
    if run.paused:
        _hold(run, False)
        run.tree.push("go_on", run)
    root = run.root
    root.decided = root.decided._replace(canceling=how)
    ends = root.decided.ending is not None
    run.save(root, memo=True)
    run.emit("run_status", None, {"state": run.state, "canceling": True, "by": how.by}, bumps=True)
    if not ends:
        root.halting = how.reason or "run_canceled"
    still = [s for s in (root.scopes or {}).values() if not s.closed and (s.stage == "body" or how.force)]
    for scope in still:
        halting.halt_scope(run, scope, root.halting or "run_canceled", interrupt=True)
    if ends and not how.force:
        halting.halt_hooks(run, root, how.reason or "run_canceled")
    elif not still and not ends:
        run.tree.push("body_done", run, root)


def _hold(run: RunState, paused: bool) -> None:
    """Change whether a run is paused, for the timers of this transition too: the store moves only older ones."""
    run.paused = paused
    change = run.changes()
    change.timers = [timer._replace(due=timer.due + (HELD if paused else -HELD)) for timer in change.timers]
    if change.patch is not None and change.patch.paused is not None:  # back to what the store has
        change.patch = change.patch._replace(paused=None)
    else:
        run.patch(paused=paused)


def halt_child(run: RunState, node: Node, reason: str, interrupt: bool) -> None:
    """Stop a child run with its step: at once with `interrupt`, else when it only waits."""
    child = next((c for c in run.children.values() if c.parent is node), None)
    if child is None:
        return
    if not interrupt and (child.running or child.ready or child.queueing or child.timing or child.children):
        node.halting = node.halting or None
        return
    node.halting = node.halting or reason
    run.tree.push("cancel_run", child, Canceling("parent", run.forced, reason))


def pause_run(run: RunState, paused: bool) -> None:
    """Hold or go on with a run: while paused nothing starts and timers are held. It goes down to child runs."""
    if run.ended or run.paused == paused:
        return
    _hold(run, paused)
    if paused:
        limits.withdraw(run)
    else:
        run.tree.push("go_on", run)
    run.emit("run_status", None, {"state": run.state, "paused": paused}, bumps=True)
    for child in run.children.values():
        run.tree.push("pause_run", child, paused)


def end_early(run: RunState, node: Node, end: End) -> None:
    """Carry out an `end` step: it completes, and what it ends stops."""
    target: Node | None = node.scope.owner if node.scope is not None else run.root
    while (
        target is not None
        and not target.program.is_root
        and not (end.scope != "run" and target.program.step.id == end.scope and not target.program.inner)
    ):
        target = target.scope.owner if target.scope is not None else None
    target = target or run.root
    message = None if end.message is None else str(end.message)
    early = Early(ended_as(end.state), end.output, message, node.address)
    target.decided = target.decided._replace(early=early)
    run.save(target, memo=True)
    steps.complete(run, node, b"null")
    for scope in list((target.scopes or {}).values()):
        if scope.closed or scope.stage != "body":
            continue
        halting.halt_scope(run, scope, "ended", interrupt=True)
        _leave_out(run, scope)


def _leave_out(run: RunState, scope: Scope) -> None:
    """Mark the steps that an early end leaves out."""
    now = run.tree.env.moment
    for number in range(len(scope.program.steps)):
        if number not in scope.nodes:
            left = run.begin_node(scope, number)
            left.state, left.reason, left.ended = "canceled", "ended", now
            run.save(left)
            run.emit("step_skipped", left.address, {"reason": "ended"})
            steps.close(run, left)


def visible_state(run: RunState) -> State:
    """Return the A2A state of a run that hasn't ended (semantics: waiting only when nothing else can go on).

    A step that waits for a slot can't: the run's own wait, or one beside it, may be what holds it.
    """
    if run.moving or (run.timing and not run.paused):
        return "working"
    kinds = {"auth" if node.state == "auth-required" else "input" for node in run.waits.values()}
    for child in run.children.values():
        if child.state == "input-required":
            kinds.add("input")
        elif child.state == "auth-required":
            kinds.add("auth")
        elif not _only_queues(child):
            return "working"
    if not kinds:
        return "working"
    return "auth-required" if kinds == {"auth"} else "input-required"


def _only_queues(run: RunState) -> bool:
    """Tell whether steps wait for slots in a run, or in those below it, and nothing else is to be done in these."""
    if run.moving or (run.timing and not run.paused) or not (run.queueing or run.children):
        return False
    return all(child.state != "working" or _only_queues(child) for child in run.children.values())


def update_states(run: RunState) -> None:
    """Note changed states, from a run up to the root; of one that still waits also that it asks for something else."""
    current: RunState | None = run
    anew = False
    while current is not None:
        anew = anew or current.asks_anew
        current.asks_anew = False
        if not current.ended:
            state = visible_state(current)
            text = _waiting_text(current) if state != "working" else None
            if state != current.state or (anew and state != "working"):
                if state != current.state and current.tree.treasury is not None:
                    budget_state.turned(current, state)
                current.state = state
                current.patch(state=state, now_text=text or "")
                current.emit("run_status", None, {"state": state}, bumps=True)
                step = current.parent
                if state != "working" and step is not None and step.scope is not None and step.scope.halted:
                    current.tree.push("cancel_run", current, Canceling("parent", reason=step.scope.halted))
        current = current.parent_run


def _waiting_text(run: RunState) -> str | None:
    node = next(iter(run.waits.values()), None)
    return f"{node.address} waits" if node is not None else None
