"""Results of steps that have ended, as plain data; those of containers are assembled of what they hold."""

from __future__ import annotations

from typing import Any

from agentflow.engine.plan.carried import UNREAD
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState
from agentflow.engine.unreadable import read_result


class NodeBodies:
    """What a container sees of its bodies' results."""

    def __init__(self, run: RunState, node: Node) -> None:
        """Look at a node."""
        self.run = run
        self.node = node

    @property
    def memo(self) -> dict[str, Any]:
        """What the container stored last."""
        return self.node.decided.own or {}

    def result_of(self, body: str, label: str = "") -> Any:
        """Return the result of a body that has ended."""
        scope = (self.node.scopes or {}).get(body + label)
        return scope_result(self.run, scope) if scope is not None else None


def result_value(run: RunState, node: Node) -> Any:
    """Return a settled step's result."""
    if node.value is UNREAD:
        if node.result is not None:
            node.value = read_result(node.result, node.address)
        elif node.program.container is not None and node.state == "completed":
            node.value = node.program.container.result(NodeBodies(run, node))
        else:
            node.value = None
    return node.value


def scope_result(run: RunState, scope: Scope) -> Any:
    """Return a scope's result: of a single body its step's, of a list the map by id."""
    if scope.program.single:
        node = scope.at(0)
        return result_value(run, node) if node is not None else None
    values: dict[str, Any] = {}
    for number, step in enumerate(scope.program.steps):
        node = scope.at(number)
        values[step.id] = result_value(run, node) if node is not None else None
    return values
