"""Which hosts of a store live, and what tells one process of another's commits: part of the contract."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol


class Liveness(Protocol):
    """Which hosts of a store live, and how they are woken.

    Beside a file that is a lock of the operating system for each host, and a socket; in a database that isn't a file, a
    row that each host renews, and notifications. A host lives from `join` until `leave`, or until its process ends,
    whatever way it does: then nothing that it holds may stay its own for long. One that is only stopped isn't dead.
    """

    async def join(self, name: str) -> None:
        """Live under a name from now on.

        Raises:
            StoreError: nobody could tell whether this host lives.
        """
        ...

    async def leave(self) -> None:
        """Live no more."""
        ...

    async def dead(self, names: Collection[str]) -> set[str]:
        """Return those of some hosts that live no more; of those it must be certain. This host isn't among them."""
        ...

    async def living(self) -> set[str] | None:
        """Return the hosts that live; None: no other process can use this store, so there is nothing to tell."""
        ...

    async def ring(self, names: Collection[str] | None) -> None:
        """Wake hosts, or all others: they look for commands. One that doesn't hear it looks by itself soon."""
        ...

    async def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever somebody rings; ends only by being cancelled."""
        ...


class Changes(Protocol):
    """Tells one who asks again and again whether other processes have committed."""

    async def look(self) -> bool:
        """Tell whether another process has committed since this was last asked, or since this was made.

        It is asked a few times a second, and costs next to nothing where nobody has. It may tell of a commit that
        changes nothing for who asks; it misses none.

        Raises:
            StoreError: what this process commits is lost from now on.
        """
        ...
