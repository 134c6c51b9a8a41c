"""What executes steps, and what it is given.

The local runtime executes in the process that holds the trees. Others hand attempts to workers elsewhere: what comes of
these, and what they ask, they bring to the holder, who alone decides what still counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from agentflow.engine.exchange import Executing, Parcel

W = TypeVar("W")


class Handler(Protocol[W]):
    """Performs works: claimed steps in the process that holds their trees, attempts in one that only executes."""

    def enter(self) -> None:
        """Prepare the task of a worker, which performs many works."""
        ...

    async def perform(self, work: W, lease: Executing) -> Sequence[W]:
        """Execute a work, see to what comes of it, and return the works that this made ready.

        It is called once more for one that was interrupted, to say what becomes of it.
        """
        ...


class Holder(Protocol):
    """Who holds the trees whose attempts were handed out."""

    def knows(self, key: str) -> bool:
        """Tell whether what an attempt brings can be taken, or refused as over, now.

        False: its tree isn't held, or not seen to yet. Whatever it brings, an outcome above all, is kept, by the
        runtime or the worker, and brought when the attempt is handed out again.
        """
        ...

    async def returned(self, key: str, outcome: bytes) -> bool | None:
        """Take what an attempt came to, and return when that is committed: only then its worker may forget it.

        False: it is over, or another one's: its worker may forget it too. None: it couldn't be taken, as its tree isn't
        held any more. It is kept, as what comes too early is.
        """
        ...

    def lost(self, key: str) -> None:
        """Note that whoever executed an attempt is gone, or that nobody knows of it."""
        ...

    def told(self, key: str, events: bytes) -> bool:
        """Take what an attempt tells of itself; False: it is over, its worker is to stop it.

        Raises:
            StepError: it can't be read. The worker is told so, and the attempt goes on.
        """
        ...

    async def called(self, key: str, call: bytes) -> bytes | None:
        """Carry out what an attempt asks, and return the answer; None: it is over, its worker is to stop it.

        What can't be read is answered with an error.
        """
        ...


class Runtime(Protocol):
    """Hands attempts to workers elsewhere. All that it knows may be lost: the holder hands out again what is open."""

    async def execute(self, parcels: Sequence[Parcel], *, again: bool = False) -> None:
        """Hand attempts out; the same key twice is one attempt.

        Args:
            parcels: the attempts.
            again: a holder before this one has handed them out: whoever executes them goes on, and only where nobody
                does they are lost.
        """
        ...

    def interrupt(self, keys: Sequence[str], reason: str) -> None:
        """Have workers stop attempts, as far as they can be reached.

        Their slots are free when they have stopped: when they are brought as usual, or lost. What nobody is at is lost
        at once.
        """
        ...

    async def attend(self, holder: Holder) -> None:
        """Bring outcomes and calls to the holder; never ends by itself."""
        ...

    async def health(self) -> str | None:
        """Return None when all is well, else what isn't."""
        ...
