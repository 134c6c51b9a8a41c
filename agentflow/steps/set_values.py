"""`set`: computes values from templates."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from agentflow.definition.models import Model
from agentflow.steps.contract import Context, Result, StepType


class SetConfig(Model):
    """What the step computes: exactly one of the two."""

    values: Any = None
    """The result: a mapping of names to templates, or any other value with templates in it."""
    value: Any = None
    """The result where it is a single value; means the same as `values`."""

    @model_validator(mode="after")
    def _one(self) -> SetConfig:
        if len(self.model_fields_set) != 1:
            raise ValueError("give either values or value")
        return self


async def execute(config: SetConfig, ctx: Context) -> Result:
    """Return the values, which the engine has rendered already."""
    return Result(config.values if "values" in config.model_fields_set else config.value)


TYPES: tuple[StepType, ...] = (
    StepType(name="set", config=SetConfig, summary="Computes values from templates.", execute=execute, pure=True),
)
