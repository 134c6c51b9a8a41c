"""Steps that wait until reducers of the user's have worked, in a thread: it is in the store that they wait.

Such a step queues for a slot, as one that is to be executed does. So whatever stops or interrupts steps goes for it.
"""

from __future__ import annotations

from heapq import heappush

from agentflow.engine.decided import Decided, lasting
from agentflow.engine.plan.carried import UNREAD
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState


def waits(node: Node) -> bool:
    """Tell whether a step waits for reducers."""
    return node.entered == "reducing"


def stored(node: Node) -> bool:
    """Tell whether a step waits for reducers, as its row was read."""
    return node.phase in {None, "run"} and not node.settled and node.decided.reducing


def wait(run: RunState, node: Node, raw: bytes | None) -> None:
    """Let a step that is to be completed with a result wait for reducers."""
    node.result = raw
    _wait(run, node, node.decided._replace(reducing=True))


def wait_again(run: RunState, node: Node) -> None:
    """Let a container that is to be tried again wait for reducers."""
    _wait(run, node, lasting(node.decided)._replace(stage="due", reducing=True))


def _wait(run: RunState, node: Node, decided: Decided) -> None:
    node.state, node.ended, node.value, node.decided = "working", None, UNREAD, decided
    run.save(node, memo=True, result=True)
    queue(run, node)


def queue(run: RunState, node: Node) -> None:
    """Let a step queue that waits for reducers. It keeps the slot of its key, if it has one."""
    node.phase, node.entered = None, "reducing"
    heappush(run.ready, (node.n, node))


def tries_again(node: Node) -> bool:
    """Tell whether a container waits to be tried again, rather than to be completed."""
    return node.decided.stage == "due"


def end(node: Node) -> None:
    """Let a step wait no more, if it does."""
    if waits(node):
        node.result = node.entered = None
        node.decided = node.decided._replace(reducing=False)
