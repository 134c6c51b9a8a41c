"""What goes over the socket between holder and workers: lines of three parts, the last of them JSON.

From a worker: `hello - {"slots", "keys"}`, `out KEY OUTCOME`, `tell KEY EVENTS`, `call KEY/NUMBER CALL`.
From the holder: `do KEY ATTEMPT`, `stop KEY "reason"`, `done KEY null` (an outcome is taken, or counts no more),
`answer NUMBER ANSWER`, `over NUMBER null` (who has asked is to stop), `refused NAME "why"` (it can't be read).
"""

from __future__ import annotations

from typing import NamedTuple

LONGEST = 64 * 1024 * 1024
"""Bytes of a line."""


class Frame(NamedTuple):
    """One line."""

    kind: str
    name: str
    raw: bytes

    @property
    def attempt(self) -> str:
        """Key of the attempt that it is about."""
        return self.name.rpartition("/")[0] if self.kind == "call" else self.name

    @property
    def line(self) -> bytes:
        """As it is sent."""
        return b"%s %s %s\n" % (self.kind.encode(), self.name.encode(), self.raw)


def frame(line: bytes) -> Frame:
    """Read a line."""
    kind, name, raw = line.split(b" ", 2)
    return Frame(kind.decode(), name.decode(), raw.rstrip(b"\n"))
