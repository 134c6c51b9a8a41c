"""How containers expand: pure decisions, carried out and stored by the planner.

A container is entered once (`start`), hears when a body has ended well (`ended`) or its timer fired (`fired`),
and answers with a `Move`. What it decides (a branch, the items, an iteration's number) goes into its memo, which is
stored; after a takeover `restore` names the bodies that were open. A failed body fails the container by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from agentflow.errors import Failure
from agentflow.steps.unset import UNSET


class Opening(NamedTuple):
    """A body to open. A tuple, as a loop has very many."""

    body: str
    """Key of the body in the definition."""
    label: str = ""
    """`[3]` for the fourth iteration; empty for a body that is opened once."""
    bindings: Mapping[str, Any] | None = None
    """Names that templates inside see besides the namespaces, such as `item` and `index`."""


@dataclass(frozen=True, slots=True)
class Child:
    """A sub-workflow to start as a child run."""

    workflow: str
    input: Any


@dataclass(frozen=True, slots=True)
class End:
    """An early end of the run, or of an enclosing container."""

    scope: str
    """`run`, or the id of an enclosing container."""
    state: str = "completed"
    output: Any = UNSET
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What a container does next. Nothing at all: it waits for its open bodies."""

    openings: Sequence[Opening] = ()
    due: float | None = None
    """Time at which it wants to be called again (`fired`)."""
    done: bool = False
    failure: Failure | None = None
    memo: Any = UNSET
    """New memo, plain JSON."""
    total: int | None = None
    """How many bodies it will open, where that is decided now."""
    child: Child | None = None
    end: End | None = None


DONE = Move(done=True)
NOTHING = Move()


class Bodies(Protocol):
    """What a container sees of its bodies' results."""

    @property
    def memo(self) -> dict[str, Any]:
        """What the container stored last; empty at first."""
        ...

    def result_of(self, body: str, label: str = "") -> Any:
        """Return the result of a body that has ended."""
        ...


class Frame(Bodies, Protocol):
    """What a container sees of its step."""

    @property
    def type(self) -> str:
        """The step's type: one container may serve several."""
        ...

    @property
    def address(self) -> str:
        """The step's address."""
        ...

    @property
    def bodies(self) -> Collection[str]:
        """Keys of the bodies that the definition gives."""
        ...

    @property
    def max_parallel(self) -> int:
        """How many bodies may be open at once."""
        ...

    @property
    def opened(self) -> int:
        """How many bodies were opened so far in this attempt."""
        ...

    @property
    def closed(self) -> int:
        """How many of them have ended."""
        ...

    def now(self) -> float:
        """Return the engine's time."""
        ...

    def field(self, name: str, default: Any = None) -> Any:
        """Return a field of the step, its templates computed."""
        ...

    def test(
        self,
        name: str,
        number: int | None = None,
        label: str | None = None,
        bindings: Mapping[str, Any] | None = None,
    ) -> bool:
        """Evaluate a condition field (one of a list by number), seeing the steps of the body opened under `label`.

        `bindings` are names that it sees besides.
        """
        ...


class Container(Protocol):
    """The pure part of a step type that holds steps."""

    def start(self, frame: Frame) -> Move:
        """Decide what happens when the step is entered."""
        ...

    def ended(self, frame: Frame, label: str) -> Move:
        """Go on after a body has ended well."""
        ...

    def fired(self, frame: Frame) -> Move:
        """Go on after the timer."""
        ...

    def restore(self, frame: Frame, labels: Collection[str]) -> Sequence[Opening]:
        """Name the bodies that were open or ended, given the labels under which stored rows exist."""
        ...

    def rewind(self, memo: dict[str, Any], done: Collection[str]) -> dict[str, Any] | None:
        """Return what it had to have decided for a new run to go on where a body isn't done.

        Args:
            memo: what it has stored, in the run that is retried.
            done: labels of the bodies that the new run keeps.

        Returns:
            Its memo; None when it can only begin from the start.
        """
        ...

    def result(self, bodies: Bodies) -> Any:
        """Assemble the step's result from its bodies'."""
        ...
