"""A quick look at a store, which changes nothing and reads no result."""

from __future__ import annotations

from pathlib import Path

from agentflow.store.findings import Glance
from agentflow.store.sqlite.care.exclusive import inspected
from agentflow.store.sqlite.file.log import size_of
from agentflow.store.sqlite.schema import migrations
from agentflow.store.sqlite.sql import number, one


def glance_at(path: Path) -> Glance:
    """Look at a store; see `agentflow.store.care.glance`."""
    with inspected(path) as (db, schema, fault):
        newest = one(db, "SELECT max(updated_at) FROM heads")
        return Glance(
            path=str(path),
            schema=schema,
            bytes=path.stat().st_size + size_of(path),
            runs=number(db, "SELECT count(*) FROM heads"),
            newest=None if newest is None or newest[0] is None else float(newest[0]),
            fault=fault,
            latest=len(migrations()),
        )
