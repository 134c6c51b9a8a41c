"""Defects on the way to a commit that were found by reading and are mended: one test each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.engine import Answer, Decline
from agentflow.engine.host import transactor
from agentflow.engine.host.queue import Input
from agentflow.engine.plan import waiting
from agentflow.engine.plan.commands import Note
from agentflow.errors import InputError, NotFoundError, StoreError
from agentflow.principal import Principal
from agentflow.steps import delay, script, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.steps.contract import Context, Park, Timer
from agentflow.store import open_store
from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Definitions
from agentflow.store.loaded import LoadedTree
from agentflow.store.rows import RunChange
from agentflow.store.sqlite.store import SqliteStore
from agentflow.store.views import Inbox
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio
FULL = StoreError("the disk is full", code="AF-STORE-FULL")
ODD = "\ud800"
"""Half of a character: no JSON text and no database can keep it."""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_a_fault_in_the_commit_of_one_run_leaves_those_that_are_committed_with_it_alone(
    lab: Lab, db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for limit in ("SLICE", "BREATH"):  # however slow the machine is, all of them share the commit
        monkeypatch.setattr(transactor, limit, 60.0)
    gate, together = Gate("done"), 0
    flow = lab.workflow(lab.call("a", gate), set_("b", value="{steps.a}"))
    async with lab.open(flow, store=db) as engine:
        bad, *good = [await engine.start("main") for _ in range(4)]
        real, broken = engine.store.commit, engine.core.cache.keys[bad.id]

        async def faulty(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            nonlocal together
            if any(change.run == broken for change in changes):
                together = max(together, len(changes))
                raise RuntimeError("a fault")
            return await real(changes)

        monkeypatch.setattr(engine.store, "commit", faulty)
        gate.open()
        for run in good:
            done = await lab.finish(engine, run)
            assert (done.state, done.output) == ("completed", "done")
        shared = together if lab.crew is None else 4  # what workers elsewhere bring comes one by one
        assert (shared, (await engine.get(bad.id)).state) == (4, "working")
    assert f"left alone as they are: {bad.id}" in caplog.text
    async with lab.open(flow, store=db) as engine:
        assert (await lab.finish(engine, bad)).state == "completed"


@pytest.mark.parametrize(
    "given",
    [
        {"labels": {"a": ODD}},
        {"context_id": ODD},
        {"principal": Principal(ODD)},
        {"principal": Principal("ann", ODD)},
        {"idempotency_key": ODD},
        {"door": ODD},
        {"message": {"text": ODD}},
    ],
    ids=lambda given: next(iter(given)),
)
async def test_what_no_store_can_keep_is_refused_when_a_run_is_started(
    lab: Lab, db: Path, given: dict[str, Any]
) -> None:
    async with lab.open(lab.workflow(set_("a", value=1)), store=db) as engine:
        with pytest.raises(InputError, match="can't be kept"):
            await engine.start("main", **given)
        assert not await engine.list()


@pytest.mark.parametrize(
    ("answer", "given"),
    [(Answer("x"), {"by": ODD}), (Answer("x"), {"message_id": ODD}), (Decline(ODD), {})],
    ids=["by", "message", "decline"],
)
async def test_an_answer_that_no_store_can_keep_is_refused_and_the_wait_stays_open(
    lab: Lab, db: Path, answer: Any, given: dict[str, Any]
) -> None:
    async with lab.open(lab.workflow(wait_for_input("w", message="?")), store=db) as engine:
        run = await engine.start("main")
        await lab.finish(engine, run)
        with pytest.raises(InputError, match="can't be kept"):
            await engine.resume(run.id, answer, **given)
        await engine.resume(run.id, Answer("fine"))
        assert (await lab.finish(engine, run)).output == "fine"


async def test_a_fault_of_the_planner_in_a_parked_run_ends_it(
    lab: Lab, db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("a fault")

    async with lab.open(lab.workflow(delay("later", for_="1h")), store=db) as engine:
        monkeypatch.setattr(waiting, "fired", faulty)
        run = await engine.start("main")
        done = await lab.finish(engine, run)
    assert (done.state, done.run.failure and done.run.failure.code) == ("failed", "AF-DEFECT")
    assert caplog.text.count("a fault of agentflow in run") == 1


async def test_starting_tells_of_a_run_what_reading_it_tells(lab: Lab, db: Path) -> None:
    flows = (
        lab.workflow(set_("a", value=1, if_="false"), output="{input.x}", id="over"),
        lab.workflow(wait_for_input("w", message="?"), id="asks"),
        lab.workflow(delay("later", for_="1h"), id="sleeps"),
    )
    async with lab.open(*flows, store=db, clock=None) as engine:
        for flow in flows:
            run = await engine.start(flow.id, {"x": 5})
            assert run == await engine.get(run.id)


async def test_a_child_run_that_a_template_named_goes_on_where_the_config_has_its_workflow_no_more(
    lab: Lab, db: Path
) -> None:
    child = lab.workflow(wait_for_input("w", message="?"), id="child")
    parent = lab.workflow(sub("call", workflow="{input.name}"))
    async with lab.open(parent, child, store=db) as engine:
        run = await engine.start("main", {"name": "child"})
        await lab.finish(engine, run)
    async with lab.open(parent, store=db) as engine:
        await engine.resume(run.id, Answer("yes"))
        done = await lab.finish(engine, run)
    assert (done.state, done.output) == ("completed", "yes")


async def test_who_waits_for_a_run_that_is_deleted_elsewhere_is_told(lab: Lab, db: Path) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("a", gate), set_("b", value=1))
    async with lab.open(flow, store=db) as engine, anyio.create_task_group() as group:
        run = await engine.start("main")
        await gate.inside()
        other = await open_store(db)
        row = await other.get_run(run.id)
        assert row is not None
        assert await other.commit([RunChange(row.run, row.root, row.epoch, delete=True)]) == []
        await other.close()
        engine.host.look()
        await anyio.wait_all_tasks_blocked()  # the host has looked before anybody waits

        async def waits() -> None:
            with anyio.fail_after(LIMIT), pytest.raises(NotFoundError):
                await engine.wait(run.id)

        group.start_soon(waits)
        gate.open()


async def test_commits_to_a_slow_disk_dont_wait_for_scripts_that_have_all_threads(
    lab: Lab, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.pidfd_open", raising=False)  # as on macOS
    limiter = anyio.to_thread.current_default_thread_limiter()
    monkeypatch.setattr(limiter, "total_tokens", 8)
    scripts = [script(f"s{n}", command="sleep", args=["60"]) for n in range(9)]
    flows = (lab.workflow(*scripts, id="busy", execution="parallel"), lab.workflow(set_("a", value=1)))
    async with lab.open(*flows, store=db, clock=None) as engine:
        assert isinstance(engine.store, SqliteStore)
        await engine.start("busy")
        with anyio.fail_after(60):
            while limiter.available_tokens > 0:
                await anyio.lowlevel.checkpoint()
            engine.store._database.writer._cost = 1.0  # pyright: ignore[reportPrivateUsage]  as on a slow disk
            run = await engine.start("main")
            assert (await engine.wait(run.id)).state == "completed"


async def test_what_a_function_does_to_its_arguments_stays_its_own(lab: Lab) -> None:
    def grow(items: list[int]) -> list[int]:
        items.append(2)
        return items

    def reach(ctx: Context) -> None:
        ctx.input["l"].append(2)
        ctx.steps["s"].append(2)

    flow = lab.workflow(
        set_("s", value=[1]),
        lab.call("a", grow, input={"items": [1]}),
        lab.call("b", grow, input={"items": [1]}),
        lab.call("c", grow, input={"items": "{steps.s}"}),
        lab.call("d", grow, input={"items": "{input.l}"}),
        lab.call("e", reach),
        output=["{steps.a}", "{steps.b}", "{steps.c}", "{steps.d}", "{steps.s}", "{input.l}"],
    )
    async with lab.open(flow) as engine:
        for _ in range(2):  # the second run has the same configs
            done = await lab.finish(engine, await engine.start("main", {"l": [1]}))
            assert (done.state, done.output) == ("completed", [[1, 2], [1, 2], [1, 2], [1, 2], [1], [1]])


async def test_a_run_that_a_fault_has_ended_isnt_completed_by_the_step_that_ran(
    lab: Lab, db: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty() -> list[tuple[str, dict[str, object]]]:
        raise RuntimeError("a fault")

    async def last() -> None:
        root = next(iter(engine.core.cache.trees))
        engine.core.queue.put(Input(root, Note(root, "a", faulty, (1, 1, 1))))

    flow = lab.workflow(lab.call("a", last))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        done = await lab.finish(engine, run)
        await engine.core.idle()
    assert (done.state, done.run.failure and done.run.failure.code) == ("failed", "AF-DEFECT")
    assert done.kinds[-1] == "run_failed"


async def test_a_log_line_with_half_characters_is_kept_and_fails_nothing(lab: Lab, db: Path) -> None:
    def odd(ctx: Context) -> None:
        ctx.log(ODD)

    async with lab.open(lab.workflow(lab.call("a", odd)), store=db) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    logged = [event.data["text"] for event in done.events if event.type == "step_log"]
    assert (done.state, logged) == ("completed", ["\\ud800"])


async def test_a_step_that_waits_for_no_time_at_all_fails(lab: Lab, db: Path) -> None:
    flow = lab.workflow(lab.call("a", lambda: Park(Timer(float("nan")))))
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.errors["a"].code) == ("failed", "AF-FIELD-VALUE")


async def test_commands_that_couldnt_be_read_once_are_read_again(
    lab: Lab, db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate, refusals = Gate(1), [FULL]
    async with lab.open(lab.workflow(lab.call("a", gate)), store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        inbox = engine.store.inbox

        async def fails(*args: Any) -> list[tuple[int, Inbox]]:
            if refusals:
                raise refusals.pop()
            return await inbox(*args)

        monkeypatch.setattr(engine.store, "inbox", fails)
        await engine.store.request(run.id, "cancel", {"by": "local"})
        engine.core.queue.look_at_inbox()
        assert (await lab.finish(engine, run)).state == "canceled"
    assert "a task of the host failed and starts anew" in caplog.text


async def test_a_run_goes_on_though_the_store_could_neither_be_written_nor_read_for_a_while(
    lab: Lab, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, refusals = Gate(1), list[StoreError]()
    flow = lab.workflow(lab.call("a", gate), set_("b", value=2))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
        await anyio.wait_all_tasks_blocked()
        commit, load = engine.store.commit, engine.store.load

        async def unwritable(changes: Sequence[RunChange], definitions: Definitions = None) -> Sequence[Fenced]:
            if engine.core.health.refused is None:
                refusals.append(FULL)
                raise FULL
            return await commit(changes, definitions)

        async def unreadable(root: int) -> LoadedTree | None:
            if refusals:
                raise refusals.pop()
            return await load(root)

        monkeypatch.setattr(engine.store, "commit", unwritable)
        monkeypatch.setattr(engine.store, "load", unreadable)
        gate.open()
        done = await lab.finish(engine, run)
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
        assert engine.core.slots.running == 0
    assert (done.state, done.steps_of("step_completed"), gate.entered) == ("completed", ["a", "b"], 1)


async def test_a_child_run_begins_though_the_step_before_failed_for_want_of_a_concurrency_key(
    lab: Lab, db: Path
) -> None:
    limit = {"key": "{input.nope}", "limit": 1}
    flow = lab.workflow(set_("a", value=1, concurrency=limit, on_error="continue"), sub("call", workflow="child"))
    async with lab.open(flow, lab.workflow(set_("x", value=7), id="child"), store=db) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.reasons["a"], done.output) == ("completed", "tolerated", 7)
