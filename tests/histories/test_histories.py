"""Databases that earlier versions left behind are opened and their runs finished."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

import agentflow
from agentflow.engine import Engine
from agentflow.store import care
from agentflow.store.rows import RunQuery
from agentflow.store.sqlite.sql import rows
from agentflow.testing.clock import FakeClock
from tests.histories.record import record
from tests.histories.scenes import SCENES, START, Hands, Scene, finish

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent
BY_NAME = {scene.name: scene for scene in SCENES}
RECORDED = sorted(HERE.glob("*/*.db"))
LATER = START + 7 * 86400.0
"""The process that finishes them starts a week after the other one died."""


async def _finished(path: Path, scene: Scene, **options: Any) -> tuple[Any, list[str]]:
    hands = Hands(fails=scene.fails)
    opening = Engine.open(path, functions=hands.functions, clock=FakeClock(LATER), grace=0.0, **options)
    async with opening as engine:
        with anyio.fail_after(60):
            [run] = await engine.list(RunQuery())
            before = [event.type for event in await engine.store.events(run.id)]
            run = await finish(engine, run.id)
        events = await engine.store.events(run.id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.type for event in events][: len(before)] == before
        assert set(scene.events) <= {event.type for event in events}
    return run, hands.calls


@pytest.mark.parametrize("always_replay", [False, True], ids=["cached", "replayed"])
@pytest.mark.parametrize("file", RECORDED, ids=lambda file: f"{file.parent.name}-{file.stem}")
async def test_a_recorded_run_is_finished(file: Path, tmp_path: Path, always_replay: bool) -> None:
    path = tmp_path / "runs.db"
    shutil.copyfile(file, path)
    scene = BY_NAME[file.stem]
    assert (await care.check(path)).findings == []
    run, calls = await _finished(path, scene, always_replay=always_replay)
    assert (run.state, run.output) == (scene.state, scene.output)
    assert sorted(calls) == list(scene.calls)
    assert (await care.check(path)).findings == []


async def test_this_version_has_a_record_of_every_scene() -> None:
    recorded = {file.stem for file in RECORDED if file.parent.name.startswith(agentflow.__version__)}
    assert recorded == set(BY_NAME), "python -m tests.histories.record"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_what_this_version_leaves_today_is_finished_as_well(scene: Scene, tmp_path: Path) -> None:
    """A change of what is stored shows here first, before it is recorded for a release."""
    path = tmp_path / "runs.db"
    await record(scene, path)
    run, calls = await _finished(path, scene)
    assert (run.state, run.output) == (scene.state, scene.output)
    assert sorted(calls) == list(scene.calls)


async def test_recording_is_repeatable(tmp_path: Path) -> None:
    scene = BY_NAME["killed"]
    dumps: list[list[Any]] = []
    for name in ("one.db", "two.db"):
        await record(scene, tmp_path / name)
        db = apsw.Connection(str(tmp_path / name))
        tables = [values[0] for values in rows(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        dumps.append([rows(db, f"SELECT * FROM {table}") for table in tables])
        db.close()
    assert dumps[0] == dumps[1]
