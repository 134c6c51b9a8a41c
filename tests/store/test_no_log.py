"""A file system on which SQLite can have no write-ahead log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from agentflow.errors import StoreError
from agentflow.store import open_store

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_shared_memory() -> Iterator[None]:
    """Open files as on a file system without shared memory, which the log's index needs."""
    usual = apsw.vfs_names()[0]
    apsw.set_default_vfs("unix-dotfile")
    try:
        yield
    finally:
        apsw.set_default_vfs(usual)


@pytest.mark.usefixtures("no_shared_memory")
async def test_a_store_is_refused_where_it_can_have_no_write_ahead_log(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        await open_store(tmp_path / "runs.db")
    assert caught.value.code == "AF-STORE-WAL"
    assert caught.value.why == "Its journal mode stays delete."
    assert caught.value.hint == "Put the store on a local disk with --store."
