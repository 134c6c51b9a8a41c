"""What loading and checking need to know of a step type, whoever brings it.

The step types themselves live a layer above (`agentflow.steps.contract.StepType` fits these protocols); definitions are
read with a lookup that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from pydantic import BaseModel

from agentflow.errors import Place


class BodyLike(Protocol):
    """A field of a container that holds steps."""

    @property
    def name(self) -> str:
        """The field's name."""
        ...

    @property
    def shape(self) -> str:
        """`steps`: a list; `step_or_steps`: one step body or a list; `cases`: a list of `{when, steps}`."""
        ...

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        ...


class StepTypeLike(Protocol):
    """A step type, as far as definitions go."""

    @property
    def name(self) -> str:
        """What `type:` says."""
        ...

    @property
    def config(self) -> type[BaseModel]:
        """Model of the type's own fields."""
        ...

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        ...

    @property
    def bodies(self) -> Sequence[BodyLike]:
        """Fields that hold steps."""
        ...

    @property
    def skills(self) -> Sequence[str]:
        """Native skills that every step of the type needs."""
        ...

    @property
    def conditions(self) -> Sequence[str]:
        """Config fields that hold a condition."""
        ...

    @property
    def raw(self) -> Sequence[str]:
        """Config fields that aren't templates at all."""
        ...

    @property
    def outbound(self) -> Sequence[str]:
        """Config fields that may hold secrets."""
        ...

    @property
    def takes_input(self) -> bool:
        """Has a field `input`, which is the step's `with` where the step gives none."""
        ...


TypeLookup: TypeAlias = Callable[[str], StepTypeLike | None]
"""Finds a step type by name; None if there is none."""


class PlaceOf(Protocol):
    """Finds a pointer's place in the text; `source.Document.place` is one."""

    def __call__(self, pointer: str, *, key: bool = False, offset: int = 0, length: int | None = None) -> Place | None:
        """Return the place of a value, of its key, or of a part of the text inside it."""
        ...
