"""Gates made ready to run: their messages and conditions compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from agentflow.definition.gates import Approve, Review
from agentflow.expressions import Compiled, Condition

G = TypeVar("G", Approve, Review)


class Gated(NamedTuple, Generic[G]):
    """A gate of a step."""

    settings: G
    message: Compiled | None
    if_: Condition | None


def gated(
    settings: G | None, compiles: Callable[[Any], Compiled], condition: Callable[[Any], Condition]
) -> Gated[G] | None:
    """Compile a gate; None: the step has none."""
    if settings is None:
        return None
    message = compiles(settings.message) if settings.message is not None else None
    return Gated(settings, message, condition(settings.if_) if settings.if_ is not None else None)
