"""Damage is found, by reads and by `store check`, and named by run, step or page; nothing is lost silently."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest

from agentflow.data import digest
from agentflow.errors import StoreError
from agentflow.store import care, open_store
from agentflow.store.rows import RunChange
from agentflow.store.sqlite.schema import migrations
from agentflow.store.sqlite.sql import do, number, one, rows
from agentflow.testing.store_suite.builders import bump, ending, note, start, step, text_id

pytestmark = pytest.mark.anyio

PAGE = 4096
FRAME = PAGE + 24


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return a closed store with three runs, the last of them open."""
    path = tmp_path / "runs.db"
    store = await open_store(path, durability="relaxed")
    await store.commit([], {digest(b"{}"): b"{}"})
    for n in range(3):
        key = await start(store, f"r{n}", definition=digest(b"{}"))
        done = [step(key, i, "completed", result=f'"{n}-{i}-{"x" * 500}"'.encode()) for i in range(60)]
        events = [note("tick") for _ in range(60)]
        await store.commit([RunChange(key, key, 1, steps=done, events=events)])
        if n < 2:
            await store.commit([ending(key, key)])
    await store.close()
    return path


def _change(path: Path, sql: str) -> None:
    db = apsw.Connection(str(path))
    do(db, sql)
    db.close()


def _pages(path: Path, name: str) -> list[int]:
    """Return the leaf pages of a table or an index."""
    db = apsw.Connection(str(path))
    found = rows(db, "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", (name,))
    db.close()
    return [values[0] for values in found]


def _spoil(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(os.urandom(PAGE))


def _overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes of the file, behind the database's back."""
    raw = path.read_bytes()
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, new))


def _cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


async def _verdict(path: Path) -> str:
    """Return the code of a refusal to look at a file, `findings`, or `sound`."""
    try:
        return "findings" if (await care.check(path)).findings else "sound"
    except StoreError as error:
        return error.code


async def _found(path: Path) -> list[tuple[str | None, str | None, int | None, str]]:
    report = await care.check(path)
    for finding in report.findings:
        assert finding.hint
    return [(finding.run, finding.step, finding.page, finding.message) for finding in report.findings]


async def test_a_sound_store_has_no_findings(path: Path) -> None:
    report = await care.check(path)
    assert (report.runs, report.steps, report.results, report.findings) == (3, 180, 180, [])
    assert report.schema == len(migrations())
    assert report.bytes == os.path.getsize(path)  # noqa: ASYNC240  a test


async def test_a_result_that_was_changed_is_named_with_its_run_and_step(path: Path) -> None:
    _overwrite(path, b'"1-17-xxx', b'"1-17-xxy')
    db = apsw.Connection(str(path))
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]
    db.close()
    assert await _found(path) == [(text_id("r1"), "step17", None, "Its stored result is damaged.")]
    report = await care.check(path)
    again = f"or run the step again: agentflow runs retry {text_id('r1')}"
    assert report.findings[0].hint == f"Restore a backup: agentflow store restore FILE, {again}"
    _change(path, "UPDATE steps SET hash = 0 WHERE address = 'step3'")
    report = await care.check(path)
    assert f"agentflow runs cancel {text_id('r2')}, then agentflow runs retry" in report.findings[-1].hint


async def test_a_result_that_was_swapped_with_another_steps_is_found(path: Path) -> None:
    _change(path, "UPDATE steps SET (result, hash) = (SELECT result, hash FROM steps WHERE address = 'step3' LIMIT 1)"
            " WHERE key = (SELECT max(key) FROM steps)")  # fmt: skip
    assert await _found(path) == [(text_id("r2"), "step59", None, "Its stored result is damaged.")]


async def test_a_page_of_steps_with_garbage_is_named_with_the_runs_it_had(path: Path) -> None:
    page = _pages(path, "steps")[2]
    _spoil(path, page)
    found = await _found(path)
    assert ("A page of table steps is damaged.", page) in [(message, where) for _, _, where, message in found]
    lost = [run for run, _, _, message in found if message == "Rows of it can't be read: steps."]
    assert lost == [text_id("r0")]
    store = await open_store(path)
    with pytest.raises(StoreError) as caught:
        await store.list_steps(text_id("r0"))
    assert caught.value.code == "AF-STORE-DAMAGED"
    assert len(await store.list_steps(text_id("r2"))) == 60
    await store.close()
    with pytest.raises(StoreError):
        await care.backup(path, path.with_name("copy.db"))


BESIDE = ("heads_newest", "runs_ending", "slots_run", "sqlite_autoindex_events_1", "sqlite_autoindex_definitions_1")


def _everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables."""
    db = apsw.Connection(str(path))
    tables = rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    found = {name: sorted(rows(db, f"SELECT * FROM {name}"), key=repr) for (name,) in tables}
    assert number(db, "PRAGMA auto_vacuum") == 2
    db.close()
    return found


@pytest.mark.parametrize("index", [*BESIDE, "the map of the pages"])
async def test_damage_beside_the_data_is_named_and_mended_by_writing_the_file_anew(path: Path, index: str) -> None:
    before = _everything(path)
    page = 2 if index not in BESIDE else _pages(path, index)[0]
    _spoil(path, page)
    what = f"A page of index {index} is damaged." if index in BESIDE else "The map of the file's pages is damaged."
    report = await care.check(path)
    assert [(finding.message, finding.run) for finding in report.findings] == [(what, None)]
    assert "Make the indexes anew: agentflow store vacuum --full" in report.findings[0].hint
    assert "restore" not in report.findings[0].hint
    await care.vacuum(path, full=True)
    assert await _verdict(path) == "sound"
    assert _everything(path) == before
    assert sorted(os.listdir(path.parent)) == ["runs.db"]


async def test_an_index_that_lacks_a_row_is_mended_from_its_table(path: Path) -> None:
    db = apsw.Connection(str(path))
    columns = "type, name, tbl_name, rootpage, sql"
    (entry,) = rows(db, f"SELECT {columns} FROM sqlite_master WHERE name = 'runs_ending'")
    do(db, "PRAGMA writable_schema=ON")
    do(db, "DELETE FROM sqlite_master WHERE name = ?", (entry[1],))
    db.close()
    _change(path, "INSERT INTO runs SELECT 99, '99', '99', parent_step, definition, entry_point, door, labels, pins,"
                  " fingerprint, retry_of, messaged, input, usage FROM runs WHERE key = 1")  # fmt: skip
    db = apsw.Connection(str(path))
    do(db, "PRAGMA writable_schema=ON")
    do(db, "INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", entry)
    db.close()
    assert (None, None, None, f"The index {entry[1]} doesn't fit its table.") in await _found(path)
    await care.vacuum(path, full=True)
    db = apsw.Connection(str(path))
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]
    assert rows(db, "SELECT key FROM runs WHERE ending = '99'") == [(99,)]
    db.close()


async def test_a_damaged_table_is_not_written_anew_and_stays_as_it_is(path: Path) -> None:
    _spoil(path, _pages(path, "steps")[2])
    before = _bytes(path)
    report = await care.check(path)
    assert all("restore" in finding.hint for finding in report.findings)
    with pytest.raises(StoreError) as caught:
        await care.vacuum(path, full=True)
    assert caught.value.code == "AF-STORE-DAMAGED"
    assert _bytes(path)[100:] == before[100:], "but for what is counted in its head"
    assert sorted(os.listdir(path.parent)) == ["runs.db"]


async def test_every_page_is_either_spare_or_its_damage_is_found(path: Path, tmp_path: Path) -> None:
    db = apsw.Connection(str(path))
    count = number(db, "PRAGMA page_count")
    db.close()
    for page in range(1, count + 1):
        copy = tmp_path / "copy.db"
        shutil.copyfile(path, copy)
        _spoil(copy, page)
        assert await _verdict(copy) in ("findings", "AF-STORE-FORMAT", "AF-STORE-DAMAGED"), page
        (tmp_path / "copy.db").unlink()


async def test_a_file_that_was_cut_is_found(path: Path) -> None:
    _cut(path)

    async def read() -> None:
        store = await open_store(path)
        try:
            for name in ("r0", "r1", "r2"):
                await store.list_steps(text_id(name))
        finally:
            await store.close()

    with pytest.raises(StoreError) as caught:
        await read()
    assert caught.value.code == "AF-STORE-DAMAGED"
    assert await _verdict(path) in ("findings", "AF-STORE-DAMAGED")


async def test_rows_that_belong_to_nothing_and_runs_that_lack_a_part_are_named(path: Path) -> None:
    _change(path, "DELETE FROM heads WHERE key = 1")
    _change(path, "DELETE FROM events WHERE run = 2 AND seq = 5")
    _change(path, "UPDATE definitions SET body = CAST('[]' AS BLOB)")
    _change(path, "UPDATE runs SET input = CAST('{\"a\":' AS BLOB) WHERE key = 3")
    found = {(run, message) for run, _, _, message in await _found(path)}
    assert found == {
        (text_id("r0"), "A part of its own row is missing."),
        (text_id("r0"), "There are steps of a run that isn't there."),
        (text_id("r0"), "There are events of a run that isn't there."),
        (text_id("r1"), "Events of it are missing."),
        (text_id("r2"), "Its stored input (runs) is damaged."),
        *((text_id(name), "Its stored definition is damaged.") for name in ("r0", "r1", "r2")),
    }


async def test_a_slot_of_a_step_that_is_not_in_progress_is_found(path: Path) -> None:
    _change(path, "INSERT INTO slots (key, run, n) VALUES ('gpu', 3, 5), ('disk', 3, 777)")
    found = {(run, message.split('"')[1]) for run, _, _, message in await _found(path)}
    assert found == {(text_id("r2"), "gpu"), (text_id("r2"), "disk")}


async def test_a_newer_and_a_foreign_file_are_not_judged(path: Path, tmp_path: Path) -> None:
    _change(path, f"PRAGMA user_version = {len(migrations()) + 1}")
    with pytest.raises(StoreError) as caught:
        await care.check(path)
    assert caught.value.code == "AF-STORE-NEWER"
    text = tmp_path / "notes.txt"
    text.write_text("dear diary, " * 1000, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        await care.check(text)
    assert caught.value.code == "AF-STORE-FORMAT"


# the write-ahead log


async def _killed(path: Path, commits: int = 12) -> Path:
    """Return a copy of a store and its log as a killed process leaves them, with some commits in the log."""
    store = await open_store(path, durability="relaxed")
    key = await start(store, "late", definition=digest(b"{}"))
    for n in range(commits):
        await store.commit([RunChange(key, key, 1, events=[bump(f"e{n}")])])
    left = path.with_name("left.db")
    for suffix in ("", "-wal"):
        shutil.copyfile(path.with_name(path.name + suffix), left.with_name(left.name + suffix))
    await store.close()
    return left


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


async def test_what_a_killed_process_left_in_the_log_is_read(path: Path) -> None:
    left = await _killed(path)
    assert (await care.check(left)).findings == []
    store = await open_store(left)
    assert len(await store.events(text_id("late"))) == 13
    await store.close()


@pytest.mark.parametrize("where", ["head", "first frame", "middle", "everything"])
async def test_a_damaged_log_is_refused_and_left_alone_until_somebody_decides(path: Path, where: str) -> None:
    left = await _killed(path)
    raw = bytearray(_log(left).read_bytes())
    frames = _readable_frames(left)
    start_ = {"head": 8, "first frame": 32 + 100, "middle": 32 + frames // 2 * FRAME + 100, "everything": 0}[where]
    length = {"everything": len(raw)}.get(where, 16)
    raw[start_ : start_ + length] = os.urandom(length)
    _log(left).write_bytes(raw)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            await open_store(left)
        assert caught.value.code == "AF-STORE-DAMAGED"
        assert "log" in caught.value.what
        assert "restore" in (caught.value.hint or "")
        assert "vacuum --full" in (caught.value.hint or "")
    assert "log is damaged" in (await care.check(left)).findings[0].message
    assert _log(left).read_bytes() == bytes(raw)
    with pytest.raises(StoreError):
        await care.backup(left, path.with_name("copy.db"))
    await care.vacuum(left, full=True)
    store = await open_store(left)
    assert len(await store.list_steps(text_id("r2"))) == 60
    assert len(await store.events(text_id("late"))) < 13
    await store.close()


def _readable_frames(path: Path) -> int:
    """Return how many frames of a log are of its last round, by looking at a copy."""
    copy = path.with_name("probe.db")
    for suffix in ("", "-wal"):
        shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    db = apsw.Connection(str(copy))
    number(db, "SELECT count(*) FROM heads")
    found = one(db, "PRAGMA wal_checkpoint(NOOP)")
    db.close()
    assert found is not None
    return int(found[1])


async def test_the_torn_end_of_a_log_is_what_a_power_cut_leaves_and_no_damage(path: Path) -> None:
    left = await _killed(path)
    frames = _readable_frames(left)
    raw = bytearray(_log(left).read_bytes())
    at = 32 + (frames - 1) * FRAME + 100
    raw[at : at + 16] = os.urandom(16)
    _log(left).write_bytes(raw)
    store = await open_store(left)
    assert len(await store.events(text_id("late"))) == 12
    await store.close()


async def test_a_result_that_became_a_text_is_damaged_like_any_other(path: Path) -> None:
    """What `sqlite3` makes of an UPDATE by hand."""
    _change(
        path,
        "UPDATE steps SET result = '\"mine\"' WHERE address = 'step17' AND key >> 32 = (SELECT max(key) FROM runs)",
    )
    assert await _found(path) == [(text_id("r2"), "step17", None, "Its stored result is damaged.")]
    with pytest.raises(StoreError, match=f"is damaged: run {text_id('r2')}, step step17: Its stored result"):
        await care.backup(path, path.with_name("copy.db"))
    store = await open_store(path)
    with pytest.raises(StoreError, match="step17"):
        await store.list_steps(text_id("r2"))
    await store.close()


async def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    assert await _verdict(empty) == "AF-STORE-MISSING"
    with pytest.raises(StoreError, match="is empty"):
        await care.restore(tmp_path / "runs.db", empty)
