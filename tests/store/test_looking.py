"""Looking at a store without an event loop: the same questions, the same answers, and nothing is changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agentflow.cli.looking import finished
from agentflow.errors import StoreError
from agentflow.store import look_into, open_store
from agentflow.store.rows import RunQuery
from agentflow.store.usage_rows import UsageQuery
from agentflow.testing.store_suite.builders import start

HISTORIES = Path(__file__).parent.parent / "histories"


@pytest.mark.anyio
async def test_what_looks_is_answered_like_what_has_the_whole_store(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    shutil.copyfile(HISTORIES / "0.1.0-schema4" / "told.db", path)
    store = await open_store(path)
    await start(store, "r1")
    query = RunQuery()
    with look_into(path) as found:
        assert found is not None
        runs = finished(found.list_runs(query))
        ids = [run.id for run in runs]
        assert runs == await store.list_runs(query)
        assert finished(found.count_runs(query)) == await store.count_runs(query)
        assert finished(found.list_tasks()) == await store.list_tasks()
        assert finished(found.shortest(ids, "run")) == await store.shortest(ids, "run")
        assert finished(found.usage_sums(UsageQuery("workflow"))) == await store.usage_sums(UsageQuery("workflow"))
        assert finished(found.liveness.living()) == await store.liveness.living()
    await store.close()


def test_a_store_of_an_older_version_is_left_to_who_can_bring_it_up(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    shutil.copyfile(HISTORIES / "0.1.0-schema4" / "told.db", path)
    before = path.read_bytes()
    with look_into(path) as found:
        assert found is None
    assert path.read_bytes() == before


def test_a_store_in_memory_is_left_to_who_can_make_it() -> None:
    with look_into(":memory:") as found:
        assert found is None


def test_a_file_that_is_no_database_is_refused_to_who_looks(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_text("not a database, but long enough to be taken for the head of one" * 20, encoding="utf-8")
    with pytest.raises(StoreError) as caught, look_into(path):
        pass
    assert caught.value.code == "AF-STORE-FORMAT"
