"""A view over plain dicts, as tests give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest

from agentflow.errors import StepError
from agentflow.expressions import NAMESPACES, ExpressionError, ReferenceMissing, compile_condition, compile_value
from agentflow.expressions.view import Dialect


class Fake:
    """What a run would show."""

    def __init__(
        self,
        steps: Mapping[str, object] | None = None,
        *,
        optional: tuple[str, ...] = (),
        root: Mapping[str, object] | None = None,
        **names: object,
    ) -> None:
        """Make a view.

        Args:
            steps: results by step id.
            optional: dotted paths that a schema declares as optional.
            root: distri's root, searched last.
            names: values of the other namespaces.
        """
        self.names = dict(names)
        self.steps = dict(steps or {})
        self.declared = optional
        self.root = root or {}
        self.read: list[str] = []
        self.asked: list[str] = []

    def get(self, namespace: str) -> object:
        self.read.append(namespace)
        return self.names[namespace]

    def step(self, step_id: str) -> object:
        self.read.append(f"steps.{step_id}")
        if step_id not in self.steps:
            raise KeyError(list(self.steps))
        return self.steps[step_id]

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        self.asked.append(".".join(map(str, (namespace, *path))))
        return self.asked[-1] in self.declared

    def search(self, name: str) -> object:
        places: tuple[Any, ...] = (self.names.get("input"), self.steps, self.names.get("env"), self.root)
        for place in places:
            if isinstance(place, dict) and name in place:
                return place[name]  # pyright: ignore[reportUnknownVariableType]  tests' own data
        raise KeyError(name)


def render(template: Any, view: Fake, names: frozenset[str] = NAMESPACES, dialect: Dialect = "agentflow") -> Any:
    """Compile and render."""
    return compile_value(template, names, dialect=dialect).render(view)


def holds(
    condition: str | bool, view: Fake, names: frozenset[str] = NAMESPACES, dialect: Dialect = "agentflow"
) -> bool:
    """Compile and evaluate."""
    return compile_condition(condition, dialect=dialect).evaluate(view)


T = TypeVar("T")


def attempt(do: Callable[[], T]) -> T | StepError:
    """Return what comes of it, an error of a step included."""
    try:
        return do()
    except StepError as error:
        return error


def refused(compile_it: Callable[[], object]) -> ExpressionError:
    """Return the error of something that must not compile."""
    with pytest.raises(ExpressionError) as caught:
        compile_it()
    return caught.value


def lacks(evaluate: Callable[[], object]) -> ReferenceMissing:
    """Return the error of a reference that must have no value."""
    with pytest.raises(ReferenceMissing) as caught:
        evaluate()
    return caught.value
