"""Steps that workers in other processes execute: whoever of them and of the holders dies, a result counts once."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest

from agentflow.engine import Engine, Run
from agentflow.engine.host.takeover import HostMode
from agentflow.testing import dying
from agentflow.testing.processes.holder import WorkerProcesses
from tests.crash.elsewhere import Elsewhere
from tests.engine.lab import LIMIT, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """A project whose workers end with the test."""
    monkeypatch.setenv("TOKEN", "s3cr3t-value")
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:  # a socket's path has to be short
        made = Elsewhere(Path(folder))
        try:
            yield made
        finally:
            made.end()


def always(_: str) -> bool:
    """Deliver everything twice."""
    return True


@asynccontextmanager
async def holder(there: Elsewhere, workers: int = 1, host: HostMode = "all", **options: Any) -> AsyncGenerator[Engine]:
    """Open an engine that executes nothing itself."""
    runtime = WorkerProcesses(there.socket, workers, **options)
    async with Engine.open(there.store, config=there.config, runtime=runtime, grace=0.0, host=host) as engine:
        yield engine


async def ended(engine: Engine, run: Run) -> Run:
    """Return the run when it is over."""
    with anyio.fail_after(LIMIT):
        return await engine.wait(run.id)


@pytest.mark.slow
async def test_a_worker_reads_saves_publishes_and_tells_through_its_port(there: Elsewhere) -> None:
    there.start()
    async with holder(there) as engine:
        run = await ended(engine, await engine.start("asks", {"n": 5}))
        events = await engine.store.events(run.id, 0, 1000, False)
        steps = {row.address: row for row in await engine.steps(run.id)}
    assert (run.state, steps["first"].attempt) == ("completed", 1)
    assert run.output == {
        "input": {"n": 5}, "first": 5, "ended": ["first"], "before": None, "state": {"seen": 1}, "secret": True,
        "missing": False,
    }  # fmt: skip
    told = [event.type for event in events]
    assert told.index("step_progress") < told.index("step_completed", told.index("step_log"))


async def test_the_steps_of_a_killed_worker_are_executed_by_another_one(there: Elsewhere) -> None:
    there.start(2)
    async with holder(there, 2) as engine:
        run = await engine.start("holds")
        there.kill(await there.holding())
        there.open(2)
        done = await ended(engine, run)
        rows = {row.address: row for row in await engine.steps(run.id)}
    assert (done.state, done.output) == ("completed", 2)
    assert (rows["held"].attempt, rows["held"].tries, rows["held"].crashes) == (2, 1, 1)


async def test_a_step_that_may_run_once_fails_with_its_worker(there: Elsewhere) -> None:
    there.start(2)
    async with holder(there, 2) as engine:
        run = await engine.start("once")
        there.kill(await there.holding())
        done = await ended(engine, run)
    assert (done.state, done.failure and done.failure.code) == ("failed", "AF-INTERRUPTED")
    assert len([line for line in there.done() if " held " in line]) == 1


@pytest.mark.slow
async def test_a_worker_goes_on_while_its_holder_is_another_one(there: Elsewhere) -> None:
    there.start()
    async with dying(holder(there)) as engine:
        run = await engine.start("holds")
        worker = await there.holding()
    async with holder(there) as engine:
        await until(engine, run.id, "step_started")
        there.open()
        done = await ended(engine, run)
        row = (await engine.steps(run.id))[0]
    assert (done.state, done.output, row.attempt, row.crashes) == ("completed", 1, 1, 0)
    assert [line.split()[-1] for line in there.done() if " held " in line] == [str(worker)]


async def test_a_worker_goes_on_when_the_process_of_its_holder_is_killed(there: Elsewhere) -> None:
    there.start()
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.crash.holding", str(there.folder), "holds"]
    async with await anyio.open_process(command, cwd=root, stderr=None) as first:
        assert first.stdout is not None
        run_id = (await first.stdout.receive()).decode().strip()
        await there.holding()
        first.kill()
    there.open()
    async with holder(there) as engine:
        done = await ended(engine, await engine.get(run_id))
        row = (await engine.steps(run_id))[0]
    assert (done.state, done.output, row.attempt, row.crashes) == ("completed", 1, 1, 0)


@pytest.mark.slow
async def test_a_worker_goes_on_when_its_holder_stops_in_good_order(there: Elsewhere) -> None:
    there.start()
    async with holder(there) as engine:
        run = await engine.start("holds")
        await there.holding()
    there.open()
    async with holder(there) as engine:
        done = await ended(engine, run)
        row = (await engine.steps(run.id))[0]
    assert (done.state, done.output, row.attempt) == ("completed", 1, 1)


@pytest.mark.slow
async def test_what_a_worker_brings_before_a_holder_has_its_tree_is_kept_for_it(there: Elsewhere) -> None:
    """A step that may run once, whose result would be lost with it."""
    there.start()
    async with dying(holder(there)) as engine:
        run = await engine.start("once")
        worker = await there.holding()
    there.open()
    await there.noted(f"left 1 {worker}")
    async with holder(there, host="own") as engine:
        await both(engine)
        for _ in range(20):  # what it has brought is read
            await anyio.wait_all_tasks_blocked()
        assert await engine.adopt(run.id)
        done = await ended(engine, run)
    assert (done.state, done.output) == ("completed", 1)


async def test_what_was_handed_out_is_done_anew_where_worker_and_holder_have_died(there: Elsewhere) -> None:
    there.start()
    async with dying(holder(there)) as engine:
        run = await engine.start("holds")
        there.kill(await there.holding())
    there.open(2)
    there.start()
    async with holder(there, 1, patience=10.0) as engine:
        done = await ended(engine, run)
    assert (done.state, done.output) == ("completed", 2)


@pytest.mark.slow
async def test_a_host_without_workers_takes_over_what_was_handed_out_as_a_new_attempt(there: Elsewhere) -> None:
    there.start()
    async with dying(holder(there)) as engine:
        run = await engine.start("holds")
        await there.holding()
    there.open(2)
    async with Engine.open(there.store, config=there.config, grace=0.0) as engine:
        done = await ended(engine, run)
    assert (done.state, done.output) == ("completed", 2)


async def test_a_worker_that_comes_back_with_an_old_attempt_is_stopped_and_changes_nothing(there: Elsewhere) -> None:
    there.start(2)
    async with holder(there, 2) as engine:
        run = await engine.start("holds")
        zombie = await there.holding()
        there.switch(zombie)
        second = await there.holding(2)
        there.open(1)
        await there.noted(f"left 1 {zombie}")
        there.switch(zombie)
        there.open(2)
        done = await ended(engine, run)
        again = await ended(engine, await engine.start("fan", {"items": list(range(20))}))
        events = await engine.store.events(run.id, 0, 1000, False)
    assert (done.output, again.state) == (2, "completed")
    assert second != zombie
    assert [event.step for event in events if event.type == "step_completed"] == ["held", "after"]


async def test_of_a_delivery_that_doubles_one_result_counts_and_the_other_worker_stops(there: Elsewhere) -> None:
    there.start(2)
    async with holder(there, 2, twice=always, patience=LIMIT) as engine:
        await both(engine)
        run = await engine.start("holds")
        with anyio.fail_after(LIMIT):
            await there.noted_so_far(2)
        begun = there.done()
        there.open()
        run = await ended(engine, run)
        with anyio.fail_after(LIMIT):
            await there.noted_so_far(4)
        events = await engine.store.events(run.id, 0, 1000, False)
    assert len({line.split()[-1] for line in begun if " held 1 " in line}) == 2
    assert (run.state, run.output) == ("completed", 1)
    assert [event.step for event in events if event.type == "step_completed"] == ["held", "after"]


@pytest.mark.slow
async def test_of_many_deliveries_that_double_each_result_counts_once(there: Elsewhere) -> None:
    there.start(2, slots=8)
    async with holder(there, 2, twice=always, patience=LIMIT) as engine:
        await both(engine)
        run = await ended(engine, await engine.start("fan", {"items": list(range(30))}))
        events = await engine.store.events(run.id, 0, 1000, False)
    assert (run.state, [item["x"] for item in run.output]) == ("completed", list(range(30)))
    assert len([event for event in events if event.type == "step_completed"]) == 31
    assert max(there.attempts().values()) <= 2


@pytest.mark.slow
async def test_a_run_is_cancelled_when_the_worker_has_stopped_its_step(there: Elsewhere) -> None:
    there.start()
    async with holder(there) as engine:
        run = await engine.start("holds")
        worker = await there.holding()
        await engine.cancel(run.id)
        assert (await ended(engine, run)).state == "canceled"
        await there.noted(f"left 1 {worker}")


@pytest.mark.slow
async def test_a_timeout_counts_for_workers_too(there: Elsewhere) -> None:
    there.start()
    async with holder(there) as engine:
        run = await ended(engine, await engine.start("late"))
    assert (run.state, run.failure and run.failure.code) == ("failed", "AF-TIMEOUT")


async def both(engine: Engine) -> None:
    """Return when all workers are connected."""
    runtime: Any = engine.core.workers
    with anyio.fail_after(LIMIT):
        await runtime.complete()


class Storm:
    """Kills workers and holders, cuts workers off and lets them come back, doubles deliveries: by chance."""

    def __init__(self, there: Elsewhere, seed: int) -> None:
        self.there = there
        self.chance = random.Random(seed)
        self.cut: list[int] = []

    def twice(self, _: str) -> bool:
        """Tell whether an attempt is delivered twice."""
        return self.chance.random() < 0.2

    def strike(self) -> None:
        """Do some harm to a worker, and bring another one."""
        worker = self.chance.choice(self.there.workers).pid
        if self.chance.random() < 0.6:
            self.there.kill(worker)
            self.cut = [pid for pid in self.cut if pid != worker]
            self.there.start()
        elif worker not in self.cut:
            self.there.switch(worker)
            self.cut.append(worker)
        if self.cut and self.chance.random() < 0.5:
            self.there.switch(self.cut.pop(0))

    async def live(self, items: list[int], *, last: bool) -> Run:
        """Be a holder for a while; the last one stays until the run is over."""
        opened = holder(self.there, 2, patience=2.0, twice=self.twice)
        async with opened if last or self.chance.random() < 0.3 else dying(opened) as engine:
            run = await engine.start("graph", {"items": items}, idempotency_key="the one")
            for _ in range(self.chance.randint(1, 3)):
                with anyio.move_on_after(1.0):
                    await self.there.noted_so_far(len(self.there.done()) + self.chance.randint(1, 8))
                self.strike()
            if not last:
                return run
            while self.cut:
                self.there.switch(self.cut.pop())
            return await ended(engine, run)


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))])
async def test_whatever_dies_each_result_counts_once_and_the_run_ends_right(there: Elsewhere, seed: int) -> None:
    storm = Storm(there, seed)
    items = [storm.chance.randint(0, 99) for _ in range(storm.chance.randint(5, 40))]
    there.start(2)
    for _ in range(storm.chance.randint(1, 3)):
        await storm.live(items, last=False)
    run = await storm.live(items, last=True)
    async with Engine.open(there.store, config=there.config, host="none") as engine:
        events = await engine.store.events(run.id, 0, 100_000, False)
        rows = await engine.steps(run.id)
    assert (run.state, run.output) == ("completed", sum(items)), run.failure
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    completed = [event.step for event in events if event.type == "step_completed"]
    assert len(completed) == len(set(completed)) == len([row for row in rows if row.state == "completed"])
    noted = [line.split() for line in there.done()]
    assert len({line[1] for line in noted}) == 2 * len(items) + 1
    assert len({(line[1], line[3]) for line in noted}) == 2 * len(items) + 1, "a step's idempotency key has changed"
