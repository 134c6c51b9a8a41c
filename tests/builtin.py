"""The step types of the product, without those that tests of the same process have made."""

from __future__ import annotations

from agentflow.steps import registry
from agentflow.steps.contract import StepType


def builtin_types() -> list[StepType]:
    """Return them, sorted by name."""
    return [spec for name in sorted(registry.BUILTIN) if (spec := registry.find(name)) is not None]
