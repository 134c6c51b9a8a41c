"""The connections that steps need, as their definitions say it."""

from __future__ import annotations

from collections.abc import Sequence

from agentflow.definition.models import Step
from agentflow.engine.exchange import Need
from agentflow.steps.contract import StepType


def connections_of(step: Step, spec: StepType, around: Sequence[Need]) -> tuple[Need, ...]:
    """Return the connections that a step needs.

    Args:
        step: the step.
        spec: its type.
        around: what the steps around it need: that is needed by what is executed inside them.
    """
    own = [Need(each.skill, each.permissions, each.on_missing) for each in step.requires if not each.is_native]
    takes = spec.container is not None or (spec.execute is not None and not spec.pure)
    return tuple(dict.fromkeys((*(around if takes else ()), *own)))
