"""What makes a new store, of what all migrations make: `python -m tests.store.newest` writes it, after each new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw

from agentflow.store.sqlite import schema
from agentflow.store.sqlite.schema import APPLICATION_ID, migrations
from agentflow.store.sqlite.sql import rows, script

FILE = Path(schema.__file__).with_name("newest.sql")


def migrated() -> apsw.Connection:
    """Return a database that all migrations have made, one after the other."""
    db = apsw.Connection(":memory:")
    for migration in migrations():
        script(db, migration)
    return db


def described(db: apsw.Connection) -> list[tuple[Any, ...]]:
    """Return all that a database has of its own: tables before what is made of them."""
    return rows(
        db,
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type <> 'table', type, name",
    )


def content(db: apsw.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of a database, by table."""
    tables: list[Any] = rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {name: rows(db, f"SELECT * FROM {name} ORDER BY 1") for (name,) in tables}


def text() -> str:
    """Return the statements."""
    db = migrated()
    made = [f"{sql};" for _, _, sql in described(db)]
    for name, found in content(db).items():
        made += [f"INSERT INTO {name} VALUES ({', '.join(map(repr, row))});" for row in found]
    made += [f"PRAGMA application_id = {APPLICATION_ID};", f"PRAGMA user_version = {len(migrations())};"]
    return "\n".join(("-- Written by tests/store/newest.py: all that the migrations make.", *made, ""))


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
