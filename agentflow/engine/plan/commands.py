"""What happens to a tree, as data: whatever it is and wherever it comes from, it is one of these.

Each names the run and the step that it is for by their numbers, as the tree may be read anew before it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from agentflow.engine.exchange import Chunk, Done, Left
from agentflow.engine.plan.carried import Folded
from agentflow.store.rows import AnswerRow, SharedRow, StepRow


class Touch(NamedTuple):
    """Nothing but that the tree is held: its steps may find a slot now, what can go on goes on by itself."""


TOUCH = Touch()


@dataclass(frozen=True, slots=True)
class Seed:
    """What the run of a retry keeps of the run before."""

    kept: Sequence[StepRow]
    """Steps that are kept, and containers that are in part."""
    shared: Sequence[SharedRow]
    """Updates of shared keys by kept steps."""
    folded: Folded
    """What reducers of the user's make of these."""
    response: StepRow | None
    """The last api_call that is kept."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The root run begins."""

    seed: Seed | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A wait is answered."""

    run: int
    n: int
    task: str | None
    data: Any
    """`{"answer": {"value" | "decline" | "failure": …}, "by", "door"}`."""
    inbox: int | None = None
    """The store has it already: another door has decided the wait."""
    row: AnswerRow | None = None
    """The transition that carries it out decides the wait, unless somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A run is to be cancelled, with all below it."""

    run: int
    data: Mapping[str, Any]
    """`{"by", "force"}`."""
    inbox: int


@dataclass(frozen=True, slots=True)
class CancelTurn:
    """An agent's turn is to be cancelled, which fails its step."""

    run: int
    data: Mapping[str, Any]
    """`{"task", "by"}`."""
    inbox: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing new is to start in a run, until it goes on."""

    run: int
    on: bool
    inbox: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A step has got the slot that it waited for."""

    run: int
    n: int
    inbox: int | None = None


@dataclass(frozen=True, slots=True)
class Deadlocked:
    """A step would wait for its slot for ever."""

    run: int
    n: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """Something is due."""

    run: int
    n: int
    kind: str
    entry: int


@dataclass(frozen=True, slots=True)
class Begun:
    """A step begins which its host's death had broken off: the next death counts again."""

    run: int
    n: int


@dataclass(frozen=True, slots=True)
class Saved:
    """A running step saves its state."""

    run: int
    n: int
    attempt: int
    """The fence: of an older attempt it is dropped."""
    state: Any


@dataclass(frozen=True, slots=True)
class Delivered:
    """A running step gives a chunk of an artifact."""

    run: int
    n: int
    attempt: int
    """The fence: of an older attempt it is dropped."""
    chunk: Chunk


@dataclass(slots=True)
class Note:
    """A running step has told something.

    Its events are taken when it is carried out: what is told until then goes with it. When a commit is refused, the
    same ones are written again.
    """

    run: int
    address: str
    take: Callable[[], Sequence[tuple[str, Mapping[str, Any]]]]
    of: tuple[int, int, int]
    """Number of the step, its attempt, and the entry of that."""
    events: Sequence[tuple[str, Mapping[str, Any]]] | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A command that nothing is to be done for: its run has ended, or this version doesn't know it."""

    inbox: int


@dataclass(frozen=True, slots=True)
class Release:
    """The host ends: it lets the tree go, with what its steps would only hold up others with."""


@dataclass(frozen=True, slots=True)
class FreeSlots:
    """Slots that a dead host's tree holds are given back; the run waits for somebody to go on with it."""


@dataclass(slots=True)
class Outcome:
    """An attempt has come to its end."""

    root: int
    """Key of the tree."""
    run: int
    n: int
    attempt: int
    """The fence: of an older attempt it is dropped."""
    address: str
    value: Any
    """The result as JSON, `Worked`, `Skip`, `Park`, a `Failure`, or `Stopped`."""
    left: Left | None = None
    done: Done | None = None
    """Who waits until it is committed. When that is refused it is carried out again, and who waits goes on so."""


Command: TypeAlias = (
    Touch
    | Begin
    | Answer
    | Cancel
    | CancelTurn
    | Pause
    | Granted
    | Deadlocked
    | TimerFired
    | Begun
    | Saved
    | Delivered
    | Note
    | Unknown
    | Release
    | FreeSlots
    | Outcome
)
