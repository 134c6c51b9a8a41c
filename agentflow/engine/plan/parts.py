"""What `{run.…}` and `{context.…}` show, made when it is read: a run may have thousands of steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentflow.data import salvaged
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.state import RunState
from agentflow.expressions.view import Parts


class RunParts(Parts):
    """A run: id, workflow, entry point, message, state, and states and errors of its top-level steps."""

    __slots__ = ("_node", "_run")

    def __init__(self, run: RunState, node: Node | None = None) -> None:
        """Look at a run, from a step of it."""
        self._run = run
        self._node = node

    def __getitem__(self, name: str) -> Any:
        """Make one of them."""
        run = self._run
        if name == "id":
            return run.id
        if name == "workflow":
            return run.row.workflow
        if name == "entry_point":
            return run.row.entry_point
        if name == "message":
            return _message(run)
        if name == "state":
            return run.state
        if name == "feedback":
            return _feedback(run, self._node)
        if name == "steps":
            return _StepParts((run.root.scopes or {}).get("steps"))
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """Name them."""
        return iter(("id", "workflow", "entry_point", "feedback", "message", "state", "steps"))


class _StepParts(Parts):
    """The top-level steps that were reached, by id."""

    __slots__ = ("_body",)

    def __init__(self, body: Scope | None) -> None:
        self._body = body

    def __getitem__(self, name: str) -> Any:
        body = self._body
        number = None if body is None else body.program.index.get(name)
        node = None if body is None or number is None else body.at(number)
        if node is None:
            raise KeyError(name)
        error = node.failure.to_data() if node.failure is not None else None
        return {"state": node.state, "reason": node.reason, "error": error}

    def __iter__(self) -> Iterator[str]:
        body = self._body
        return iter(()) if body is None else (body.program.steps[number].id for number in body.nodes)


class ContextParts(Parts):
    """The shared keys of a run, and `last_response`, the body of the last api_call."""

    __slots__ = ("_run",)

    def __init__(self, run: RunState) -> None:
        """Look at a run."""
        self._run = run

    def __getitem__(self, name: str) -> Any:
        """Make the value of one key."""
        if name == "last_response" and self._run.last_response is not None:
            return self._run.last_response.body
        shared = self._run.shared
        if shared.broken:
            shared.check(name)
        values = shared.values
        return values[name] if name in values else self._run.program.workflow.context[name].default

    def __iter__(self) -> Iterator[str]:
        """Name the keys."""
        names = dict.fromkeys((*self._run.program.workflow.context, *self._run.shared.values))
        if self._run.last_response is not None:
            names["last_response"] = None
        return iter(names)


def _feedback(run: RunState | None, node: Node | None) -> Any:
    """Return what was said when a step, or one around it, was sent back; None: it wasn't."""
    while run is not None:
        while node is not None:
            gates = node.decided.gates
            if gates is not None and "feedback" in gates:
                return gates["feedback"]
            node = node.scope.owner if node.scope is not None else None
        run, node = run.parent_run, run.parent
    return None


def _message(run: RunState) -> Any:
    raw = getattr(run.row, "start_message", None) or getattr(run.row, "message", None)
    return salvaged(raw) if isinstance(raw, bytes) else None
