"""Which schema a database has, and how an older one is brought up: numbered SQL files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import apsw

from agentflow.errors import StoreError
from agentflow.store.sqlite.sql import do, number, script

_FOLDER = Path(__file__).with_name("migrations")
APPLICATION_ID = 0x41464C57
"""`AFLW`, in the header of every store."""


@cache
def migrations() -> tuple[str, ...]:
    """Return the migrations in order; the first one makes an empty database a store of version 1."""
    return tuple(file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.sql")))


@cache
def latest() -> int:
    """Return the version that all migrations come to; who only looks needn't read them."""
    return sum(1 for _ in _FOLDER.glob("*.sql"))


@cache
def newest() -> str:
    """Return what makes an empty database a store of a late version at once: a fifth of the work of all migrations.

    `python -m tests.store.newest` writes it. Migrations that came after it follow as they do for any older store.
    """
    return Path(__file__).with_name("newest.sql").read_text(encoding="utf-8")


def check_version(db: apsw.Connection, path: Path) -> int:
    """Return the version of a database's schema.

    Raises:
        StoreError: it comes from a newer agentflow, or isn't a store.
    """
    # In this order: another process may make the store between any two of these.
    tables = number(db, "SELECT count(*) FROM sqlite_master")
    if tables and number(db, "PRAGMA application_id") != APPLICATION_ID:
        raise StoreError(
            f"{path} is a database of another program.",
            code="AF-STORE-FORMAT",
            hint="Name another file with --store.",
        )
    version = number(db, "PRAGMA user_version")
    if version > latest():
        raise StoreError(
            f"The database {path} was written by a newer agentflow.",
            code="AF-STORE-NEWER",
            why=f"It has schema {version}, this version knows schemas up to {latest()}.",
            hint="Upgrade: pip install --upgrade agentflow-workflows",
        )
    return version


def migrate(db: apsw.Connection, path: Path) -> None:
    """Bring a database up to the newest schema, inside the caller's transaction."""
    steps = migrations()
    version = check_version(db, path)
    if not version:
        script(db, newest())
        version = number(db, "PRAGMA user_version")
    for step in steps[version:]:
        script(db, step)
    if version < len(steps):
        do(db, f"PRAGMA application_id = {APPLICATION_ID}")
        do(db, f"PRAGMA user_version = {len(steps)}")
