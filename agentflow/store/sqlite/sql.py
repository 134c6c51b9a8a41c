"""Small helpers over the driver: every cursor is read to its end, so that no lock is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import apsw

# The driver's own types name a class that type checkers don't know before Python 3.12.
_driver: Any = apsw.Connection
_execute: Callable[..., Any] = _driver.execute
_executemany: Callable[..., Any] = _driver.executemany


def do(db: apsw.Connection, sql: str, args: Sequence[Any] = ()) -> None:
    """Run a statement that gives no rows."""
    _execute(db, sql, args)


def do_many(db: apsw.Connection, sql: str, batch: Iterable[Sequence[Any]]) -> None:
    """Run a statement once for each tuple of values."""
    _executemany(db, sql, batch)


def do_each(db: apsw.Connection, batches: Mapping[str, Sequence[Sequence[Any]]], statements: Iterable[str]) -> None:
    """Run some statements, in their order, once for each tuple of values that there is for them."""
    for statement in statements:
        batch = batches.get(statement)
        if batch:
            do_many(db, statement, batch)


def script(db: apsw.Connection, sql: str) -> None:
    """Run many statements."""
    _execute(db, sql)


def rows(db: apsw.Connection, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    return _execute(db, sql, args).fetchall()


def until_error(db: apsw.Connection, sql: str) -> tuple[list[tuple[Any, ...]], apsw.Error | None]:
    """Return the rows of a query up to where it fails, and why it did."""
    found: list[tuple[Any, ...]] = []
    try:
        found.extend(_execute(db, sql))
    except apsw.Error as error:
        return found, error
    return found, None


def one(db: apsw.Connection, sql: str, args: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Return the first row of a query that has few."""
    found = rows(db, sql, args)
    return found[0] if found else None


def number(db: apsw.Connection, sql: str, args: Sequence[Any] = ()) -> int:
    """Return the number that a query or a PRAGMA gives; 0 for none."""
    found = one(db, sql, args)
    return int(found[0] or 0) if found else 0
