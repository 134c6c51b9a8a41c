"""Containers: opening their bodies, hearing of their ends, hooks and compensation, and their own end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from agentflow.data import encode
from agentflow.engine.decided import Canceling, Ended, Ending, lasting
from agentflow.engine.failures import failed_by
from agentflow.engine.gate import CHILD, FIELD, OUTPUT
from agentflow.engine.plan import forgetting, halting, keeping, order, reducing, saga, shared, steps
from agentflow.engine.plan.frame import NodeFrame
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState
from agentflow.engine.program import ScopeProgram
from agentflow.errors import Failure
from agentflow.steps.containers import NOTHING, Container, Move, Opening
from agentflow.steps.unset import UNSET
from agentflow.store.rows import (
    StepRow,
)

LOOPS = frozenset({"for_each", "while", "until", "recur"})
"""Containers whose steps have the number of their iteration in their addresses."""


def _container(node: Node) -> Container:
    container = node.program.container
    if container is None:
        raise TypeError(f"{node.address} is no container")
    return container


def begin(run: RunState, node: Node) -> None:
    """Enter a container."""
    node.attempt += 1
    if node.entered is None:
        node.tries += 1
    node.state, node.phase, node.reason = "working", "scope", None
    node.started = run.tree.env.moment if node.started is None else node.started
    node.opened = node.closed = 0
    node.scopes = {}
    node.decided = lasting(node.decided)
    if node.program.timeout is not None:
        run.set_timer(node, run.tree.env.moment + node.program.timeout, "scope_timeout")
    kept = keeping.taken(run, node.address)
    if kept is None:
        _let(run, node, lambda container, frame: container.start(frame), begins=True)
    else:
        _go_on(run, node, kept)


def _go_on(run: RunState, node: Node, row: StepRow) -> None:
    """Enter a container of which a retry keeps what is done: the bodies that aren't done yet go on."""
    node.decided = keeping.decided(row)
    frame = NodeFrame(run, node)
    openings = _container(node).restore(frame, ())
    run.save(node, memo=True)
    total = len(frame.memo["items"]) if "items" in frame.memo else None
    run.emit("step_started", node.address, {"attempt": node.tries, **_counts(node, total)})
    last: Scope | None = None
    for opening in openings:
        last = open_body(run, node, opening)
        if last.open == 0:
            last.closed = True
            node.closed += 1
    if last is not None and node.closed == node.opened:
        last.closed = False  # the container is told of one, and decides what comes next
        node.closed -= 1


def restart(run: RunState, node: Node) -> None:
    """Enter a container again after a failed attempt: its steps go on with their attempt numbers."""
    if not node.attempt:  # it only waited for a slot
        begin(run, node)
        return
    if not shared.take_back(run, node):
        reducing.wait_again(run, node)
        return
    keeping.drop(run, node)
    forgetting.forget_past(run, node)
    for scope in (node.scopes or {}).values():
        forgetting.forget(run, scope)
    run.tolerate(node, -node.tolerated)
    begin(run, node)


def fired(run: RunState, node: Node) -> None:
    """A container's timer fired."""
    _let(run, node, lambda container, frame: container.fired(frame))


def _let(run: RunState, node: Node, act: Callable[[Container, NodeFrame], Move], *, begins: bool = False) -> None:
    """Ask a container for its next move and carry it out."""
    move, failure = NOTHING, None
    try:
        move = act(_container(node), NodeFrame(run, node))
        _check(run, move)
    except Exception as error:
        failure = failed_by(run.tree.env.gate, error)
    if begins:
        run.emit("step_started", node.address, {"attempt": node.tries, **_counts(node, move.total)})
    if failure is None:
        _carry_out(run, node, move)
    else:
        node.failure = failure
        run.tree.push("body_done", run, node)


def _counts(node: Node, total: int | None) -> dict[str, int]:
    """Return what a loop begins with, for those who count: its items, and the steps of an iteration."""
    body = node.program.bodies.get("steps")
    counts = {} if total is None else {"items": total}
    return counts if body is None or not _repeats(node) else {**counts, "steps": len(body.steps)}


def _repeats(node: Node) -> bool:
    """Tell whether a container opens its steps more than once, under addresses of their own."""
    return node.program.spec.name in LOOPS


def _check(run: RunState, move: Move) -> None:
    """Refuse what couldn't be read back of what a container wants to have stored."""
    gate = run.tree.env.gate
    if move.memo is not UNSET:
        for value in move.memo.values():
            gate.encoded(value, FIELD)
    if move.child is not None:
        gate.encoded(move.child.input, CHILD)
    if move.end is not None and move.end.output is not UNSET:
        gate.encoded(move.end.output, OUTPUT)


def _carry_out(run: RunState, node: Node, move: Move) -> None:
    if move.memo is not UNSET:
        node.decided = node.decided._replace(own=move.memo)
    if move.due is not None:
        node.phase = "timer"
        run.set_timer(node, move.due, "timer")
    if move.memo is not UNSET or move.due is not None or node.opened == 0:
        run.save(node, memo=True)
    for opening in move.openings:
        open_body(run, node, opening)
    if move.failure is not None:
        node.failure = move.failure
    if move.done or move.failure is not None:
        run.tree.push("body_done", run, node)
    if move.child is not None:
        run.tree.push("start_child", run, node, move.child)
    if move.end is not None:
        run.tree.push("end_early", run, node, move.end)


def open_body(run: RunState, node: Node, opening: Opening, *, start: bool = True) -> Scope:
    """Open one body of a container."""
    scopes = node.scopes if node.scopes is not None else {}
    node.scopes = scopes
    key = opening.body + opening.label
    scope = _made(node, opening)
    if node.program.spec.name in forgetting.KEEPS_LAST and scopes:
        scope.previous = next(reversed(scopes.values()))
        scope.previous.previous = None
        if not forgetting.kept(node):
            for old in [k for k, s in scopes.items() if s is not scope.previous]:
                forgetting.remember(run, node, scopes.pop(old))
    elif key in scopes and start:
        forgetting.forget(run, scopes[key])
    elif start and node.program.spec.name == "poll":  # its last look isn't in memory: the run was let go meanwhile
        forgetting.forget_past(run, node)
    scopes[key] = scope
    node.opened += 1
    if start:
        keeping.fill(run, scope, open_body)
        run.tree.push("start_scope", run, scope)
    return scope


def reopen(node: Node, openings: Sequence[Opening]) -> Sequence[Scope]:
    """Open the bodies that were open when it was read, of a container that keeps all of them."""
    scopes = [_made(node, opening) for opening in openings]
    node.scopes = {**(node.scopes or {}), **{scope.body + scope.label: scope for scope in scopes}}
    node.opened += len(scopes)
    return scopes


def _made(node: Node, opening: Opening) -> Scope:
    program, body = node.program, opening.body
    scope = Scope(node, program.bodies[body], prefix_of(node, opening), body=body, label=opening.label)
    scope.exact = exact_of(node, opening)
    scope.bindings = opening.bindings
    if program.spec.name == "parallel" and not program.is_root:
        scope.limit = program.step.max_parallel
    return scope


def prefix_of(node: Node, opening: Opening) -> str:
    """Return the prefix of addresses inside a body of a step: `box/`, `fetch[3]/`, `route/case[0]/`."""
    if opening.body != "steps":
        return f"{node.address}/{opening.body}/"
    return f"{node.address}{opening.label}/" if node.address else ""


def exact_of(node: Node, opening: Opening) -> str | None:
    """Return the address of the only step inside a body of a step, where it isn't prefix + id."""
    if node.program.loop is not None:
        return f"{node.address}{opening.label}"
    return f"{node.address}/{opening.body}" if node.program.bodies[opening.body].single else None


def scope_failed(run: RunState, scope: Scope, failure: Failure) -> None:
    """A step failed: stop the others as `on_error_siblings` says."""
    if scope.failure is None:
        scope.failure = failure
    policy = scope.program.holder.siblings
    if scope.halted is None and policy != "continue":
        halting.halt_scope(run, scope, "sibling_failed", interrupt=policy == "cancel")
    run.tree.checks[scope] = run


def scope_closed(run: RunState, scope: Scope) -> None:
    """A scope has ended: tell its container."""
    node = scope.owner
    if scope.stage == "compensate":
        saga.compensated(run, scope)
        return
    if scope.stage != "body":
        _hook_closed(run, node, scope)
        return
    node.closed += 1
    if scope.failure is not None and node.halting is None and node.decided.early is None:
        if node.failure is None:
            node.failure = scope.failure
        policy = node.program.siblings
        if policy != "continue":
            for other in list((node.scopes or {}).values()):
                if not other.closed:
                    halting.halt_scope(run, other, "sibling_failed", interrupt=policy == "cancel")
    stopping = node.halting is not None or (node.failure is not None and node.program.siblings != "continue")
    if stopping or node.decided.early is not None:
        if all(other.closed for other in (node.scopes or {}).values()):
            run.tree.push("body_done", run, node)
        return
    _let(run, node, lambda container, frame: container.ended(frame, scope.label))


def body_done(run: RunState, node: Node) -> None:
    """The body of a container has ended, well or not: hooks and compensation come next, then its own end."""
    early = node.decided.early
    if node.decided.ending is not None or node.settled:
        return
    outcome: Ended
    if early is not None:
        outcome = early.state
        if outcome != "completed":
            message = early.message or f"ended early as {outcome}"
            node.failure = Failure("AF-RUN-ENDED", message, kind="canceled", retryable=False, step=early.by)
        else:
            node.failure = None
    elif node.halting is not None:
        outcome = "canceled"
    else:
        outcome = "failed" if node.failure is not None else "completed"
    stages: list[str] = []
    force = run.forced
    if node.program.spec.name == "saga" and outcome != "completed" and not force:
        stages.append("compensate")
    hooks = node.program.hooks
    if outcome in {"completed", "failed", "rejected"}:
        hook = "on_success" if outcome == "completed" else "on_failure"
        if hook in hooks:
            stages.append(hook)
    if "finally" in hooks and not force:
        stages.append("finally")
    node.decided = node.decided._replace(ending=Ending(outcome, tuple(stages), node.failure, node.halting))
    node.phase = "scope"
    if stages:
        run.save(node, memo=True)
    next_stage(run, node)


def next_stage(run: RunState, node: Node) -> None:
    """Open the next hook or compensation, or end the container."""
    ending = node.decided.ending or Ending("failed", failure=node.failure)
    if not ending.stages or run.forced:
        _settle(run, node, ending.outcome)
    elif ending.stages[0] == "compensate":
        saga.begin(run, node)
    else:
        hook = node.program.hooks[ending.stages[0]]
        open_hook(run, node, ending.stages[0], hook)


def open_hook(run: RunState, node: Node, name: str, program: ScopeProgram, *, start: bool = True) -> Scope:
    """Open the scope of a hook."""
    scope = Scope(node, program, f"{node.address}#{name}/", body=f"#{name}")
    scope.stage = name
    scopes = node.scopes if node.scopes is not None else {}
    node.scopes = scopes
    scopes[f"#{name}"] = scope
    if start:
        run.tree.push("start_scope", run, scope)
    return scope


def _hook_closed(run: RunState, node: Node, scope: Scope) -> None:
    ending = node.decided.ending or Ending("completed")
    if scope.failure is not None:
        run.emit("hook_failed", node.address or None, {"hook": scope.stage, "error": scope.failure.to_data()})
        if scope.stage != "finally":
            run.tolerate(node)
        elif ending.outcome == "completed":
            ending = replace(ending, outcome="failed", failure=scope.failure)
            node.failure = scope.failure
    stages = tuple(stage for stage in ending.stages if stage != scope.stage)
    node.decided = node.decided._replace(ending=replace(ending, stages=stages))
    run.save(node, memo=True)
    next_stage(run, node)


def _settle(run: RunState, node: Node, outcome: str) -> None:
    """End a container as its body, hooks and compensation left it."""
    run.drop_timer(node, "timer") if node.due is not None else None
    if node.program.timeout is not None:
        run.drop_timer(node, "scope_timeout")
    if node.program.is_root:
        node.state = "completed" if outcome == "completed" else "failed"
        node.ended = run.tree.env.moment
        run.tree.push("end_run", run)
        return
    if outcome == "completed":
        early = node.decided.early
        raw = encode(early.output) if early is not None and early.output is not UNSET else None
        steps.complete(run, node, raw)
    elif outcome == "canceled":
        steps.cancel(run, node, node.halting or "run_canceled")
    else:
        node.decided = node.decided._replace(ending=None, early=None)
        failure = node.failure or Failure("AF-STEP-FAILED", "the step failed")
        steps.fail(run, node, failure)


def timed_out(run: RunState, node: Node) -> None:
    """A container took longer than its timeout: interrupt what runs in it, then it fails."""
    if node.decided.ending is not None:
        return
    seconds = node.program.timeout or 0.0
    node.failure = Failure(
        "AF-TIMEOUT", f'step "{node.address}" ran longer than {seconds:g}s', kind="timeout", step=node.address
    )
    node.decided = node.decided._replace(late=node.failure)
    if node.phase == "timer":
        run.drop_timer(node, "timer")
        node.phase = "scope"
    run.save(node, memo=True)
    if node.phase == "child":
        child = next(child for child in run.children.values() if child.parent is node)
        run.tree.push("cancel_run", child, Canceling("parent", reason="timeout"))
        return
    still = [scope for scope in (node.scopes or {}).values() if not scope.closed]
    for scope in still:
        halting.halt_scope(run, scope, "timeout", interrupt=True)
    if not still:
        run.tree.push("body_done", run, node)


def start_scope(run: RunState, scope: Scope) -> None:
    """Let a scope's first steps start."""
    order.start_scope(run, scope)
