"""`@step`: a function that is a step of any workflow, and stays a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, overload

from agentflow.definition.given import function_name, required
from agentflow.definition.models import GivenStep, Step
from agentflow.errors import DefinitionError, Problem
from agentflow.steps.building import Common
from agentflow.steps.building import step as build
from agentflow.steps.unset import UNSET

P = ParamSpec("P")
R = TypeVar("R")


class StepFunction(Generic[P, R]):
    """A function that workflows call as a step. Called itself, it is the function that it was."""

    def __init__(self, function: Callable[P, R], common: Common) -> None:
        """Made by `@step`."""
        update_wrapper(self, function)
        self.function = function
        """The function itself."""
        self._common = common

    def __call__(self, *args: P.args, **keywords: P.kwargs) -> R:
        """Call the function, outside of any run."""
        return self.function(*args, **keywords)

    def step(self, id: str | None = None, *, input: Any = UNSET, **common: Unpack[Common]) -> Step:  # noqa: A002  named as in YAML
        """Return a step that calls the function.

        Args:
            id: unique in its scope; default: the function's name.
            input: its arguments by name, or its one argument; templates such as `"{input.amount}"` are computed.
            common: the common fields; those that `@step(…)` was given hold where they aren't given here.

        Raises:
            DefinitionError: a field has a value that it can't have, or the function has no name that others find it by.
        """
        own = str(getattr(self.function, "__name__", "function"))
        name = id or own
        fields: Common = {**self._common, **common}
        if input is UNSET and "with_" not in fields and (takes := required(self.function)):
            given = ", ".join(f'"{one}": …' for one in takes)
            what = f'function "{own}" takes {", ".join(takes)}, and as a bare step it is given nothing'
            raise DefinitionError([Problem("AF-STEP-INVALID", what, hint=f"{own}.step(input={{{given}}})")])
        made = build(name, "python", {"function": function_name(name, self), "input": input}, fields)
        return GivenStep.of(made, self.function)

    def __repr__(self) -> str:
        """Return it as a debugger shows it: the function's name and parameters."""
        return f"@step {getattr(self.function, '__qualname__', self.function)}{inspect.signature(self.function)}"

    def __step__(self) -> Step:
        """Return what stands for it where a step may stand."""
        return self.step()


@overload
def step(function: Callable[P, R], /) -> StepFunction[P, R]: ...
@overload
def step(**common: Unpack[Common]) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...
@overload
def step(
    id: str,
    type: str,
    config: Mapping[str, Any] | None = None,
    common: Common | None = None,
    bodies: Mapping[str, Any] | None = None,
) -> Step: ...
def step(*args: Any, **fields: Any) -> Any:
    """Make a function a step: `@step`, or `@step(retry=3, timeout="5m")` with any of the common fields.

    ```python
    @step(retry=3)
    def score(amount: float) -> float:
        return amount / 2

    Workflow(id="w", steps=[score.step(input={"amount": "{input.amount}"})])
    ```

    Called with an id and a type it makes a step of any type, your own ones included: `step("a", "set", {"value": 1})`.
    """
    first = args[0] if args else None
    if isinstance(first, str) or "id" in fields:
        return build(*args, **fields)
    if callable(first) and len(args) == 1 and not fields:
        return StepFunction(first, {})
    if args or set(fields) - Common.__annotations__.keys():
        wrong = next((name for name in fields if name not in Common.__annotations__), None)
        what = f'@step has no field "{wrong}"' if wrong else "@step(…) takes the common fields by name"
        raise DefinitionError([Problem("AF-STEP-INVALID", what, hint='@step(retry=3, timeout="5m")')])
    common: Any = fields

    def decorate(function: Callable[P, R]) -> StepFunction[P, R]:
        return StepFunction(function, common)

    return decorate
