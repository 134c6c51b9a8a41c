"""What a container sees of its step: `Frame` over a node of a held run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from agentflow.engine.plan.nodes import Node, Scope
from agentflow.engine.plan.results import NodeBodies
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.expressions import NULLED

RUN_PARALLEL = 64
"""Steps of one run that execute at once, where nothing else is said."""


class NodeFrame(NodeBodies):
    """A container's step."""

    def __init__(self, run: RunState, node: Node) -> None:
        """Look at a node."""
        super().__init__(run, node)
        self.view = NodeView(run, node.scope, node.values)

    @property
    def type(self) -> str:
        """The step's type."""
        return self.node.program.spec.name

    @property
    def address(self) -> str:
        """The step's address."""
        return self.node.address

    @property
    def bodies(self) -> Collection[str]:
        """Keys of the bodies."""
        return self.node.program.bodies

    @property
    def max_parallel(self) -> int:
        """How many bodies may be open at once."""
        program = self.node.program
        limit = program.loop.max_parallel if program.loop else program.step.max_parallel
        return limit or self.run.program.workflow.max_parallel or RUN_PARALLEL

    @property
    def opened(self) -> int:
        """How many bodies were opened in this attempt."""
        return self.node.opened

    @property
    def closed(self) -> int:
        """How many of them have ended."""
        return self.node.closed

    def now(self) -> float:
        """Return the engine's time."""
        return self.run.tree.env.moment

    def field(self, name: str, default: Any = None) -> Any:
        """Return a field of the step, its templates computed."""
        program = self.node.program
        if name in program.raw_config:
            return program.raw_config[name]
        compiled = program.fields.get(name)
        if compiled is None:
            if name == "input" and program.spec.takes_input and self.node.values is not None:
                return dict(self.node.values)
            return default
        return compiled.render(self.view)

    def test(
        self,
        name: str,
        number: int | None = None,
        label: str | None = None,
        bindings: Mapping[str, Any] | None = None,
    ) -> bool:
        """Evaluate a condition field."""
        conditions = self.node.program.conditions[name]
        view = self.view
        if label is not None:
            key = f"steps{label}" if "steps" in self.bodies else f"body{label}"
            scope = (self.node.scopes or {}).get(key)
            view = _Deciding(self.run, self.node, scope, bindings or {})
        return conditions[number or 0].evaluate(view)


class _Deciding(NodeView):
    """Sees the iteration that ended last; before the first one, the steps of the loop's body as null."""

    def __init__(self, run: RunState, node: Node, last: Scope | None, bindings: Mapping[str, Any]) -> None:
        super().__init__(run, last or node.scope, node.values)
        self.bindings = bindings
        self.nulled = () if last else {name for body in node.program.bodies.values() for name in body.index}

    def get(self, namespace: str) -> object:
        return self.bindings[namespace] if namespace in self.bindings else super().get(namespace)

    def step(self, step_id: str) -> object:
        return NULLED if step_id in self.nulled else super().step(step_id)
