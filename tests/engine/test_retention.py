"""How long runs are kept: by how they ended, by themselves, each agent's by its own config, by whichever host looks."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from agentflow import Engine
from agentflow.config import Config
from agentflow.config.load import load_text
from agentflow.engine.host.retention import Retention
from agentflow.engine.host.takeover import HostMode
from agentflow.errors import DefinitionError
from agentflow.testing import FakeClock

pytestmark = pytest.mark.anyio
TEXT = """
name: {name}
retention: {retention}
workflows:
  good: {{steps: [{{id: a, type: set, value: 1}}]}}
  bad: {{steps: [{{id: a, type: end, state: failed, message: "no"}}]}}
  asks: {{steps: [{{id: a, type: wait_for_input, message: "?"}}]}}
"""
DAY = 86_400.0


def _config(retention: str = "{completed: 30d, failed: 90d}", name: str = "desk") -> Config:
    return load_text(TEXT.format(name=name, retention=retention))


def _open(store: Path, clock: FakeClock, config: Config, host: HostMode = "own") -> AbstractAsyncContextManager[Engine]:
    return Engine.open(store, config=config, clock=clock, host=host)


async def _left(engine: Engine) -> list[str]:
    return sorted(run.workflow for run in await engine.list())


async def _some(engine: Engine, *names: str, retention: float | None = None) -> None:
    for name in names:
        run = await engine.start(name, retention=retention)
        await engine.wait(run.id)


def _retention(engine: Engine) -> Retention:
    return Retention(engine.core, engine.core.env.keeps)


async def test_runs_are_deleted_when_they_have_been_over_as_long_as_their_state_is_kept(tmp_path: Path) -> None:
    clock = FakeClock(auto=False)
    async with _open(tmp_path / "runs.db", clock, _config()) as engine:
        await _some(engine, "good", "bad", "asks")
        clock.advance(30 * DAY)
        assert await _retention(engine).purge() == 0
        clock.advance(1)
        assert await _retention(engine).purge() == 1
        assert await _left(engine) == ["asks", "bad"]
        clock.advance(60 * DAY)
        assert await _retention(engine).purge() == 1
        assert await _left(engine) == ["asks"]  # what waits is no matter of age: its wait has a timeout, or it hasn't


async def test_a_run_that_says_itself_how_long_it_is_kept_is_kept_so_long(tmp_path: Path) -> None:
    clock = FakeClock(auto=False)
    async with _open(tmp_path / "runs.db", clock, _config("{completed: 1d}")) as engine:
        await _some(engine, "good", retention=5 * DAY)
        await _some(engine, "bad", retention=3 * DAY)
        await _some(engine, "good", "bad")
        clock.advance(2 * DAY)
        assert await _retention(engine).purge() == 1
        assert await _left(engine) == ["bad", "bad", "good"]
        clock.advance(4 * DAY)
        assert await _retention(engine).purge() == 2
        assert await _left(engine) == ["bad"]  # of failed runs the config says nothing


async def test_a_host_deletes_the_old_runs_of_its_own_agent_by_itself(tmp_path: Path) -> None:
    clock, store = FakeClock(auto=False), tmp_path / "runs.db"
    async with _open(store, clock, _config(name="other")) as other:
        await _some(other, "good")
    async with _open(store, clock, _config()) as engine:
        await _some(engine, "good", "bad")
    clock.advance(31 * DAY)
    with anyio.fail_after(60):
        async with _open(store, clock, _config(), "all") as engine:
            while len(await engine.list()) > 2:
                await anyio.lowlevel.checkpoint()
            assert sorted(run.agent for run in await engine.list()) == ["desk", "other"]


async def test_several_hosts_that_look_at_once_delete_each_run_once(tmp_path: Path) -> None:
    clock, store = FakeClock(auto=False), tmp_path / "runs.db"
    counts: list[int] = []

    async def purge(engine: Engine) -> None:
        counts.append(await _retention(engine).purge())

    async with _open(store, clock, _config()) as one, _open(store, clock, _config()) as two:
        await _some(one, *["good"] * 20)
        clock.advance(31 * DAY)
        async with anyio.create_task_group() as group:
            for engine in (one, two, one, two):
                group.start_soon(purge, engine)
        assert sum(counts) == 20
        assert await two.list() == []


@pytest.mark.parametrize("told", ["{working: 1d}", "{completed: 0}", "{completed: soon}"])
def test_only_ends_are_kept_for_a_time_that_there_is(told: str) -> None:
    with pytest.raises(DefinitionError):
        _config(told)


def test_states_of_runs_that_have_ended_have_a_word_in_the_config() -> None:
    keeps = _config("{completed: 1, failed: 2, canceled: 3, rejected: 4}").retention.model_dump()
    assert keeps == {"completed": 1, "failed": 2, "canceled": 3, "rejected": 4}


async def test_what_was_published_is_kept_as_long_as_the_runs_that_are_kept_longest(tmp_path: Path) -> None:
    clock = FakeClock(auto=False)
    waits = "\n  later: {steps: [{id: a, type: wait_for_event, topic: paid, since: 30d}]}\n"
    config = load_text(TEXT.format(name="desk", retention="{canceled: 1h, completed: 30d}") + waits)
    async with _open(tmp_path / "runs.db", clock, config) as engine:
        await engine.publish("paid", {"sum": 7})
        clock.advance(2 * DAY)
        await _retention(engine).purge()
        run = await engine.start("later")
        with anyio.fail_after(60):
            assert (await engine.wait(run.id)).output == {"sum": 7}
