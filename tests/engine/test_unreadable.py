"""Stored data that can't be decoded, as older versions kept it: it harms nothing else, and its run can be ended."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import anyio
import apsw
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Answer, Engine
from agentflow.steps import set_, wait_for_event, wait_for_input
from agentflow.store import care
from agentflow.store.sqlite.sql import do, number
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio
DEEP = ("[" * 220 + "]" * 220).encode()
EVENT = Workflow(id="event", steps=(wait_for_event("w", topic="t"), set_("s", value="{steps.w}")))
INPUT = Workflow(id="input", steps=(set_("a", value=1), wait_for_input("w", message="m"), set_("s", value="{steps.a}")))


def change(path: Path, sql: str, *values: object) -> None:
    """Change what is stored behind the store's back."""
    db = apsw.Connection(str(path))
    do(db, sql, values)
    assert number(db, "SELECT changes()") > 0
    db.close()


async def parked(lab: Lab, path: Path, *workflows: Workflow) -> list[str]:
    async with lab.open(*workflows, store=path) as engine:
        return [(await lab.finish(engine, await engine.start(flow))).run.id for flow in workflows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_an_answer_that_cant_be_read_fails_its_step_only(lab: Lab, path: Path) -> None:
    poisoned, other = await parked(lab, path, EVENT, INPUT)
    async with lab.open(EVENT, INPUT, store=path, host="none") as engine:
        await engine.publish("t", 1)
        wait = (await engine.waits(other))[0]
        await engine.resume(wait.id, Answer(2))
    change(path, "UPDATE inbox SET data = ? WHERE CAST(data AS TEXT) LIKE '%event%'", DEEP)
    async with lab.open(EVENT, INPUT, store=path) as engine:
        failed, fine = [await lab.finish(engine, await engine.get(run)) for run in (poisoned, other)]
    assert (failed.state, failed.errors["w"].code) == ("failed", "AF-STORE-DAMAGED")
    assert (fine.state, fine.output) == ("completed", 1)


async def test_an_event_that_cant_be_read_is_passed_over(lab: Lab, path: Path) -> None:
    async with lab.open(EVENT, store=path) as engine:
        run = await engine.start("event")
        await lab.finish(engine, run)
        assert await engine.publish("u", 1) == 0
    change(path, "UPDATE published SET data = ?, topic = 't', at = at + 1", DEEP)
    async with lab.open(EVENT, store=path) as engine:
        later = await engine.start("event")
        assert (await lab.finish(engine, later)).state == "input-required"
        assert await engine.publish("t", {"ok": 1}) == 2
        assert [(await lab.finish(engine, one)).output for one in (run, later)] == [{"ok": 1}] * 2


async def test_a_filter_that_cant_be_read_keeps_no_event_from_others(lab: Lab, path: Path) -> None:
    filtered = Workflow(id="filtered", steps=(wait_for_event("w", topic="t", filter={"a": 1}),))
    poisoned, other = await parked(lab, path, filtered, EVENT)
    change(path, "UPDATE subscriptions SET filter = ? WHERE filter IS NOT NULL", DEEP)
    async with lab.open(filtered, EVENT, store=path) as engine:
        assert await engine.publish("t", {"a": 1}) == 1
        assert (await lab.finish(engine, await engine.get(other))).state == "completed"
        await engine.cancel(poisoned, force=True)
        assert (await lab.finish(engine, await engine.get(poisoned))).state == "canceled"


async def test_a_step_that_reads_a_result_that_cant_be_read_fails(lab: Lab, path: Path) -> None:
    (run,) = await parked(lab, path, INPUT)
    _keep_unread(path, "a")
    async with lab.open(INPUT, store=path) as engine:
        wait = (await engine.waits(run))[0]
        await engine.resume(wait.id, Answer(2))
        await _ended(engine, run)
        failure = (await engine.get(run)).failure
    assert failure is not None
    assert (failure.step, failure.code) == ("s", "AF-STORE-DAMAGED")
    assert failure.message == 'the stored result of step "a" can\'t be read'


async def test_a_check_of_the_store_names_a_result_that_cant_be_read(lab: Lab, path: Path) -> None:
    (run,) = await parked(lab, path, INPUT)
    _keep_unread(path, "a")
    found = (await care.check(str(path))).findings
    assert [(one.run, one.step) for one in found] == [(run, "a")]
    assert "can't be read" in found[0].message


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE steps SET memo = ? WHERE address = 'w'",
        "UPDATE heads SET memo = ?",
        "UPDATE runs SET input = ?",
        "UPDATE tasks SET details = ?",
        "UPDATE tasks SET schema = ?",
        "UPDATE events SET data = ?",
        "UPDATE runs SET labels = ?",
        "UPDATE tasks SET assignees = ?",
    ],
)
async def test_a_run_with_something_that_cant_be_read_is_listed_and_can_be_cancelled(
    lab: Lab, path: Path, damage: str
) -> None:
    run, other = await parked(lab, path, INPUT, EVENT)
    change(path, damage.replace("?", "?1", 1) + (" AND " if "WHERE" in damage else " WHERE ") + _of(damage, run), DEEP)
    async with lab.open(INPUT, EVENT, store=path) as engine:
        assert {one.id for one in await engine.list()} == {run, other}
        assert len(await engine.waits()) == 2
        await engine.publish("t", 1)
        assert (await lab.finish(engine, await engine.get(other))).state == "completed"
        await engine.cancel(run, force=True)
        assert await _ended(engine, run) == "canceled"


def _of(damage: str, run: str) -> str:
    key = f"(SELECT key FROM runs WHERE id = '{run}')"
    if "steps" in damage:
        return f"key >> 32 = {key}"
    return f"{'key' if 'runs' in damage or 'heads' in damage else 'run'} = {key}"


async def _ended(engine: Engine, run: str) -> str:
    with anyio.fail_after(LIMIT):
        return (await engine.wait(run)).state


def _keep_unread(path: Path, address: str) -> None:
    """Keep a result as a version did that didn't look whether it can be read: with its hash."""
    db = apsw.Connection(str(path))
    n = number(db, "SELECT key & 4294967295 FROM steps WHERE address = ?", (address,))
    do(db, "UPDATE steps SET result = ?, hash = ? WHERE address = ?", (DEEP, crc32(DEEP, n), address))
    db.close()
