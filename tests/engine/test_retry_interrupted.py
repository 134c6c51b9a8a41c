"""A retry that keeps items of a loop: its process dies anywhere, or another process takes it."""

from __future__ import annotations

from pathlib import Path
from shutil import copy

import anyio
import pytest

from agentflow.definition.models import Workflow
from agentflow.engine import Engine, Run
from agentflow.steps import for_each, sequence, set_
from agentflow.testing import RunOutcome
from agentflow.testing.clock import FakeClock
from tests.engine.hands import killed_at_commit
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

BROKEN = {1, 3, 4}


class Shop:
    """A loop of two costly steps an item; the second one fails for some items until it is mended."""

    def __init__(self, lab: Lab, side_by_side: int) -> None:
        self.got: list[int] = []
        self.put: list[int] = []
        self.mended = False
        body = [
            lab.call("get", self._get, input={"n": "{item}"}, update={"sum": "{item}"}),
            sequence("box", steps=[lab.call("put", self._put, input={"n": "{steps.get}"})]),
        ]
        loop = for_each("each", in_=list(range(6)), steps=body, max_parallel=side_by_side, on_error_siblings="continue")
        self.flow: Workflow = lab.workflow(
            loop,
            set_("end", value="{context.sum}"),
            context={"sum": {"default": 0, "reducer": "add"}},
            output=["{steps.end}", "{steps.each}"],
        )

    def _get(self, n: int) -> int:
        self.got.append(n)
        return n

    def _put(self, n: int) -> int:
        self.put.append(n)
        if n in BROKEN and not self.mended:
            raise ValueError("broken")
        return -n

    def mend(self) -> None:
        """Fail no more, and count from now on."""
        self.mended = True
        self.got.clear()
        self.put.clear()

    def check(self, done: RunOutcome) -> None:
        """Look at the end of a retry."""
        assert (done.state, self.got) == ("completed", [])
        assert done.output == [15, [{"get": n, "box": {"put": -n}} for n in range(6)]]


async def ended(lab: Lab, shop: Shop, path: Path) -> str:
    async with lab.open(shop.flow, store=path) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        assert done.state == "failed"
        shop.mend()
        return done.run.id


async def until_commit(lab: Lab, shop: Shop, path: Path, run_id: str, number: int, *, before: bool) -> bool:
    """Retry until a commit, die right before or after it; tells whether there was such a commit."""

    async def retry(engine: Engine) -> None:
        new = await engine.retry(run_id, "each[3]/box/put")
        assert isinstance(new, Run)
        await engine.wait(new.id)

    return await killed_at_commit(lab, [shop.flow], path, number, retry, before=before)


@pytest.mark.parametrize("side_by_side", [1, 4])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_wherever_the_process_dies_nothing_that_is_kept_is_called(
    clock: FakeClock, side_by_side: int, before: bool, tmp_path: Path
) -> None:
    lab = Lab(clock, always_replay=False)
    shop = Shop(lab, side_by_side)
    first = await ended(lab, shop, tmp_path / "first.db")
    for number in range(1, 100):
        shop.put.clear()
        path = tmp_path / f"{number}.db"
        copy(tmp_path / "first.db", path)
        with anyio.fail_after(LIMIT):
            crashed = await until_commit(lab, shop, path, first, number, before=before)
        async with lab.open(shop.flow, store=path) as engine:
            newest = next((run for run in await engine.list() if run.id != first), None)
            if newest is not None:
                shop.check(await lab.finish(engine, newest))
                assert set(shop.put) == BROKEN
                assert len(shop.put) <= len(BROKEN) + side_by_side
        if not crashed:
            return
    raise AssertionError("it never ended")


async def test_a_process_that_takes_the_retry_keeps_the_items(lab: Lab, tmp_path: Path) -> None:
    shop = Shop(lab, 1)
    path = tmp_path / "runs.db"
    first = await ended(lab, shop, path)
    async with lab.open(shop.flow, store=path, host="none") as engine:
        new = await engine.retry(first)
        assert isinstance(new, Run)
        states = {row.address: row.state for row in await engine.steps(new.id)}
        assert (states["each[2]/box"], states["each[3]/get"]) == ("completed", "completed")
    async with lab.open(shop.flow, store=path) as engine:
        shop.check(await lab.finish(engine, new))
    assert shop.put == [1, 3, 4]
