"""What all definition models have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from agentflow.definition.durations import parse_duration
from agentflow.definition.faults import Faults, below
from agentflow.errors import DefinitionError, Problem

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
"""Seconds; written as a number, as `500ms`, `30s`, `5m`, `1h 30m`, `2d`, or in ISO 8601 (`PT5M`)."""


class _Told(type(BaseModel)):
    """Says in the user's words what is wrong with the fields of an object that is made in Python."""

    if not TYPE_CHECKING:  # type checkers know the fields better

        def __call__(cls, *args: Any, **fields: Any) -> Any:
            if args:
                first, *others = cls.model_fields
                second = "steps" if "steps" in others else others[0] if others else None
                names = ", ".join(f"{name}=…" for name in (first, second) if name is not None)
                raise _wrong(f"{cls.__name__}(…) takes its fields by name: {cls.__name__}({names})")
            try:
                return super().__call__(**fields)
            except ValidationError as error:
                name = fields.get("id")
                owner = f'{cls.__name__.lower()} "{name}"' if isinstance(name, str) else cls.__name__
                faults = Faults()
                faults.of_model(error, fields, owner, cls, below(""))
                raise DefinitionError([replace(one, code="AF-STEP-INVALID") for one in faults.problems]) from None


class Model(BaseModel, metaclass=_Told):
    """Base of all definition models: frozen, strict about unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    if not TYPE_CHECKING:  # type checkers know that the fields are frozen

        def __setattr__(self, name: str, value: Any) -> None:
            """Say how a changed one is made instead."""
            if name in type(self).model_fields:
                kind = type(self).__name__
                raise _wrong(
                    f"{kind} objects don't change: \"{name}\" can't be set",
                    f'changed = {kind.lower()}.model_copy(update={{"{name}": …}})',
                )
            super().__setattr__(name, value)


def _wrong(what: str, hint: str | None = None) -> DefinitionError:
    return DefinitionError([Problem("AF-STEP-INVALID", what, hint=hint)])
