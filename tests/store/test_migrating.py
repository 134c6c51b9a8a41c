"""What an older schema kept is found in the newest one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest

from agentflow.engine import Engine
from agentflow.store import open_store
from agentflow.store.rows import RunQuery
from agentflow.store.sqlite import schema
from agentflow.store.sqlite.schema import APPLICATION_ID, migrate, migrations, newest
from agentflow.store.sqlite.sql import do, number, rows, script
from tests.store.newest import content, described, migrated, text

pytestmark = pytest.mark.anyio

HISTORIES = Path(__file__).parent.parent / "histories"


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A store of schema 4: a run with messages and an artifact in two chunks, one wait answered and one open."""
    shutil.copyfile(HISTORIES / "0.1.0-schema4" / "told.db", tmp_path / "runs.db")
    return tmp_path / "runs.db"


async def test_messages_get_their_ids_roles_and_generations(told: Path) -> None:
    async with Engine.open(told, host="none") as engine:
        [run] = await engine.list(RunQuery())
        own = await engine.store.history(run.id)
        [answered] = [v for v in await engine.store.list_tasks(run_id=run.id, open_only=False) if v.answer is not None]
        [answer] = await engine.store.history(answered.task.id)
        row = await engine.store.get_run(run.id)
        log = {event.generation: event.type for event in await engine.store.task_log(run.id)}
    begun, hello = own
    assert (begun.id, begun.role, begun.generation, begun.data["parts"]) == ("m-1", "user", 1, [{"text": "Begin"}])
    assert (hello.role, log[hello.generation], hello.data["parts"]) == ("agent", "message", [{"text": "Hello"}])
    assert (answer.id, answer.role, answer.data["parts"]) == ("m-2", "user", [{"data": {"ok": True}}])
    assert row is not None
    assert row.start_message == b'{"messageId":"m-1","role":"user","parts":[{"text":"Begin"}]}'


async def test_chunks_get_the_generations_of_their_events(told: Path) -> None:
    async with Engine.open(told, host="none") as engine:
        [run] = await engine.list(RunQuery())
        chunks = await engine.store.chunks(run.id)
        log = await engine.store.task_log(run.id)
        [whole] = await engine.store.artifacts(run.id)
    events = [event for event in log if event.type == "artifact"]
    assert [generation for generation, _ in chunks] == [event.generation for event in events]
    assert [(chunk.append, chunk.last_chunk) for _, chunk in chunks] == [(False, False), (True, True)]
    assert whole["parts"] == [{"text": "one"}, {"text": "two"}]


async def test_what_cant_be_read_of_an_older_store_doesnt_keep_it_from_opening(told: Path) -> None:
    db = apsw.Connection(str(told))
    for change in (
        "UPDATE messages SET data = x'7b'",
        "UPDATE runs SET start_message = x'7b'",
        "UPDATE tasks SET details = x'7b'",
        "UPDATE events SET data = x'7b' WHERE type = 'artifact'",
    ):
        do(db, change)
    before: list[Any] = rows(db, "SELECT id FROM runs")
    db.close()
    async with Engine.open(told, host="none") as engine:
        assert [(run.id,) for run in await engine.list(RunQuery())] == before


async def test_whose_runs_were_before_agents_were_kept_apart_is_not_known(tmp_path: Path) -> None:
    """The names of folders stood there: anybody goes on with them. Of two that had one key, one keeps it."""
    db = apsw.Connection(str(tmp_path / "runs.db"))
    for migration in migrations()[:6]:
        script(db, migration)
    do(db, f"PRAGMA application_id = {APPLICATION_ID}")
    do(db, "PRAGMA user_version = 6")
    for key, agent, once in ((1, "folder", None), (2, "folder", "k"), (3, "other", "k")):
        do(
            db,
            "INSERT INTO heads (key, root, seq, generation, born, extras, updated_at, epoch, asleep, state, paused,"
            " workflow, owner, context_id, created_at, agent, idempotency_key)"
            " VALUES (?1, ?1, 0, 0, 0, 0, 1, 0, 1, 'working', 0, 'flow', 'local', 'c', 1, ?2, ?3)",
            (key, agent, once),
        )
        do(db, "INSERT INTO timers (run, n, kind, root, due, entry) VALUES (?1, 0, 'timer', ?1, ?1, 0)", (key,))
    db.close()
    store = await open_store(tmp_path / "runs.db")
    due = [
        [root for root, _ in await store.due(9.0, None, (None,), agents=(name,))] for name in ("", "folder", "other")
    ]
    await store.close()
    assert due == [[1, 2, 3], [], []]


def test_a_new_store_is_what_all_migrations_make() -> None:
    one, all_of_them = apsw.Connection(":memory:"), migrated()
    migrate(one, Path(":memory:"))
    assert described(one) == described(all_of_them)
    assert content(one) == content(all_of_them)


def test_a_new_store_is_made_at_once() -> None:
    assert newest() == text(), "python -m tests.store.newest"


@pytest.mark.parametrize("reads", range(4))
def test_a_store_that_another_process_makes_meanwhile_is_no_other_program_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    path = tmp_path / "runs.db"
    db, other = apsw.Connection(str(path)), apsw.Connection(str(path))
    seen: list[str] = []

    def read(connection: apsw.Connection, query: str) -> int:
        seen.append(query)
        if len(seen) == reads + 1:
            with other:
                migrate(other, path)
        return number(connection, query)

    monkeypatch.setattr(schema, "number", read)
    assert schema.check_version(db, path) in {0, len(migrations())}
