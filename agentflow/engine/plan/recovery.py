"""What becomes of steps whose host died or stopped."""

from __future__ import annotations

from agentflow.engine.plan import interrupting, reducing, steps, turns
from agentflow.engine.plan.effects import Reap
from agentflow.engine.plan.nodes import Node, is_stopped
from agentflow.engine.plan.state import RunState
from agentflow.errors import Failure
from agentflow.steps.unset import UNSET

MAX_CRASHES = 5
"""A step that was running in this many deaths of a host isn't tried again."""


def interrupted(run: RunState, node: Node) -> None:
    """A step was executing when its host died: it is entered again, unless it may not be."""
    if node.phase != "run":
        return
    run.running -= 1
    _reap(run, node)
    if not node.decided.unbegun:
        node.crashes += 1
    if node.decided.stopping is not None:
        turn_canceled(run, node, node.decided.stopping)
    elif node.halting is not None or is_stopped(node):
        reducing.end(node)
        steps.cancel(run, node, node.halting or (node.scope.halted if node.scope else None) or "run_canceled")
    elif node.program.step.at_most_once and not reducing.waits(node):
        interrupting.over(run, node)
    elif node.crashes >= MAX_CRASHES:
        reducing.end(node)
        message = f'step "{node.address}" was running in {node.crashes} crashes of its process'
        hint = "look at what the step does to the process: memory, native code, signals"
        steps.fail(run, node, Failure("AF-STEP-CRASHED", message, kind="crash", retryable=False, hint=hint))
    else:
        node.phase = None
        run.tree.broken_off = True
        parked = node.decided.parked
        middle = parked is not None and parked.arrived is not UNSET
        if middle:  # else it would look, read anew, like one that goes on after its wait in the same attempt
            node.decided = node.decided._replace(unbegun=True)
        run.save(node, memo=middle)  # while it only queues, a crash isn't one of its own
        if reducing.waits(node):
            reducing.queue(run, node)
        else:
            node.entered = "crash"
            _enter_again(run, node)


def _enter_again(run: RunState, node: Node) -> None:
    """Queue a step that was broken off, if it may go on: what it has begun may, all else is approved as it is now."""
    if node.program.gated and node.program.approve is not None and node.decided.saved is UNSET:
        run.tree.push("approve", run, node)
    else:
        steps.queue(run, node)


def _reap(run: RunState, node: Node) -> None:
    """Have ended what an attempt has left behind, before the step is claimed again."""
    reap = node.program.spec.reap
    if reap is not None and node.decided.saved is not UNSET:
        run.tree.effects.append(Reap(node.address, reap, node.decided.saved))


def turn_canceled(run: RunState, node: Node, message: str) -> None:
    """Fail a step whose agent's turn was cancelled, and which nobody is at work on any more."""
    node.halting = None
    turns.end(run, node, "canceled", message)
    steps.fail(run, node, Failure("AF-AGENT-CANCELED", message, kind="wait", retryable=False))


def requeue(run: RunState, node: Node) -> None:
    """A step was ready, or stopped in good order: it waits for a slot again."""
    if reducing.waits(node):
        reducing.queue(run, node)
        return
    interrupted = node.entered == "crash" and node.attempt > 0
    if node.scope is not None and node.scope.halted is not None and (is_stopped(node) or not interrupted):
        steps.cancel(run, node, node.scope.halted)
    elif node.program.is_leaf and interrupted:
        _enter_again(run, node)
    elif node.program.is_leaf and (node.entered == "park" or not node.program.gated):
        steps.queue(run, node)
    else:
        run.tree.push("again", run, node)


def reenter(run: RunState, node: Node) -> None:
    """A container had decided nothing yet, or all its bodies are still to be opened."""
    container = node.program.container
    if container is None or node.scopes:
        return
    if node.failure is not None or node.halting is not None:
        run.tree.push("body_done", run, node)
        return
    node.attempt -= 1
    node.entered = "crash"
    run.tree.push("begin_container", run, node)
