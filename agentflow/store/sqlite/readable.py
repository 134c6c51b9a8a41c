"""A database that is open to be read: all that is needed to show what is in it."""

from __future__ import annotations

from typing import Protocol

import apsw

from agentflow.store.sqlite.faults import Faults
from agentflow.store.sqlite.sql import one


class Readable(Protocol):
    """What lists and other questions are asked of."""

    @property
    def faults(self) -> Faults:
        """Turns the driver's errors into ours."""
        ...

    @property
    def reader(self) -> apsw.Connection:
        """The connection to read by."""
        ...


def key_of(db: apsw.Connection, run_id: str) -> int | None:
    """Return the key of a run, or None."""
    found = one(db, "SELECT key FROM runs WHERE ending = ?", (run_id[::-1],))
    return found[0] if found else None
