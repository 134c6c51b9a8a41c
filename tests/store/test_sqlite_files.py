"""Opening files: what isn't a store is refused with a code and what helps, and nothing of it is changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import apsw
import pytest

from agentflow.codes import CODES
from agentflow.errors import StoreError
from agentflow.store import open_store
from agentflow.store.rows import (
    RunChange,
)
from agentflow.store.sqlite.faults import store_error
from agentflow.store.sqlite.file.place import InFile
from agentflow.store.sqlite.place import check_sqlite
from agentflow.store.sqlite.schema import migrate, migrations
from agentflow.store.sqlite.sql import do, number, one, rows
from agentflow.store.sqlite.store import SqliteStore
from agentflow.testing.store_suite.builders import note, start, step, text_id

pytestmark = pytest.mark.anyio


async def _refused(path: Path, code: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await open_store(path)
    error = caught.value
    assert error.code == code
    assert code in CODES
    assert error.hint
    assert str(path) in error.what
    return error


async def test_the_file_and_its_folder_are_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "runs.db"
    store = await open_store(f"sqlite:///{path}")
    assert store.shared
    await store.close()
    assert path.exists()
    assert os.listdir(path.parent) == ["runs.db"]


async def test_an_unknown_kind_of_store_is_refused() -> None:
    with pytest.raises(StoreError, match="redis") as caught:
        await open_store("redis://host/1")
    assert caught.value.code == "AF-STORE-KIND"


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    await (await open_store(path)).close()
    db = apsw.Connection(str(path))
    do(db, f"PRAGMA user_version = {len(migrations()) + 1}")
    db.close()
    before = path.read_bytes()
    error = await _refused(path, "AF-STORE-NEWER")
    assert error.why
    assert "pip install" in (error.hint or "")
    assert path.read_bytes() == before


async def test_an_older_version_stops_at_its_next_commit_when_a_newer_one_upgrades_the_store(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    key = await start(store, "r1")
    db = apsw.Connection(str(path))
    do(db, f"PRAGMA user_version = {len(migrations()) + 1}")
    with pytest.raises(StoreError) as caught:
        await store.commit([RunChange(key, key, 1, events=[note("lost")])])
    assert caught.value.code == "AF-STORE-NEWER"
    do(db, f"PRAGMA user_version = {len(migrations())}")
    db.close()
    await store.commit([RunChange(key, key, 1, events=[note("kept")])])
    assert [event.type for event in await store.events(text_id("r1"))] == ["run_started", "kept"]
    await store.close()


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 100, encoding="utf-8")
    await _refused(path, "AF-STORE-FORMAT")
    assert path.read_text(encoding="utf-8") == "dear diary, " * 100


async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = apsw.Connection(str(path))
    do(db, "CREATE TABLE songs (name TEXT)")
    db.close()
    before = path.read_bytes()
    await _refused(path, "AF-STORE-FORMAT")
    assert path.read_bytes() == before


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    await _refused(tmp_path, "AF-STORE-OPEN")


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        await open_store(tmp_path / "file" / "runs.db")
    assert caught.value.code == "AF-STORE-OPEN"


async def test_a_store_that_another_process_keeps_locked_is_reported_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    key = await start(store, "r1")
    monkeypatch.setattr("agentflow.store.sqlite.writer.BUSY_AFTER", 0.02)
    other = apsw.Connection(str(path))
    do(other, "BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        await store.commit([RunChange(key, key, 1, events=[note("lost")])])
    assert caught.value.code == "AF-STORE-BUSY"
    assert "fuser" in (caught.value.hint or "")
    do(other, "ROLLBACK")
    await store.commit([RunChange(key, key, 1, events=[note("kept")])])
    assert [event.type for event in await store.events(text_id("r1"))] == ["run_started", "kept"]
    other.close()
    await store.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (apsw.BusyError, "AF-STORE-BUSY"),
        (apsw.LockedError, "AF-STORE-BUSY"),
        (apsw.ReadOnlyError, "AF-STORE-READONLY"),
        (apsw.FullError, "AF-STORE-FULL"),
        (apsw.NotADBError, "AF-STORE-FORMAT"),
        (apsw.CorruptError, "AF-STORE-DAMAGED"),
        (apsw.CantOpenError, "AF-STORE-OPEN"),
        (apsw.IOError, "AF-STORE-IO"),
        (apsw.SQLError, "AF-STORE-FAILED"),
    ],
)
async def test_every_fault_of_the_driver_has_a_code_and_says_what_helps(error: type[apsw.Error], code: str) -> None:
    told = store_error(error("the driver's words"), Path("/data/runs.db"))
    assert told.code == code
    assert code in CODES
    assert "/data/runs.db" in told.what
    assert "the driver's words" in (told.why or "")
    assert told.hint or code == "AF-STORE-FAILED"


async def test_a_full_disk_saves_nothing_of_the_commit_and_the_next_one_works(tmp_path: Path) -> None:
    opener = InFile(tmp_path / "runs.db", "strict")
    writer, reader = await opener.open()
    store = SqliteStore(opener, (writer, reader))
    key = await start(store, "r1")
    pages = number(writer, "PRAGMA page_count")
    one(writer, f"PRAGMA max_page_count = {pages}")
    big = step(key, 0, "completed", result=b'"' + b"x" * 100_000 + b'"')
    with pytest.raises(StoreError) as caught:
        await store.commit([RunChange(key, key, 1, steps=[big], events=[note("lost")])])
    assert caught.value.code == "AF-STORE-FULL"
    one(writer, f"PRAGMA max_page_count = {pages * 100}")
    await store.commit([RunChange(key, key, 1, steps=[big], events=[note("kept")])])
    assert [event.type for event in await store.events(text_id("r1"))] == ["run_started", "kept"]
    await store.close()


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    opener = InFile(tmp_path / "runs.db", "strict")
    writer, reader = await opener.open()
    store = SqliteStore(opener, (writer, reader))
    key = await start(store, "r1")
    do(writer, "PRAGMA query_only=1")
    with pytest.raises(StoreError) as caught:
        await store.commit([RunChange(key, key, 1, events=[note("lost")])])
    assert caught.value.code == "AF-STORE-READONLY"
    await store.close()


async def test_a_damaged_result_is_found_when_it_is_read_and_names_run_and_step(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    key = await start(store, "r1")
    done = [step(key, n, "completed", result=b'{"sum":12}') for n in range(2)]
    await store.commit([RunChange(key, key, 1, steps=done)])
    db = apsw.Connection(str(path))
    do(db, "UPDATE steps SET result = CAST('{\"sum\":13}' AS BLOB) WHERE address = 'step1'")
    db.close()
    assert await store.result(key, 0) == b'{"sum":12}'
    with pytest.raises(StoreError) as caught:
        await store.result(key, 1)
    assert caught.value.code == "AF-STORE-DAMAGED"
    assert "step1" in caught.value.what
    assert text_id("r1") in caught.value.what
    for read in (store.load(key), store.list_steps(text_id("r1")), store.get_step(text_id("r1"), "step1")):
        with pytest.raises(StoreError, match="step1"):
            await read
    await store.close()


async def test_a_damaged_file_is_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    key = await start(store, "r1")
    await store.commit([RunChange(key, key, 1, steps=[step(key, n, result=b'"x"') for n in range(2000)])])
    await store.close()
    raw = bytearray(path.read_bytes())
    # The schema and the roots of all tables stay: it still opens.
    raw[90 * 4096 :] = b"\xff" * (len(raw) - 90 * 4096)
    path.write_bytes(raw)
    again = await open_store(path)
    with pytest.raises(StoreError) as caught:
        await again.list_steps(text_id("r1"))
    assert caught.value.code == "AF-STORE-DAMAGED"
    await again.close()


async def test_a_sqlite_that_damages_shared_files_is_refused() -> None:
    check_sqlite()
    with pytest.raises(StoreError) as caught:
        check_sqlite(3_051_002)
    assert caught.value.code == "AF-STORE-SQLITE"


@pytest.mark.parametrize(("durability", "synchronous"), [("strict", 2), ("relaxed", 1)])
async def test_durability_says_how_commits_are_synced(tmp_path: Path, durability: str, synchronous: int) -> None:
    opener = InFile(tmp_path / "runs.db", cast("Any", durability))
    writer, reader = await opener.open()
    assert number(writer, "PRAGMA synchronous") == synchronous
    assert one(writer, "PRAGMA journal_mode") == ("wal",)
    assert number(reader, "PRAGMA query_only") == 1
    opener.begin_commits(writer)
    assert number(writer, "PRAGMA synchronous") == synchronous
    assert number(writer, "PRAGMA wal_autocheckpoint") > 0
    writer.close()
    reader.close()


async def test_a_host_sizes_the_log_once_so_that_commits_need_not_grow_it(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    log = tmp_path / "runs.db-wal"
    reading = await open_store(path)
    assert log.stat().st_size < 1_000_000
    store = await open_store(path)
    key = await start(store, "r1")
    size = log.stat().st_size
    assert size > 4_000_000
    for n in range(20):
        await store.commit([RunChange(key, key, 1, events=[note(f"e{n}")])])
    other = await open_store(path)
    await start(other, "r2")
    assert log.stat().st_size == size
    for each in (reading, store, other):
        await each.close()
    assert not log.exists()


async def test_migrations_are_numbered_without_gaps_and_make_the_schema_once(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "agentflow" / "store" / "sqlite" / "migrations"
    numbers = sorted(int(path.name[:4]) for path in folder.glob("*.sql"))
    assert numbers == list(range(1, len(migrations()) + 1))
    path = tmp_path / "runs.db"
    await (await open_store(path)).close()
    db = apsw.Connection(str(path))
    tables = rows(db, "SELECT name, sql FROM sqlite_master ORDER BY name")
    migrate(db, path)
    assert rows(db, "SELECT name, sql FROM sqlite_master ORDER BY name") == tables
    assert number(db, "PRAGMA user_version") == len(migrations())
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]
    db.close()


async def test_a_failed_migration_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.db"
    store = await open_store(path)
    await start(store, "r1")
    await store.close()
    steps = (*migrations(), "CREATE TABLE extra (a); CREATE TABLE runs (b);")
    monkeypatch.setattr("agentflow.store.sqlite.schema.migrations", lambda: steps)
    for module in ("schema", "file.place"):
        monkeypatch.setattr(f"agentflow.store.sqlite.{module}.latest", lambda: len(steps))
    with pytest.raises(StoreError):
        await open_store(path)
    monkeypatch.undo()
    again = await open_store(path)
    assert await again.get_run(text_id("r1")) is not None
    await again.close()


async def test_lists_and_commands_use_an_index(tmp_path: Path) -> None:
    """Each of these is asked often, and by stores with very many runs."""
    opener = InFile(tmp_path / "runs.db", "strict")
    writer, reader = await opener.open()
    queries = (
        "SELECT key FROM heads h WHERE h.parent IS NULL ORDER BY h.created_at DESC, h.key DESC LIMIT 50",
        "SELECT key FROM heads h WHERE h.parent IS NULL AND h.state IN ('working') ORDER BY h.created_at DESC LIMIT 5",
        "SELECT key FROM heads h WHERE h.parent IS NULL AND h.workflow = 'w' ORDER BY h.created_at DESC LIMIT 50",
        "SELECT key FROM heads h WHERE h.parent IS NULL AND h.tenant = '' AND h.owner = 'ann'"
        " ORDER BY h.created_at DESC LIMIT 50",
        "SELECT key FROM heads h WHERE h.parent IS NULL AND h.context_id = 'c' ORDER BY h.created_at DESC LIMIT 50",
        "SELECT pos FROM events WHERE run = 1 AND task IS NULL AND generation > 5 ORDER BY generation LIMIT 50",
        "SELECT pos FROM events WHERE run = 1 AND task = 'w' AND generation > 5 ORDER BY generation LIMIT 50",
        "SELECT pos FROM artifacts WHERE run = 1 AND generation > 5 ORDER BY generation, pos LIMIT 50",
        "SELECT pos FROM messages WHERE run = 1 AND task IS NULL ORDER BY pos DESC LIMIT 5",
        "SELECT created_at FROM heads WHERE parent IS NULL AND created_at > 5 ORDER BY created_at DESC LIMIT 1",
        "SELECT key FROM heads WHERE parent IS NULL AND holder IS NULL AND asleep = 0 AND paused = 0"
        " AND state IN ('submitted', 'working')",
        "SELECT DISTINCT holder FROM heads WHERE holder IS NOT NULL",
        "SELECT run FROM labels WHERE name = 'a' AND value = 'b'",
        "SELECT id FROM runs WHERE ending >= 'a' AND ending < 'b'",
        "SELECT min(due) FROM timers",
        "SELECT task FROM subscriptions WHERE tenant = '' AND owner = 'ann' AND topic = 't'",
        "SELECT id FROM inbox WHERE root = 1",
        "SELECT pos FROM events WHERE run = 1 AND seq > 5 ORDER BY seq",
    )
    for query in queries:
        plan = " ".join(str(row[3]) for row in rows(reader, f"EXPLAIN QUERY PLAN {query}"))
        assert "INDEX" in plan or "PRIMARY KEY" in plan, (query, plan)
        assert "TEMP B-TREE" not in plan, (query, plan)
    writer.close()
    reader.close()
