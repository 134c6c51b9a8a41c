"""Tokens of connections, and who is about to sign in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import apsw

from agentflow.data import decode, encode
from agentflow.principal import Principal
from agentflow.store.sqlite.database import Database
from agentflow.store.sqlite.rows import listed
from agentflow.store.sqlite.sql import do, one, rows
from agentflow.vault import Held, Login, Spot

T = TypeVar("T")

_KEPT = 24 * 3600.0
"""Seconds that is known what came of a login."""
_HELD = """
SELECT agent, tenant, owner, connection, sealed, scopes, account, expires_at, refreshable, state, version, updated_at
FROM tokens
"""
_HERE = "agent = ?1 AND tenant = ?2 AND owner = ?3 AND connection = ?4"
_KEEP = """
INSERT INTO tokens (agent, tenant, owner, connection, sealed, scopes, account, expires_at, refreshable, state, version,
  updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1, ?11)
ON CONFLICT DO UPDATE SET sealed = ?5, scopes = ?6, account = ?7, expires_at = ?8, refreshable = ?9, state = ?10,
  version = version + 1, updated_at = ?11, holder = NULL, held_until = NULL
RETURNING version
"""
_CLAIM = f"""
UPDATE tokens SET holder = ?5, held_until = ?7
WHERE {_HERE} AND (holder IS NULL OR holder = ?5 OR held_until <= ?6
  OR holder IN (SELECT value FROM json_each(?8)))
RETURNING version
"""  # noqa: S608  a constant
_LOGIN = """
SELECT key, agent, tenant, owner, connection, scopes, sealed, wait, created_at, expires_at, taken_at, outcome
FROM logins
"""


class SqliteVault:
    """The vault of one database."""

    def __init__(self, database: Database) -> None:
        """Made over an open database."""
        self._database = database

    async def held(self, spot: Spot) -> Held | None:
        """Return what somebody has for a connection."""
        with self._database.faults:
            return _held(one(self._database.reader, f"{_HELD} WHERE {_HERE}", spot))

    async def all_held(self, agent: str, principal: Principal) -> list[Held]:
        """Return what a principal sees."""
        where, values = "agent = ?", [agent]
        if not principal.sees_all:
            where, values = f"{where} AND tenant = ? AND owner = ?", [agent, principal.tenant, principal.owner]
        query = f"{_HELD} WHERE {where} ORDER BY connection, tenant, owner"
        with self._database.faults:
            return [held for row in rows(self._database.reader, query, values) if (held := _held(row)) is not None]

    async def keep(self, held: Held, *, expect: int | None = None) -> Held | None:
        """Keep tokens."""
        values = (
            *held.spot, held.sealed, encode(list(held.scopes)), held.account, held.expires_at, held.refreshable,
            held.state, held.updated_at,
        )  # fmt: skip

        def work(db: apsw.Connection) -> Held | None:
            if expect is not None:
                found = one(db, f"SELECT version FROM tokens WHERE {_HERE}", held.spot)  # noqa: S608  a constant
                if found is None or found[0] != expect:
                    return None
            kept = one(db, _KEEP, values)
            return held._replace(version=kept[0]) if kept else None

        return await self._write(work)

    async def drop(self, spot: Spot) -> Held | None:
        """Forget tokens."""

        def work(db: apsw.Connection) -> Held | None:
            found = _held(one(db, f"{_HELD} WHERE {_HERE}", spot))
            do(db, f"DELETE FROM tokens WHERE {_HERE}", spot)  # noqa: S608  a constant
            return found

        return await self._write(work)

    async def claim(self, spot: Spot, by: str, now: float, until: float, dead: Collection[str] = ()) -> Held | None:
        """Take the right to fetch tokens anew, unless somebody has it."""

        def work(db: apsw.Connection) -> Held | None:
            if one(db, _CLAIM, (*spot, by, now, until, listed(dead))) is None:
                return None
            return _held(one(db, f"{_HELD} WHERE {_HERE}", spot))

        return await self._write(work)

    async def claimed_by(self, spot: Spot, now: float) -> str | None:
        """Return who fetches tokens anew just now."""
        query = f"SELECT holder FROM tokens WHERE {_HERE} AND held_until > ?5"  # noqa: S608  a constant
        with self._database.faults:
            found = one(self._database.reader, query, (*spot, now))
        return found[0] if found else None

    async def unclaim(self, spot: Spot, by: str) -> None:
        """Give the right back."""
        free = f"UPDATE tokens SET holder = NULL, held_until = NULL WHERE {_HERE} AND holder = ?5"  # noqa: S608  as above
        await self._write(lambda db: do(db, free, (*spot, by)))

    async def begin(self, login: Login, now: float) -> None:
        """Keep that somebody is about to sign in."""
        values = (
            login.key, *login.spot, encode(list(login.scopes)), login.sealed, login.wait, login.created_at,
            login.expires_at,
        )  # fmt: skip

        def work(db: apsw.Connection) -> None:
            do(db, "DELETE FROM logins WHERE expires_at < ?", (now - _KEPT,))
            do(db, "INSERT INTO logins VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", values)

        await self._write(work)

    async def login(self, key: str) -> Login | None:
        """Return one by its key."""
        with self._database.faults:
            return _login(one(self._database.reader, f"{_LOGIN} WHERE key = ?", (key,)))

    async def take(self, key: str, now: float) -> Login | None:
        """Return one whose answer has come, for the first time."""

        def work(db: apsw.Connection) -> Login | None:
            taken = "UPDATE logins SET taken_at = ? WHERE key = ? AND taken_at IS NULL RETURNING key"
            if one(db, taken, (now, key)) is None:
                return None
            return _login(one(db, f"{_LOGIN} WHERE key = ?", (key,)))

        return await self._write(work)

    async def settle(self, key: str, outcome: str) -> None:
        """Keep what came of one."""
        settled = "UPDATE logins SET outcome = ?, sealed = '' WHERE key = ?"
        await self._write(lambda db: do(db, settled, (outcome, key)))

    async def _write(self, work: Callable[[apsw.Connection], T]) -> T:
        writer = self._database.writer
        return await writer.transact(work, writer.db)


def _held(row: tuple[Any, ...] | None) -> Held | None:
    if row is None:
        return None
    agent, tenant, owner, connection, sealed, scopes, *rest = row
    account, expires_at, refreshable, state, version, updated_at = rest
    spot = Spot(agent, tenant, owner, connection)
    granted = tuple(decode(scopes))
    return Held(spot, sealed, granted, account, expires_at, bool(refreshable), state, version, updated_at)


def _login(row: tuple[Any, ...] | None) -> Login | None:
    if row is None:
        return None
    key, agent, tenant, owner, connection, scopes, *rest = row
    return Login(key, Spot(agent, tenant, owner, connection), tuple(decode(scopes)), *rest)
