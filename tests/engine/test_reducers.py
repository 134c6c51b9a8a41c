"""Reducers that are functions of the user: the loop goes on while they work, and their failures are the step's."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from agentflow.steps import parallel, set_
from tests.engine.hands import same
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio


def keys(reducer: str, default: Any = None) -> Any:
    return {"k": {"default": default, "reducer": reducer}}


async def test_a_reducer_that_blocks_keeps_no_other_run_from_going_on(lab: Lab) -> None:
    loop, go = threading.get_ident(), threading.Event()
    called: list[int] = []

    def red(old: Any, new: Any) -> Any:
        called.append(threading.get_ident())
        assert go.wait(LIMIT)
        return new

    lab.functions["lab:red"] = red
    slow = lab.workflow(set_("a", value=1, update={"k": "{steps.a}"}), context=keys("lab:red"), output="{context.k}")
    async with lab.open(slow, lab.workflow(set_("b", value=2), id="other")) as engine:
        run = await engine.start("main")
        assert (await lab.finish(engine, await engine.start("other"))).output == 2
        go.set()
        assert (await lab.finish(engine, run)).output == 1
    assert called
    assert loop not in called


async def test_steps_that_end_together_are_folded_one_after_the_other(lab: Lab) -> None:
    def red(old: Any, new: Any) -> Any:
        return [*old, new]

    lab.functions["lab:red"] = red
    steps = [lab.call(f"s{n}", same, input={"n": n}, update={"k": f"{{steps.s{n}}}"}) for n in range(12)]
    done = await lab.run(parallel("all", steps=steps), context=keys("lab:red", []), output="{context.k}")
    assert sorted(done.output) == list(range(12))


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
async def test_a_reducer_that_raises_fails_its_step(lab: Lab, error: type[BaseException]) -> None:
    def red(old: Any, new: Any) -> Any:
        raise error("not this one")

    lab.functions["lab:red"] = red
    done = await lab.run(set_("a", value=1, update={"k": "{steps.a}"}, on_error="continue"), context=keys("lab:red"))
    assert done.reasons["a"] == "tolerated"
    assert "not this one" in done.errors["a"].message


async def test_a_step_whose_reducer_blocks_can_be_cancelled(lab: Lab) -> None:
    inside, go = anyio.Event(), threading.Event()

    def red(old: Any, new: Any) -> Any:
        anyio.from_thread.run_sync(inside.set)
        assert go.wait(LIMIT)
        return new

    lab.functions["lab:red"] = red
    flow = lab.workflow(set_("a", value=1, update={"k": "{steps.a}"}), context=keys("lab:red"))
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            await inside.wait()
            await engine.cancel(run.id)
            assert (await engine.wait(run.id)).state == "canceled"
        go.set()
