"""What comes in during a commit waits for it: nothing is lost, done twice or out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow.engine import Answer, Engine, Run
from agentflow.engine.host.queue import Input
from agentflow.engine.plan.commands import TOUCH
from agentflow.errors import StoreError
from agentflow.steps import for_each, set_, wait_for_input
from agentflow.steps import workflow as sub
from agentflow.steps.contract import Context
from agentflow.store.rows import RunChange
from agentflow.store.sqlite import ledger
from tests.engine.hands import Fails, Gate, same, times
from tests.engine.held import Held, held_store, once
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio
RUNS = 40
FULL = StoreError("the disk is full", code="AF-STORE-FULL")


@pytest.fixture(autouse=True)
def threaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each COMMIT of SQLite goes to a thread."""
    monkeypatch.setattr(ledger, "LARGE", 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def limits(slots: int) -> dict[str, object]:
    return {"limits": {"host_parallel": slots}}


class Pair:
    """Two runs of a gated step each: `a` is let go first and is committed, `b` comes meanwhile."""

    def __init__(self, lab: Lab) -> None:
        self.gates = {name: Gate(name) for name in "ab"}
        self.flows = [
            lab.workflow(lab.call("step", gate), lab.call("next", Fails(0, "gate")), id=name)
            for name, gate in self.gates.items()
        ]

    async def overlap(self, engine: Engine, held: Held) -> tuple[Run, Run]:
        """Return when the first run's result is being committed, and the second one's waits."""
        a, b = [await engine.start(name) for name in "ab"]
        for gate in self.gates.values():
            await gate.inside()
        await anyio.wait_all_tasks_blocked()
        held.hold()
        self.gates["a"].open()
        await held.entered()
        self.gates["b"].open()
        await anyio.wait_all_tasks_blocked()
        keys = engine.core.cache.keys
        assert (held.committing, [item.root for item in engine.core.queue.items]) == ({keys[a.id]}, [keys[b.id]])
        return a, b


async def ends(lab: Lab, engine: Engine, *runs: Run) -> None:
    """Expect runs of a pair to end, each step completed once."""
    for run in runs:
        done = await lab.finish(engine, run)
        assert (done.state, done.output) == ("completed", "gate")
        assert done.steps_of("step_completed") == ["step", "next"]


@pytest.mark.parametrize("order", ["cb", "bc"])
async def test_what_comes_in_while_a_flush_is_committed_shares_the_next_one(lab: Lab, place: Path, order: str) -> None:
    gates = {name: Gate(name) for name in "abc"}
    steps = [lab.call("a", gates["a"]), lab.call("b", gates["b"])]
    one = lab.workflow(*steps, execution="parallel", id="one")
    two = lab.workflow(lab.call("c", gates["c"]), id="two")
    async with held_store(place) as held, held.open(lab, one, two) as engine:
        first, second = await engine.start("one"), await engine.start("two")
        x, y = engine.core.cache.keys[first.id], engine.core.cache.keys[second.id]
        for gate in gates.values():
            await gate.inside()
        await anyio.wait_all_tasks_blocked()
        held.hold()
        gates["a"].open()
        await held.entered()
        before = len(held.commits)
        for name in order:
            gates[name].open()
            await anyio.wait_all_tasks_blocked()
        assert (held.committing, len(held.commits)) == ({x}, before)
        held.let_go()
        for run in (first, second):
            assert (await lab.finish(engine, run)).state == "completed"
        assert held.commits[before - 1 :] == [{x}, {x, y}]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_many_runs_of_all_kinds_of_steps_end_as_they_should_while_each_commit_takes_its_time(
    lab: Lab, place: Path, after: bool
) -> None:
    tried, kept = Counter[int](), Counter[int]()

    def flaky(n: int) -> int:
        tried[n] += 1
        if tried[n] == 1:
            raise RuntimeError("not yet")
        return n

    def keyed(n: int) -> int:
        kept[n] += 1
        return n

    ends = ["each", "flaky", "ask", "sub", "keyed"]
    flow = lab.workflow(
        for_each("each", in_=[1, 2, 3], item="x", steps=[lab.call("w", times(10), input={"n": "{x}"})]),
        lab.call("flaky", flaky, input={"n": "{input.n}"}, retry={"max_attempts": 2, "base": 0.1}),
        wait_for_input("ask", message="?"),
        sub("sub", workflow="child", input={"n": "{input.n}"}),
        lab.call("keyed", keyed, input={"n": "{input.n}"}, concurrency={"key": "gpu", "limit": 2}),
        set_("end", value=[f"{{steps.{name}}}" for name in ends], depends_on=ends),
        execution="parallel",
    )
    child = lab.workflow(lab.call("c", same, input={"n": "{input.n}"}), set_("d", value="{steps.c}"), id="child")

    async def one(n: int) -> None:
        run = await engine.start("main", {"n": n})
        if n % 4:
            await engine.wait(run.id)  # its tree is taken by the answer
        else:
            await until(engine, run.id, "step_waiting")
        await engine.resume(run.id, Answer(-n))
        done = await lab.finish(engine, run)
        assert (done.state, done.output) == ("completed", [[{"w": 10 * x} for x in (1, 2, 3)], n, -n, n, n])
        assert sorted(map(str, done.steps_of("step_completed"))) == sorted(
            [*ends, "end", *(f"each[{i}]/w" for i in range(3))]
        )

    async with held_store(place) as held, held.open(lab, flow, child) as engine:
        held.turns, held.after = 9, after
        with anyio.fail_after(2 * LIMIT):
            async with anyio.create_task_group() as group:
                for n in range(RUNS):
                    group.start_soon(one, n)
    assert (set(tried.values()), set(kept.values())) == ({2}, {1})


@pytest.mark.parametrize("refused", ["the one under way", "the next one"])
async def test_a_refused_commit_is_made_again_while_other_things_wait_and_nothing_is_done_twice(
    lab: Lab, place: Path, refused: str
) -> None:
    pair = Pair(lab)
    async with held_store(place) as held, held.open(lab, *pair.flows) as engine:
        a, b = await pair.overlap(engine, held)
        key = engine.core.cache.keys[(a if refused == "the one under way" else b).id]
        held.fault = once(FULL, lambda changes: any(change.root == key for change in changes))
        held.let_go()
        await ends(lab, engine, a, b)
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
        assert engine.core.slots.running == 0
    assert [gate.entered for gate in pair.gates.values()] == [1, 1]


async def test_a_fault_in_what_is_committed_leaves_what_waits_alone(
    lab: Lab, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = Pair(lab)
    async with held_store(place) as held, held.open(lab, *pair.flows) as engine:
        a, b = await pair.overlap(engine, held)
        held.fault = once(RuntimeError("a fault"), lambda _: True)
        held.let_go()
        await ends(lab, engine, b)
        assert (await engine.get(a.id)).state == "working"
        with anyio.fail_after(LIMIT):
            await engine.core.idle()
        assert engine.core.slots.running == 0
    assert f"left alone as they are: {a.id}" in caplog.text


async def test_a_newer_version_that_changed_the_store_ends_the_engine_with_commands_waiting(
    lab: Lab, tmp_path: Path
) -> None:
    pair, place = Pair(lab), tmp_path / "runs.db"
    newer, runs = StoreError("a newer version", code="AF-STORE-NEWER"), list[Run]()
    async with held_store(place) as held:

        async def outdated() -> None:
            async with held.open(lab, *pair.flows) as engine:
                runs.extend(await pair.overlap(engine, held))
                held.fault = lambda _: newer
                held.let_go()
                await anyio.sleep_forever()

        with anyio.fail_after(2 * LIMIT), pytest.raises(StoreError, match="a newer version"):
            await outdated()
    async with held_store(place) as held, held.open(lab, *pair.flows) as engine:
        await ends(lab, engine, *runs)


@pytest.mark.parametrize("slots", [1, 2])
async def test_a_step_that_got_no_slot_while_its_tree_was_committed_gets_it_afterwards(
    lab: Lab, place: Path, slots: int
) -> None:
    gates = [Gate(n) for n in range(slots)]
    busy = lab.workflow(*(lab.call(f"s{n}", gate) for n, gate in enumerate(gates)), execution="parallel", id="busy")
    flow = lab.workflow(lab.call("a", Fails(0, "gate")))
    async with held_store(place) as held, held.open(lab, busy, flow, config=limits(slots)) as engine:
        first = await engine.start("busy")
        for gate in gates:
            await gate.inside()
        await anyio.wait_all_tasks_blocked()
        held.hold()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.start, "main")
            await held.entered()
            for gate in gates:
                gate.open()
            await anyio.wait_all_tasks_blocked()
            assert engine.core.cache.keys[first.id] in {item.root for item in engine.core.queue.items}
            held.let_go()
        for run in await engine.list():
            assert (await lab.finish(engine, run)).state == "completed"


async def test_a_slot_whose_step_was_lost_with_its_tree_goes_to_who_queues_for_it(lab: Lab, place: Path) -> None:
    """The only other thing that could make it look again has ended."""
    gate = Gate(1)
    busy, flow = lab.workflow(lab.call("a", gate), id="busy"), lab.workflow(set_("a", value=1))
    async with held_store(place) as held, held.open(lab, busy, flow, config=limits(1)) as engine:
        await engine.start("busy")
        await gate.inside()
        lost, waits = await engine.start("main"), await engine.start("main")
        key = engine.core.cache.keys[lost.id]

        def fault(changes: Sequence[RunChange]) -> Exception | None:
            return RuntimeError("a fault") if any(change.run == key for change in changes) else None

        held.fault = fault
        gate.open()
        assert (await lab.finish(engine, waits)).state == "completed"
        assert (await engine.get(lost.id)).state == "working"


async def test_a_host_that_shuts_down_while_a_flush_is_committed_and_commands_wait_gives_all_leases_back(
    lab: Lab, place: Path
) -> None:
    pair, runs = Pair(lab), tuple[Run, ...]()
    async with held_store(place) as held:
        async with held.open(lab, *pair.flows) as engine, anyio.create_task_group() as group:
            runs = await pair.overlap(engine, held)
            group.start_soon(engine.shutdown, 0.0)
            await anyio.wait_all_tasks_blocked()
            held.let_go()
        assert await held.store.hosts() == []
        async with held.open(lab, *pair.flows) as engine:
            await ends(lab, engine, *runs)
    assert [gate.entered for gate in pair.gates.values()] == [1, 1]


async def test_the_pump_turns_only_for_what_comes_in_while_a_commit_hangs(
    lab: Lab, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, turns = Pair(lab), 0
    async with held_store(place) as held, held.open(lab, *pair.flows) as engine:
        turn = engine.core.admission.turn

        def counted() -> None:
            nonlocal turns
            turns += 1
            turn()

        monkeypatch.setattr(engine.core.admission, "turn", counted)
        a, b = await pair.overlap(engine, held)
        before, given = turns, 10
        for _ in range(given):
            engine.core.queue.put(Input(engine.core.cache.keys[a.id], TOUCH))
            for _ in range(20):
                await checkpoint()
        assert turns - before <= given
        held.let_go()
        await ends(lab, engine, a, b)


async def test_what_comes_in_for_a_tree_stays_in_order_when_its_commit_is_refused_meanwhile(
    lab: Lab, place: Path
) -> None:
    gates = [Gate(), Gate()]

    async def first(ctx: Context) -> None:
        await gates[0]()
        ctx.log("first")

    async def second(ctx: Context) -> None:
        await gates[1]()
        ctx.log("second")

    flow = lab.workflow(lab.call("a", first), lab.call("b", second), execution="parallel")
    async with held_store(place) as held, held.open(lab, flow) as engine:
        run = await engine.start("main")
        for gate in gates:
            await gate.inside()
        await anyio.wait_all_tasks_blocked()
        held.fault = once(FULL, lambda _: True)
        held.hold()
        gates[0].open()
        await held.entered()
        gates[1].open()
        await anyio.wait_all_tasks_blocked()
        held.let_go()
        done = await lab.finish(engine, run)
    assert done.state == "completed"
    told = [event.data["text"] for event in done.events if event.type == "step_log"]
    assert (told, done.steps_of("step_completed")) == (["first", "second"], ["a", "b"])
