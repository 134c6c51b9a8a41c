"""Data as objects of a type of the user's."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from agentflow.errors import AgentflowError, InputError
from agentflow.steps.typed_arguments import told

T = TypeVar("T")


def typed(value: Any, model: type[T], what: str) -> T:
    """Return data as a pydantic model, a dataclass, a TypedDict or any other type that pydantic knows.

    Raises:
        AgentflowError: it is no such type.
        InputError: the data doesn't fit it; `what` names the data.
    """
    try:
        adapter = TypeAdapter(model)
    except (PydanticUserError, TypeError) as error:
        what = f"output_model= takes a type that data can have, not {model!r}"
        old = isinstance(error, PydanticUserError) and error.code == "typed-dict-version"
        hint = "from typing_extensions import TypedDict" if old else "a pydantic model, a dataclass, a TypedDict"
        raise AgentflowError(what, code="AF-USAGE", hint=hint) from error
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        name = getattr(model, "__name__", str(model))
        raise InputError(f"{what} doesn't fit {name}: {told(error)}", code="AF-OUTPUT-INVALID") from None
