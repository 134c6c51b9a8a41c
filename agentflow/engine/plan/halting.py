"""Stopping what is in progress: after a sibling's failure, a timeout, an early end, a cancel."""

from __future__ import annotations

from dataclasses import replace

from agentflow.engine.decided import UNDECIDED
from agentflow.engine.plan import reducing, steps, waiting
from agentflow.engine.plan.effects import Interrupt
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState


def halt_scope(run: RunState, scope: Scope, reason: str, *, interrupt: bool) -> None:
    """Let nothing new start in a scope. Open waits and timers end at once; running steps only with `interrupt`."""
    if scope.closed:
        return
    if scope.halted is None:
        scope.halted = reason
    elif not interrupt:
        return
    scope.held = None
    for node in scope.unsettled():
        if not node.settled:  # what ended before it may have ended this one too
            halt_node(run, node, reason, interrupt)
    run.tree.checks[scope] = run


def halt_node(run: RunState, node: Node, reason: str, interrupt: bool) -> None:
    """Stop one step in progress."""
    if node.phase == "run":
        if interrupt and node.halting is None:
            node.halting = reason  # one that hasn't begun yet doesn't begin
            run.tree.effects.append(Interrupt(run.key, node.n, node, reason))
    elif reducing.waits(node):  # what it does is done: only its reducers are still to work
        if interrupt:
            reducing.end(node)
            steps.cancel(run, node, reason)
    elif node.n in run.queueing:
        steps.cancel(run, node, reason)
    elif node.phase == "child":
        run.tree.push("halt_child", run, node, reason, interrupt)
    elif node.program.container is not None and node.scopes is not None:
        _halt_container(run, node, reason, interrupt=interrupt)
    elif node.phase is None and node.attempt == 0 and node.decided is UNDECIDED:
        _withdraw(run, node)
    else:
        waiting.close_wait(run, node, reason)
        for kind in ("timer", "backoff"):
            if node.phase == kind:
                run.drop_timer(node, kind)
        steps.cancel(run, node, reason)


def _halt_container(run: RunState, node: Node, reason: str, *, interrupt: bool) -> None:
    if node.phase in {"backoff", "wait"}:  # between two attempts, or its operator's: its hooks are over
        if node.phase == "wait":
            waiting.close_wait(run, node, reason)
        else:
            run.drop_timer(node, "backoff")
        steps.cancel(run, node, reason)
        return
    if node.decided.ending is not None:
        if run.forced:
            _halt_stages(run, node, reason)
        elif interrupt:
            halt_hooks(run, node, reason)
        return
    if node.halting is None:
        node.halting = reason
    if node.phase == "timer":
        run.drop_timer(node, "timer")
        node.phase = "scope"
    still = [scope for scope in node.scopes.values() if not scope.closed] if node.scopes else []
    for scope in still:
        halt_scope(run, scope, reason, interrupt=interrupt)
    if not still:
        run.tree.push("body_done", run, node)


def halt_hooks(run: RunState, node: Node, reason: str) -> None:
    """Stop `on_success` and `on_failure` of a container whose body is over; `finally` and compensation go on."""
    for scope in list((node.scopes or {}).values()):
        if scope.closed or scope.stage not in {"on_success", "on_failure"}:
            continue
        ending = node.decided.ending
        if ending is not None and ending.outcome == "completed":
            node.halting = reason
            node.decided = node.decided._replace(ending=replace(ending, outcome="canceled", halting=reason))
            run.save(node, memo=True)
        halt_scope(run, scope, reason, interrupt=True)


def _halt_stages(run: RunState, node: Node, reason: str) -> None:
    """A forced cancel ends hooks and compensations too."""
    stack = [node]
    while stack:
        for scope in list((stack.pop().scopes or {}).values()):
            if not scope.closed and (scope.owner is node or scope.saga is node):
                halt_scope(run, scope, reason, interrupt=True)
            stack.extend(scope.holders())


def _withdraw(run: RunState, node: Node) -> None:
    """Take back a step that was reached but never started: it stays `submitted`."""
    node.state = "canceled"
    run.live.pop(node.n, None)
    if node.scope is not None:
        node.scope.nodes.pop(node.member, None)
        node.scope.active -= 1
        run.tree.checks[node.scope] = run
