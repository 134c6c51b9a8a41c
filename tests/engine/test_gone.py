"""After a deploy something is gone that a run needs: it says so, and it can always be ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from agentflow.config import config_from
from agentflow.definition.models import RetryPolicy, Step, Workflow
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import AgentflowError
from agentflow.steps import delay, python, registry, sequence, set_, wait_for_input
from agentflow.steps.contract import Result
from agentflow.testing.clock import FakeClock
from tests.engine.lab import LIMIT

pytestmark = pytest.mark.anyio

KEY: Any = {"k": {"default": None, "reducer": "m:red"}}
WRITE = set_("write", value=1, update={"k": "{steps.write}"})


def _take(old: Any, new: Any) -> Any:
    return new


def _broken() -> None:
    raise RuntimeError("broken")


class Deploys:
    """One store, and engines of a release that has everything and of one that lacks something."""

    def __init__(self, path: Path, *steps: Step, **fields: Any) -> None:
        self.path = path
        flow = Workflow(id="main", context=KEY, steps=(WRITE, *steps), **fields)
        self.config = config_from([flow], python_modules=("m",))
        self.clock = FakeClock(auto=False)

    def before(self) -> Any:
        functions = {"m:red": _take, "m:broken": _broken, "m:here": lambda: 1}
        return Engine.open(self.path, config=self.config, clock=self.clock, functions=functions, grace=0.0)

    def after(self, **functions: Any) -> Any:
        given = {f"m:{name}": function for name, function in functions.items()}
        return Engine.open(self.path, config=self.config, clock=self.clock, functions=given, grace=0.0)

    async def parked(self) -> Run:
        """Start a run with the first release until nothing more happens by itself."""
        async with self.before() as engine:
            run = await engine.start("main")
            with anyio.fail_after(LIMIT):
                await engine.wait(run.id, timeout=0)
                async for event in engine.subscribe(run.id):
                    if event.type in {"step_waiting", "step_retrying"} or event.step == "nap":
                        break
            return run


ASK = wait_for_input("ask", message="?")
PARKS: dict[str, tuple[Step, ...]] = {
    "wait": (ASK,),
    "timer": (delay("nap", for_="1h"),),
    "backoff": (python("broken", function="m:broken", retry=RetryPolicy(base=3600)),),
    "operator": (sequence("box", steps=[python("broken", function="m:broken")], on_error="suspend"),),
}


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", PARKS)
async def test_a_run_whose_reducer_is_gone_is_cancelled_at_once(
    tmp_path: Path, name: str, force: bool, paused: bool
) -> None:
    world = Deploys(tmp_path / "runs.db", *PARKS[name])
    run = await world.parked()
    async with world.after() as engine:
        with anyio.fail_after(LIMIT):
            if paused:
                await engine.pause(run.id)
            assert (await engine.cancel(run.id, force=force)).state == "canceled"


async def test_a_step_that_reads_or_writes_the_key_names_the_reducer_and_others_go_on(tmp_path: Path) -> None:
    read = set_("read", value="{context.k}", on_error="continue")
    again = set_("again", value=2, update={"k": "{steps.again}"}, on_error="continue")
    world = Deploys(tmp_path / "runs.db", ASK, read, again, set_("last", value="done"))
    run = await world.parked()
    async with world.after() as engine:
        with anyio.fail_after(LIMIT):
            await engine.resume(run.id, Answer(1))
            done = await engine.wait(run.id)
            failed = {
                event.step: event.data["error"]
                for event in await engine.store.events(run.id)
                if event.type == "step_failed"
            }
    assert (done.state, done.output) == ("completed", "done")
    assert set(failed) == {"read", "again"}
    for error in failed.values():
        assert 'shared key "k"' in error["message"]
        assert '"m:red"' in error["message"]


async def test_a_reducer_that_is_back_goes_on_where_it_was(tmp_path: Path) -> None:
    world = Deploys(tmp_path / "runs.db", ASK, set_("last", value="{context.k}"))
    run = await world.parked()
    async with world.after() as engine:
        with anyio.fail_after(LIMIT):
            await engine.pause(run.id)
            await engine.unpause(run.id)
    async with world.after(red=_take) as engine:
        with anyio.fail_after(LIMIT):
            await engine.resume(run.id, Answer(1))
            assert (await engine.wait(run.id)).output == 1


async def test_a_reducer_that_fails_now_fails_who_reads_its_key(tmp_path: Path) -> None:
    def red(old: Any, new: Any) -> Any:
        raise SystemExit(1)

    world = Deploys(tmp_path / "runs.db", ASK, set_("last", value="{context.k}"))
    run = await world.parked()
    async with world.after(red=red) as engine:
        with anyio.fail_after(LIMIT):
            await engine.resume(run.id, Answer(1))
            done = await engine.wait(run.id)
    assert done.state == "failed"
    assert 'shared key "k"' in str(done.failure)


async def test_a_function_that_is_gone_fails_its_step(tmp_path: Path) -> None:
    world = Deploys(tmp_path / "runs.db", ASK, python("late", function="m:here"))
    run = await world.parked()
    async with world.after(red=_take) as engine:
        with anyio.fail_after(LIMIT):
            await engine.resume(run.id, Answer(1))
            done = await engine.wait(run.id)
    assert done.state == "failed"
    assert 'no module "m"' in str(done.failure)


@pytest.mark.parametrize("force", [False, True])
async def test_a_run_whose_step_type_is_gone_says_so_and_is_cancelled_at_once(tmp_path: Path, force: bool) -> None:
    class Nothing(BaseModel):
        pass

    async def nothing(config: Nothing, ctx: Any) -> Result:
        return Result(1)

    name = f"gone_{force}"
    registry.step_type(name, config=Nothing, summary="For this test.")(nothing)
    flow = Workflow(id="main", steps=(ASK, Step(id="own", type=name)))
    path = tmp_path / "runs.db"
    async with Engine.open(path, workflows=[flow]) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            await engine.wait(run.id)
    types: Any = vars(registry)["_types"]
    types.pop(name)  # as after a deploy without its package
    async with Engine.open(path) as engine:
        with anyio.fail_after(LIMIT):
            with pytest.raises(AgentflowError, match=name):
                await engine.resume(run.id, Answer(1))
            done = await engine.cancel(run.id, force=force)
    assert done.state == "canceled"
    assert name in str(done.message)
