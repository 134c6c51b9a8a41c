"""Two processes answer the same waits at the same moment: each wait has one answer, and its run goes on with that."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import anyio
import pytest

from agentflow.config import load_config
from agentflow.engine import Answer, Engine
from agentflow.errors import ConflictError
from agentflow.store.rows import RunQuery
from tests.crash.scene import Scene
from tests.crash.small import WORK

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="it uses signals")]

ANSWERING = str(Path(__file__).with_name("answering.py"))
CONFIG = """\
python: {modules: [work]}
workflows:
  asks:
    steps:
      - {id: ask, type: wait_for_input, message: who?}
      - {id: after, type: python, function: "work:log"}
    output: "{steps.ask.by}"
"""


@pytest.mark.case("D-WAIT-12")
@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
async def test_of_two_answers_one_counts_the_other_is_a_conflict_and_every_run_ends(scene: Scene, count: int) -> None:
    scene.prepare(CONFIG, WORK)
    names = ("one", "two")
    hosts = {name: scene.spawn(ANSWERING, name) for name in names}
    config = load_config(scene.folder / "agentflow.yaml")
    async with Engine.open(scene.database, config=config, host="none") as engine:
        with anyio.fail_after(120):
            for host in hosts.values():
                scene.until(lambda host=host: "up" in scene.out(host), "a host that is up")
            runs = [await engine.start("asks") for _ in range(count)]
            for run in runs:
                assert (await engine.wait(run.id)).waiting
            (scene.folder / "go").touch()
            ended = {run.id: await _end(engine, run.id) for run in runs}
        for host in hosts.values():
            scene.until(lambda host=host: "through" in scene.out(host), "answers to all waits")
        tasks = {view.run_id: view.task for view in await engine.store.list_tasks(open_only=False)}
        with pytest.raises(ConflictError):
            await engine.resume(next(iter(tasks.values())).id, Answer({"by": "three"}))
        assert await engine.store.count_runs(RunQuery(states=("completed",))) == count
    for host in hosts.values():
        host.terminate()
        assert scene.wait(host) == 0, scene.said(host)
    told = {name: dict(line.split() for line in scene.out(hosts[name]).splitlines() if " " in line) for name in names}
    assert len(tasks) == count
    for run_id, task in tasks.items():
        assert sorted(told[name][task.id] for name in names) == ["AF-WAIT-CONFLICT", "accepted"]
        (winner,) = (name for name in names if told[name][task.id] == "accepted")
        assert ended[run_id] == winner
    assert Counter(line.split()[0] for line in scene.lines()) == {f"{run_id}/after": 1 for run_id in tasks}


async def _end(engine: Engine, run_id: str) -> object:
    async for _ in engine.subscribe(run_id):
        pass
    run = await engine.get(run_id)
    assert run.state == "completed"
    return run.output
