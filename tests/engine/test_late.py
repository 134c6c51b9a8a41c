"""A zombie: a host whose runs others have taken, and which doesn't know it. Nothing of what it does late is written.

Its late input is a step's result or failure, a checkpoint, a line of its log, a time that has come.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from agentflow import Context, Engine
from agentflow.steps import delay, wait_for_input
from agentflow.store.sqlite.sql import rows
from tests.engine.hands import by_hand
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def everything(db: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables."""
    connection = apsw.Connection(str(db), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = [name for (name,) in rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: rows(connection, f"SELECT * FROM {name}") for name in tables}
    finally:
        connection.close()


def inherit(heir: Engine, zombie: Engine) -> None:
    """Let a host believe that another one is dead."""
    heir.core.loader.dead = {zombie.store.holder}
    heir.host.takeover.find_dead = _nothing


async def _nothing() -> None:
    """Don't look who is dead: the test says it."""


@pytest.mark.case("F-D-8", "W-L-2")
@pytest.mark.parametrize("late", ["result", "failure", "checkpoint", "log"])
async def test_whatever_a_zombie_comes_to_is_refused_with_nothing_written(lab: Lab, db: Path, late: str) -> None:
    inside = [anyio.Event(), anyio.Event()]
    go = [anyio.Event(), anyio.Event()]
    after: list[str] = []

    async def work(ctx: Context) -> str:
        number = ctx.attempt - 1
        inside[number].set()
        await go[number].wait()
        if number == 0 and late == "failure":
            raise RuntimeError("too late")
        if number == 0 and late == "checkpoint":
            await ctx.save({"too": "late"})
            await anyio.sleep_forever()
        if number == 0 and late == "log":
            ctx.log("too late")
            await anyio.sleep_forever()
        return f"attempt {ctx.attempt}"

    flow = lab.workflow(lab.call("a", work), lab.call("b", lambda: after.append("b")))
    async with lab.open(flow, store=db) as zombie, lab.open(flow, store=db) as heir:
        with anyio.fail_after(LIMIT):
            run = await zombie.start("main")
            await inside[0].wait()
            inherit(heir, zombie)
            assert await heir.adopt(run.id)
            await inside[1].wait()
            before = everything(db)
            go[0].set()
            await zombie.core.idle()
            assert everything(db) == before
            assert zombie.core.cache.trees == {}
            go[1].set()
            done = await lab.finish(heir, run)
    assert (done.state, done.results["a"], after) == ("completed", "attempt 2", ["b"])
    assert done.steps_of("step_completed") == ["a", "b"]


async def test_a_zombies_timer_fires_nothing_that_another_host_has(lab: Lab, db: Path) -> None:
    inside, go = anyio.Event(), anyio.Event()

    async def work() -> None:
        inside.set()
        await go.wait()

    lab = by_hand(lab)
    both = lab.workflow(
        delay("nap", for_="10s", execution="parallel"),
        lab.call("work", work, execution="parallel"),
        wait_for_input("ask", message="?", execution="parallel"),
    )
    async with lab.open(both, store=db) as zombie:
        with anyio.fail_after(LIMIT):
            run = await zombie.start("main")
            await inside.wait()
            async with lab.open(both, store=db) as heir:
                inherit(heir, zombie)
                assert await heir.adopt(run.id)
                lab.clock.advance(11)
                await until(heir, run.id, "step_completed", "nap")
                go.set()
                await zombie.core.idle()
                await heir.core.idle()
                done = await lab.look(heir, run.id)
    assert sorted(done.steps_of("step_completed"), key=str) == ["nap", "work"]
