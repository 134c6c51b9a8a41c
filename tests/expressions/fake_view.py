"""A view over plain data, for tests."""

from __future__ import annotations

from typing import Any

from agentflow.expressions import NAMESPACES, compile_condition, compile_value
from agentflow.expressions.view import Dialect


class FakeView:
    """Namespaces and results by name; `optional` holds what schemas declare as optional, such as `input.size`."""

    def __init__(self, *, steps: dict[str, Any] | None = None, optional: tuple[str, ...] = (), **names: Any) -> None:
        """Make a view; names are namespaces such as `input`."""
        self.steps = steps or {}
        self.names = names
        self._optional = frozenset(optional)
        self.asked: list[str] = []

    def get(self, namespace: str) -> object:
        """Return a namespace's value."""
        self.asked.append(namespace)
        return self.names[namespace]

    def step(self, step_id: str) -> object:
        """Return a step's result."""
        self.asked.append(f"steps.{step_id}")
        if step_id not in self.steps:
            raise KeyError(list(self.steps))
        return self.steps[step_id]

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        """Tell whether a value is declared, as optional."""
        return ".".join(map(str, (namespace, *path))) in self._optional

    def search(self, name: str) -> object:
        """Look where distri looks."""
        for place in (
            self.names.get("input", {}),
            self.steps,
            self.names.get("env", {}),
            self.names.get("context", {}),
        ):
            if name in place:
                return place[name]
        raise KeyError(name)


def render(value: Any, view: FakeView, *names: str, dialect: Dialect = "agentflow") -> Any:
    """Compile a template, and render it."""
    return compile_value(value, NAMESPACES | frozenset(names), dialect=dialect).render(view)


def holds(condition: str | bool, view: FakeView, *names: str, dialect: Dialect = "agentflow") -> bool:
    """Compile a condition, and evaluate it."""
    return compile_condition(condition, NAMESPACES | frozenset(names), dialect=dialect).evaluate(view)
