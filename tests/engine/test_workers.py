"""Several runs and several hosts: fair slots, limits by key, random failures, results that come out right."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.config_file import Limits
from agentflow.engine import Answer, Engine
from agentflow.errors import ConflictError, InputError
from agentflow.steps import for_each, saga, set_, wait_for_input
from agentflow.steps.contract import Park, Wait
from agentflow.store.contract import Definitions, RunQuery
from tests.engine.hands import Fails, Gate, by_hand, eventually
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


class Meter:
    """A step's function that lets one caller after the other through, and notes who was inside."""

    def __init__(self) -> None:
        self.order: list[Any] = []
        self.inside = 0
        self.most = 0
        self.step = anyio.Semaphore(0)

    async def __call__(self, who: Any = None) -> Any:
        """Wait for a turn inside."""
        self.order.append(who)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.step.acquire()
        self.inside -= 1
        return who


async def test_slots_are_given_to_runs_in_turn_and_within_a_run_in_the_definitions_order(lab: Lab) -> None:
    meter = Meter()
    steps = [lab.call(f"s{n}", meter, input={"who": f"{{input.name}}-{n}"}) for n in range(3)]
    flow = lab.workflow(*steps, execution="parallel")
    gate = Gate()
    blocker = lab.workflow(lab.call("hold", gate), id="blocker")
    async with lab.open(flow, blocker, config={"limits": Limits(host_parallel=1)}) as engine:
        first = await engine.start("blocker")
        await gate.inside()
        runs = [await engine.start("main", {"name": name}) for name in "abc"]
        gate.open()
        for _ in range(9):
            meter.step.release()
        for run in [first, *runs]:
            assert (await lab.finish(engine, run)).state == "completed"
    assert meter.most == 1
    assert meter.order == [f"{name}-{n}" for n in range(3) for name in "abc"]


async def test_a_limit_by_key_counts_over_runs_and_hosts_of_a_store(lab: Lab, tmp_path: Path) -> None:
    meter = Meter()
    step = lab.call("use", meter, input={"who": "{input.n}"}, concurrency={"key": "crm-{input.tenant}", "limit": 2})
    flow = lab.workflow(step)
    path = tmp_path / "runs.db"
    async with lab.open(flow, store=path, host="own") as one, lab.open(flow, store=path, host="own") as two:
        runs = [
            (engine, await engine.start("main", {"n": n, "tenant": "t"}))
            for n, engine in enumerate((one, two, one, two))
        ]
        other = await one.start("main", {"n": "other", "tenant": "u"})
        with anyio.fail_after(LIMIT):
            while meter.inside < 3:
                await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert (meter.inside, "other" in meter.order) == (3, True)
        for _ in range(5):
            meter.step.release()
        for engine, run in [*runs, (one, other)]:
            assert (await lab.finish(engine, run)).state == "completed"
    assert (meter.most, sorted(map(str, meter.order))) == (3, ["0", "1", "2", "3", "other"])


@pytest.mark.case("F-D-2")
async def test_two_hosts_and_random_failures_give_the_expected_series(lab: Lab, tmp_path: Path) -> None:
    chance = random.Random(7)

    def work(n: int) -> int:
        if chance.random() < 0.3:
            raise RuntimeError("bad luck")
        return n * 10

    body = [lab.call("x", work, input={"n": "{item}"}, retry={"max_attempts": 50, "base": 0.01})]
    flow = lab.workflow(for_each("each", in_=list(range(10)), steps=body))
    async with lab.open(flow, store=tmp_path / "r.db") as one, lab.open(flow, store=tmp_path / "r.db") as two:
        runs = [await engine.start("main") for engine in (one, two, one, two)]
        for run in runs:
            done = await lab.finish(one, run)
            assert done.state == "completed"
            assert [item["x"] for item in done.output] == list(range(0, 100, 10))
            started, ended = done.kinds.count("step_started"), done.kinds.count("step_retrying")
            assert sum(done.tries[f"each[{n}]/x"] for n in range(10)) == started - 1 == 10 + ended


@pytest.mark.case("F-D-3")
async def test_a_counter_that_parallel_steps_add_to_comes_out_right(lab: Lab) -> None:
    """Floxide's distributed counter: nine branches add three times each."""
    body = [set_(f"add{n}", value=1, update={"counter": 1}) for n in range(3)]
    loop = for_each("branches", in_=list(range(9)), steps=body)
    done = await lab.run(loop, context={"counter": {"default": 0, "reducer": "add"}}, output="{context.counter}")
    assert done.output == 27


@pytest.mark.case("F-D-4")
async def test_after_its_last_attempt_a_step_has_failed_and_a_retry_of_the_run_begins_with_none(lab: Lab) -> None:
    first, broken = Fails(0, "kept"), Fails(4, "ok")
    flow = lab.workflow(
        lab.call("a", first), lab.call("b", broken, retry=3), set_("c", value=["{steps.a}", "{steps.b}"])
    )
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main", {"n": 1}, labels={"team": "x"}))
        assert (done.state, done.tries["b"], done.states["c"]) == ("failed", 3, "submitted")
        errors = [event.data["error"] for event in done.events if event.type == "step_failed"]
        assert len(errors) == 3
        plan = await engine.retry(done.run.id, dry_run=True)
        assert (plan.kept, plan.again, plan.from_step) == (["a"], ["b", "c"], "b")  # type: ignore[union-attr]
        assert len(await engine.list()) == 1
        again = await lab.finish(engine, await engine.retry(done.run.id))  # type: ignore[arg-type]
        rows = {row.address: row for row in await engine.steps(again.run.id)}
    assert (again.state, again.output, rows["b"].tries, first.calls) == ("completed", ["kept", "ok"], 2, 1)
    assert (again.run.retry_of, again.run.input, again.run.labels) == (done.run.id, {"n": 1}, {"team": "x"})
    assert "step_kept" in again.kinds


async def test_a_run_is_retried_from_any_step_with_new_input_and_keeps_what_does_not_follow(lab: Lab) -> None:
    calls = {name: Fails(0, name) for name in "abcd"}
    steps = (
        lab.call("a", calls["a"], update={"log": "a"}),
        lab.call("b", calls["b"], depends_on="a", update={"log": "b"}),
        lab.call("c", calls["c"], depends_on="a", update={"log": "c"}),
        lab.call("d", calls["d"], depends_on="b", update={"log": "{input.n}"}),
    )
    flow = lab.workflow(*steps, context={"log": {"default": [], "reducer": "append"}}, output="{context.log}")
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main", {"n": 1}))
        with pytest.raises(InputError):
            await engine.retry(done.run.id, "b", input=float("nan"))
        again = await lab.finish(engine, await engine.retry(done.run.id, "b", input={"n": 2}))  # type: ignore[arg-type]
    assert {name: fails.calls for name, fails in calls.items()} == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert (again.state, sorted(map(str, again.output)), again.run.input) == (
        "completed",
        ["2", "a", "b", "c"],
        {"n": 2},
    )


async def test_retrying_a_run_never_keeps_compensated_steps_and_asks_waits_again(lab: Lab) -> None:
    book, last = Fails(0), Fails(1, "ok")
    body = [lab.call("book", book, compensate=set_("undo", value=1)), lab.call("pay", last)]
    flow = lab.workflow(
        wait_for_input("ask", message="?"), saga("trip", steps=body), set_("after", value="{steps.ask}")
    )
    async with lab.open(flow) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.resume(parked.run.id, Answer("one"))
        failed = await lab.finish(engine, parked.run)
        assert failed.state == "failed"
        again = await lab.finish(engine, await engine.retry(failed.run.id))  # type: ignore[arg-type]
        assert (again.state, again.output, book.calls) == ("completed", "one", 2)
        plan = await engine.retry(again.run.id, "ask", dry_run=True)
        assert (plan.asked, plan.kept) == (["ask"], [])  # type: ignore[union-attr]


async def test_only_a_run_that_has_ended_is_retried_and_unsafe_steps_are_named(lab: Lab) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("once", lambda: 1, at_most_once=True), lab.call("b", gate))
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        await gate.inside()
        with pytest.raises(ConflictError) as active:
            await engine.retry(run.id)
        assert active.value.code == "AF-RUN-ACTIVE"
        await engine.cancel(run.id)
        await lab.finish(engine, run)
        plan = await engine.retry(run.id, "once", dry_run=True)
        assert "once" in plan.unsafe  # type: ignore[union-attr]


@pytest.mark.case("A-24")
async def test_waiting_for_a_run_returns_its_state_at_the_end_or_after_the_timeout(lab: Lab) -> None:
    gate = Gate("done")
    async with lab.open(lab.workflow(lab.call("a", gate))) as engine:
        run = await engine.start("main")
        await gate.inside()
        early = await engine.wait(run.id, timeout=0)
        assert (early.state, early.ended) == ("working", False)
        gate.open()
        with anyio.fail_after(LIMIT):
            late = await engine.wait(run.id, timeout=60)
        assert (late.state, late.ended, late.output) == ("completed", True, "done")
        assert (await engine.get(run.id)) == late
        assert [found.id for found in await engine.list(RunQuery(states=("completed",)))] == [run.id]


@pytest.mark.case("F-N-3")
async def test_many_starts_are_worked_off_in_order_within_the_hosts_limit(lab: Lab) -> None:
    """Divergence: there are no source nodes. What comes in starts runs, and the host's slots hold the rest back."""
    meter = Meter()
    flow = lab.workflow(lab.call("x", meter, input={"who": "{input.n}"}))
    async with lab.open(flow, config={"limits": Limits(host_parallel=2)}) as engine:
        runs = [await engine.start("main", {"n": n}) for n in range(6)]
        await anyio.wait_all_tasks_blocked()
        assert meter.order == [0, 1]
        for _ in runs:
            meter.step.release()
        for run in runs:
            assert (await lab.finish(engine, run)).state == "completed"
    assert (meter.order, meter.most) == ([0, 1, 2, 3, 4, 5], 2)


@pytest.mark.case("F-D-9")
async def test_a_chain_of_a_hundred_steps_takes_one_commit_a_step(lab: Lab) -> None:
    """How long it takes is a benchmark's ratio; here: nothing is committed more often than needed."""
    if lab.always_replay:
        pytest.skip("it counts what happens without replay")
    commits = 0
    async with lab.open(lab.workflow(*(set_(f"s{n}", value=n) for n in range(100)))) as engine:
        commit = engine.store.commit

        async def counted(changes: Any, definitions: Definitions = None) -> Any:
            nonlocal commits
            commits += 1
            return await commit(changes, definitions)

        engine.store.commit = counted
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.output) == ("completed", 99)
    assert commits <= 101


async def test_a_step_that_waits_for_its_key_starts_when_another_host_gives_it_back(lab: Lab, tmp_path: Path) -> None:
    still = by_hand(lab)
    first, second = Gate(), Gate()
    slot = {"key": "printer", "limit": 1}
    a = still.workflow(still.call("x", first, concurrency=slot), id="a")
    b = still.workflow(still.call("x", second, concurrency=slot), id="b")
    path = tmp_path / "r.db"
    async with still.open(a, b, store=path, host="own") as one, still.open(a, b, store=path, host="own") as two:
        holds = await one.start("a")
        await first.inside()
        waits = await two.start("b")
        await anyio.wait_all_tasks_blocked()
        assert second.entered == 0
        first.open()
        await until(one, holds.id, "run_completed")
        await second.inside()
        second.open()
        await eventually(_ended(two, waits.id))


@pytest.mark.parametrize("how", ["waits", "pauses", "is suspended"])
async def test_a_step_that_waits_gives_its_key_to_others(lab: Lab, how: str) -> None:
    still = by_hand(lab)

    def parks(ctx: Any) -> Any:
        return ctx.arrived or Park(Wait("input", "?"), then="enter")

    slot = {"key": "printer", "limit": 1}
    first = {
        "waits": still.call("x", parks, concurrency=slot),
        "pauses": still.call("x", Fails(1), on_error="retry", concurrency=slot),
        "is suspended": still.call("x", Fails(1), on_error="suspend", concurrency=slot),
    }[how]
    b = still.workflow(still.call("x", Fails(0, "printed"), concurrency=slot), id="b")
    async with still.open(still.workflow(first), b) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_retrying" if how == "pauses" else "step_waiting")
        assert (await still.finish(engine, await engine.start("b"))).output == "printed"
        if how == "pauses":
            still.clock.advance(1)
        else:
            await engine.resume(run.id, Answer({"action": "retry"}))
        assert (await still.finish(engine, run)).state == "completed"


def _ended(engine: Engine, run_id: str) -> Any:
    async def look() -> bool:
        return (await engine.get(run_id)).state == "completed"

    return look
