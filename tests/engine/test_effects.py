"""A commit that is refused has touched nothing: no worker is interrupted, no process is ended, nobody is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from anyio import from_thread

from agentflow.engine import Engine
from agentflow.engine.exchange import Executing
from agentflow.engine.host.flush import Work
from agentflow.engine.plan import commands
from agentflow.engine.program import Program
from agentflow.errors import StoreError
from agentflow.steps import set_
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Definitions
from agentflow.store.rows import RunChange
from agentflow.testing.faults import doom
from tests.engine import refused_attempts, refused_commands, refused_elsewhere
from tests.engine.hands import Fails, Gate, eventually
from tests.engine.lab import LIMIT, Lab
from tests.engine.refusing import HOLD, staged
from tests.engine.test_damaged import spoil

pytestmark = pytest.mark.anyio

CASES = {**refused_attempts.CASES, **refused_commands.CASES, **refused_elsewhere.CASES}


@pytest.mark.parametrize("name", CASES)
async def test_a_refused_transition_touches_nothing_and_is_done_again(lab: Lab, tmp_path: Path, name: str) -> None:
    command, play = CASES[name]
    stage = staged(lab, tmp_path)
    await play(stage)
    assert stage.refused == [command]


def test_each_command_has_a_case_in_which_its_transition_is_refused() -> None:
    assert {command for command, _ in CASES.values()} == set(get_args(commands.Command))


async def test_a_step_that_was_to_be_stopped_before_it_began_goes_on_when_that_is_refused(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, planned, refuse = Gate(), anyio.Event(), anyio.Event()
    flow = lab.workflow(lab.call("a", Fails(0, "done"), at_most_once=True))
    async with lab.open(flow) as engine, anyio.create_task_group() as group:
        core, perform, write = engine.core, engine.core.performer.perform, engine.core.committer.write

        async def slowly(work: Work, lease: Executing) -> Sequence[Work]:
            await begins()
            return await perform(work, lease)

        async def refused(changes: Sequence[RunChange]) -> Sequence[Fenced]:
            monkeypatch.setattr(core.committer, "write", write)
            planned.set()
            await refuse.wait()
            raise StoreError("the disk is full", code="AF-STORE-FULL")

        async def cancels(root: int) -> None:
            with pytest.raises(StoreError):
                await core.mailbox.apply(root, commands.Cancel(root, {"by": "local"}, 0))

        monkeypatch.setattr(core.performer, "perform", slowly)
        run = await engine.start("main")
        await begins.inside()
        await staged(lab, tmp_path).calm(engine)
        monkeypatch.setattr(core.committer, "write", refused)
        group.start_soon(cancels, core.cache.keys[run.id])
        with anyio.fail_after(LIMIT):
            await planned.wait()
        begins.open()
        await anyio.wait_all_tasks_blocked()
        refuse.set()
        done = await lab.finish(engine, run)
        assert (done.state, done.output, done.tries) == ("completed", "done", {"a": 1})


class Rereads:
    """Refuses a commit of an engine, and lets things happen while what it was about is read anew."""

    def __init__(self, engine: Engine) -> None:
        self.reading = anyio.Event()
        self.go_on = anyio.Event()
        self._engine = engine
        self._write = engine.core.committer.write
        self._learned = engine.core.loader.learned
        engine.core.committer.write = self._refused
        engine.core.committer.pause = self._at_once

    async def _refused(self, changes: Sequence[RunChange]) -> Sequence[Fenced]:
        self._engine.core.committer.write = self._write
        self._engine.core.loader.learned = self._slowly
        raise StoreError("the disk is full", code="AF-STORE-FULL")

    async def _at_once(self, _: float) -> None: ...

    async def _slowly(self, digest: str) -> Program:
        self._engine.core.loader.learned = self._learned
        self.reading.set()
        with anyio.fail_after(LIMIT):
            await self.go_on.wait()
        return await self._learned(digest)


async def test_a_step_in_a_thread_reads_of_its_run_while_that_is_read_anew(lab: Lab) -> None:
    begun, reading, door = anyio.Event(), threading.Event(), Gate()

    def reads(ctx: Any) -> Any:
        from_thread.run_sync(begun.set)
        assert reading.wait(LIMIT)
        try:
            return ctx.input["n"]
        finally:
            from_thread.run_sync(rereads.go_on.set)

    steps = lab.call("reads", reads, execution="parallel"), lab.call("beside", door, execution="parallel")
    async with lab.open(lab.workflow(*steps, output="{steps.reads}")) as engine:
        run = await engine.start("main", {"n": 5})
        with anyio.fail_after(LIMIT):
            await begun.wait()
        await door.inside()
        rereads = Rereads(engine)
        door.open()
        with anyio.fail_after(LIMIT):
            await rereads.reading.wait()
        reading.set()
        done = await lab.finish(engine, run)
    assert (done.state, done.output, done.tries) == ("completed", 5, {"reads": 1, "beside": 1})


async def test_a_step_that_begins_while_its_run_is_read_anew_is_executed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, door = Gate(), Gate()
    steps = lab.call("beside", door, execution="parallel"), lab.call("a", Fails(0, "done"), execution="parallel")
    async with lab.open(lab.workflow(*steps)) as engine:
        perform = engine.core.performer.perform

        async def slowly(work: Work, lease: Executing) -> Sequence[Work]:
            if work.n == 1:
                await begins()
            return await perform(work, lease)

        monkeypatch.setattr(engine.core.performer, "perform", slowly)
        run = await engine.start("main")
        await begins.inside()
        await door.inside()
        rereads = Rereads(engine)
        door.open()
        with anyio.fail_after(LIMIT):
            await rereads.reading.wait()
        begins.open()
        await anyio.wait_all_tasks_blocked()
        rereads.go_on.set()
        done = await lab.finish(engine, run)
    assert (done.state, done.output, done.tries) == ("completed", "done", {"beside": 1, "a": 1})


async def test_a_damaged_run_whose_end_is_refused_leaves_what_its_dead_host_left_until_it_is_taken(
    lab: Lab, tmp_path: Path
) -> None:
    stage = staged(lab, tmp_path)
    flow = lab.workflow(set_("a", value=1), HOLD)
    async with stage.open(flow, store=stage.db) as engine:
        run = await engine.start("main")
        await stage.here.gate.inside()
        await anyio.wait_all_tasks_blocked()
        doom(engine)
    spoil(stage.db, "a")
    async with stage.open(flow, store=stage.db) as engine:
        commit, refusals = engine.store.commit, 0

        async def refused(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            nonlocal refusals
            if refusals < 2 and any(change.patch is not None for change in changes):
                refusals += 1
                assert (stage.here.reaped, stage.here.told) == ([], 0)
                raise StoreError("the disk is full", code="AF-STORE-FULL")
            return await commit(changes, definitions)

        engine.store.commit = refused
        with suppress(StoreError):
            await engine.cancel(run.id)

        async def ended() -> bool:
            return (await engine.get(run.id)).ended

        await eventually(ended)
        assert (await engine.get(run.id)).state == "canceled"
    assert (refusals, stage.here.reaped) == (2, ["a process"])
