"""What templates and conditions see from one place in a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentflow.data import is_object
from agentflow.definition.inputs import schema_allows_missing
from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.parts import ContextParts, RunParts
from agentflow.engine.plan.results import result_value
from agentflow.engine.plan.state import RunState
from agentflow.expressions import NULLED


class NodeView:
    """The view of a step, looking outwards from its scope."""

    __slots__ = ("lenient", "node", "run", "scope", "values")

    def __init__(
        self,
        run: RunState,
        scope: Scope | None,
        values: Mapping[str, Any] | None = None,
        *,
        lenient: bool = False,
        node: Node | None = None,
    ) -> None:
        """Make a view.

        Args:
            run: the run.
            scope: where the step stands; None for the run itself.
            values: the step's `with`, computed.
            lenient: steps that never ran are null, as in hooks and compensation.
            node: the step itself; it sees what was said when it was sent back.
        """
        self.run = run
        self.scope = scope
        self.values = values
        self.lenient = lenient
        self.node = node

    def get(self, namespace: str) -> object:
        """Return the value of a namespace."""
        if namespace == "input":
            return self.run.input
        scope = self.scope
        while scope is not None:
            if scope.bindings is not None and namespace in scope.bindings:
                return scope.bindings[namespace]
            scope = scope.owner.scope
        if namespace == "with":
            return {} if self.values is None else self.values
        if namespace == "env":
            return self.run.tree.env.env
        if namespace == "run":
            return RunParts(self.run, self.node or (self.scope.owner if self.scope is not None else None))
        if namespace == "context":
            return ContextParts(self.run)
        if self.values is not None and namespace in self.values:
            return self.values[namespace]
        raise KeyError(namespace)

    def step(self, step_id: str) -> object:
        """Return a step's result."""
        lenient = self.lenient
        for scope in self._outwards():
            lenient = lenient or scope.stage != "body"
            if scope.stage == "compensate" and scope.program.single:
                continue  # the one step that undoes goes by the name of the step that it undoes
            number = scope.program.index.get(step_id)
            if number is None:
                continue
            node = scope.at(number)
            if (node is None or not node.settled) and scope.previous is not None:
                node = scope.previous.at(number)
            if node is None or not node.settled:
                return self._absent(scope, step_id, lenient)
            return self._value(node, step_id, lenient)
        raise KeyError("no step of this name can be seen from here")

    def _outwards(self) -> Iterator[Scope]:
        scope = self.scope
        if scope is None:
            body = (self.run.root.scopes or {}).get("steps")
            if body is not None:
                yield body
            return
        while scope is not None:
            yield scope
            owner = scope.owner
            if scope.stage != "body" and owner.scopes is not None and "steps" in owner.scopes:
                yield owner.scopes["steps"]
            scope = owner.scope

    def _value(self, node: Node, step_id: str, lenient: bool) -> object:
        if node.state == "completed" or node.result is not None:
            return result_value(self.run, node)
        gates = node.decided.gates
        if gates is not None and "worked" in gates and self._undoes(node):
            return gates.get("given")
        if node.satisfied or lenient:
            return NULLED
        raise KeyError(f'"{step_id}" has no result: it is {node.state}')

    def _undoes(self, node: Node) -> bool:
        """Tell whether this is part of what undoes a step: that reads also what nobody has accepted."""
        scope = self.scope
        while scope is not None and not (scope.stage == "compensate" and scope.owner is node):
            scope = scope.owner.scope
        return scope is not None

    def _absent(self, scope: Scope, step_id: str, lenient: bool) -> object:
        if lenient or scope.label:
            return NULLED
        raise KeyError(f'"{step_id}" has no result yet')

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        """Tell whether a schema declares a missing value, as one that may be left out."""
        workflow = self.run.program.workflow
        if namespace == "input":
            return schema_allows_missing(workflow.input_schema, path)
        if namespace == "context":
            return bool(path) and path[0] == "last_response"
        if namespace == "run":
            return True
        if namespace == "steps" and path:
            scope = self.scope
            step_id = str(path[0])
            while scope is not None and step_id not in scope.program.index:
                scope = scope.owner.scope
            program = self.run.program.root.bodies["steps"] if scope is None else scope.program
            number = program.index.get(step_id)
            schema = program.steps[number].config.get("schema") if number is not None else None
            return is_object(schema) and schema_allows_missing(schema, path[1:])
        return False

    def search(self, name: str) -> object:
        """Return distri's `{context.x}`: input, then steps, then env, then the root."""
        if self.values is not None and name in self.values:
            return self.values[name]
        given = self.run.input
        if isinstance(given, dict) and name in given:
            return given[name]  # pyright: ignore[reportUnknownVariableType]  plain JSON
        try:
            return self.step(name)
        except KeyError:
            pass
        env = self.run.tree.env.env
        if name in env:
            return env[name]
        return ContextParts(self.run)[name]
