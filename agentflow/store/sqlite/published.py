"""Published events: who gets which one. All of it happens inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw

from agentflow.data import decode, salvaged
from agentflow.store.common import UNREADABLE, wait_kind
from agentflow.store.rows import SubscriptionRow
from agentflow.store.sqlite.sql import do, do_many, number, one, rows

_PAGE = 64
"""Events that are read in one go where a filter may refuse them."""
_NEXT = """
SELECT p.pos, p.data FROM published p
WHERE p.tenant = ?8 AND p.owner = ?1 AND p.topic = ?2 AND p.pos > ?3 AND (p.pos > ?4 OR p.at >= ?5)
  AND NOT EXISTS (SELECT 1 FROM taken t WHERE t.run = ?6 AND t.pos = p.pos)
"""
_NEXT_SHARED = f"{_NEXT} UNION ALL {_NEXT.replace('p.owner = ?1', 'p.shared = 1 AND p.owner <> ?1')}"
"""Those of other owners too."""
_PAGED = "ORDER BY 1 LIMIT ?7"
_FIRST_SINCE = "SELECT min(pos) FROM published WHERE tenant = ? AND owner = ? AND topic = ? AND at >= ? AND pos <= ?"
_FIRST_SHARED = _FIRST_SINCE.replace("owner = ?", "(owner = ? OR shared = 1)")
_LISTENING = """
SELECT s.task, s.run, s.n, s.step, s.filter, h.root, t.holder FROM subscriptions s
JOIN heads h ON h.key = s.run JOIN heads t ON t.key = h.root
WHERE s.tenant = ? AND s.topic = ?
"""
_OWN = f"{_LISTENING} AND s.owner = ? ORDER BY s.rowid"
_ANY = f"{_LISTENING} AND (s.owner = ? OR s.shared = 1) ORDER BY s.rowid"


class Published(NamedTuple):
    """One published event."""

    pos: int
    data: Any


class Source(NamedTuple):
    """Who publishes, and for whom."""

    tenant: str
    owner: str
    shared: bool
    """For other owners of the tenant too, where their waits take such."""


class Listener(NamedTuple):
    """An open wait for an event."""

    task: str
    run: int
    n: int
    step: str
    filter: bytes | None
    root: int
    holder: str | None


class Topics:
    """Published events in one transaction.

    Waits that open together take nothing from each other: what they take is noted when all of them have looked.
    """

    def __init__(self, db: apsw.Connection) -> None:
        """Begin a transaction's work."""
        self._db = db
        self.answered: set[int] = set()
        """Roots of trees that got an event as they opened a wait."""
        self._taken: list[tuple[int, int, str]] = []
        self._listened: dict[tuple[int, str], int] = {}

    def publish(self, source: Source, topic: str, raw: bytes, event_id: str | None, at: float) -> int | None:
        """Keep an event; returns its position, None where the owner has published one of this id."""
        db = self._db
        known = "SELECT 1 FROM published WHERE tenant = ? AND owner = ? AND id = ?"
        if event_id is not None and one(db, known, (source.tenant, source.owner, event_id)):
            return None
        do(
            db,
            "INSERT INTO published (tenant, owner, shared, id, topic, at, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*source, event_id, topic, at, raw),
        )
        return db.last_insert_rowid()

    def listeners(self, source: Source, topic: str, data: Any) -> Iterator[Listener]:
        """Give the open waits that want an event, in the order in which they opened."""
        for values in rows(self._db, _ANY if source.shared else _OWN, (source.tenant, topic, source.owner)):
            listener = Listener(*values)
            wanted = None if listener.filter is None else salvaged(listener.filter, UNREADABLE)
            if wanted is not UNREADABLE and _wants(wanted, data):
                yield listener

    def earliest(self, root: int, row: SubscriptionRow) -> Published | None:
        """Return the earliest event that a wait which opens now wants and no wait of its tree has taken."""
        db, kind = self._db, wait_kind(row)
        # The head of a root that is created in this transaction isn't there yet: nothing was published since.
        found = one(db, "SELECT heard FROM heads WHERE key = ?", (root,))
        heard = found[0] if found else number(db, "SELECT max(pos) FROM published")
        position = self._position(root, kind, row, heard)
        wanted = None if row.filter is None else decode(row.filter)
        page = 1 if wanted is None else _PAGE
        since = float("inf") if row.since is None else row.since
        after = f"{_NEXT_SHARED if row.shared else _NEXT} {_PAGED}"
        while batch := rows(db, after, (row.owner, row.topic, position, heard, since, root, page, row.tenant)):
            for pos, raw in batch:
                position, data = pos, salvaged(raw, UNREADABLE)
                if data is UNREADABLE:
                    continue
                if _wants(wanted, data):
                    self._listened[root, kind] = position
                    self.answered.add(root)
                    self._taken.append((root, position, row.task))
                    return Published(position, data)
        self._listened[root, kind] = position
        return None

    def _position(self, root: int, kind: str, row: SubscriptionRow, heard: int) -> int:
        """Return after which position events of this kind of wait may be left."""
        found = one(self._db, "SELECT pos FROM listened WHERE run = ? AND wait = ?", (root, kind))
        if found is not None:
            return int(found[0])
        if row.since is None:
            return heard
        first_of = _FIRST_SHARED if row.shared else _FIRST_SINCE
        first = one(self._db, first_of, (row.tenant, row.owner, row.topic, row.since, heard))
        return heard if first is None or first[0] is None else int(first[0]) - 1

    def take(self, root: int, pos: int, task: str) -> None:
        """Note that a wait of a tree has taken an event."""
        self._taken.append((root, pos, task))

    def give_back(self, root: int, task: str) -> None:
        """Note that a wait ended otherwise before its step heard of the event that it had taken."""
        do(self._db, "DELETE FROM taken WHERE run = ? AND task = ?", (root, task))
        if self._db.changes():
            do(self._db, "DELETE FROM listened WHERE run = ?", (root,))

    def write(self) -> None:
        """Write what was noted."""
        if self._taken:
            do_many(self._db, "INSERT INTO taken (run, pos, task) VALUES (?, ?, ?)", self._taken)
            self._taken.clear()
        if self._listened:
            noted = [(run, kind, pos) for (run, kind), pos in self._listened.items()]
            do_many(self._db, "REPLACE INTO listened (run, wait, pos) VALUES (?, ?, ?)", noted)
            self._listened.clear()


def _wants(wanted: Any, data: Any) -> bool:
    """Tell whether a wait's filter takes an event; most waits have none."""
    if wanted is None:
        return True
    from agentflow.expressions import filter_matches  # noqa: PLC0415  who only reads runs needs no expressions

    return filter_matches(wanted, data)
