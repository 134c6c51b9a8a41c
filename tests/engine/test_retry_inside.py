"""A retry from a step inside a loop or another container: what is done there is kept, at every depth."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import ForEachField, Step, Workflow
from agentflow.engine import Engine, RetryPart, RetryPlan, Run
from agentflow.errors import NotFoundError
from agentflow.steps import condition, for_each, parallel, recur, saga, sequence, set_, until, while_, workflow
from agentflow.testing import RunOutcome
from tests.engine.hands import Gate, same
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


class Paid:
    """A function that costs money: it counts its calls, and fails for some inputs until they are mended."""

    def __init__(self, *broken: Any) -> None:
        self.broken = set(broken)
        self.calls: list[Any] = []

    def __call__(self, n: Any) -> Any:
        """Note the call, then fail or answer."""
        self.calls.append(n)
        if n in self.broken:
            raise ValueError(f"rate limit {n}")
        return n

    def mend(self) -> Paid:
        """Fail no more, and count from now on."""
        self.broken.clear()
        self.calls.clear()
        return self


def field(lab: Lab, paid: Paid, count: int, side_by_side: int, **common: Any) -> Step:
    loop = ForEachField(**{"in": list(range(count)), "max_parallel": side_by_side})
    return lab.call("each", paid, input={"n": "{item}"}, for_each=loop, **common)


def typed(lab: Lab, paid: Paid, count: int, side_by_side: int, **common: Any) -> Step:
    body = lab.call("x", paid, input={"n": "{item}"}, **common)
    return for_each("each", in_=list(range(count)), steps=[body], max_parallel=side_by_side)


async def failed(lab: Lab, engine: Engine, state: str = "failed") -> Run:
    done = await lab.finish(engine, await engine.start("main"))
    assert done.state == state
    return done.run


async def retried(lab: Lab, engine: Engine, run: Run, start: str | None = None) -> RunOutcome:
    new = await engine.retry(run.id, start)
    assert isinstance(new, Run)
    return await lab.finish(engine, new)


async def planned(engine: Engine, run: Run, start: str | None = None) -> RetryPlan:
    plan = await engine.retry(run.id, start, dry_run=True)
    assert isinstance(plan, RetryPlan)
    return plan


@pytest.mark.parametrize("side_by_side", [1, 4])
@pytest.mark.parametrize("start", ["each[5]", None])
async def test_an_items_retry_calls_it_and_those_that_were_not_called_yet(
    lab: Lab, side_by_side: int, start: str | None
) -> None:
    paid = Paid(5)
    async with lab.open(lab.workflow(field(lab, paid, 12, side_by_side))) as engine:
        run = await failed(lab, engine)
        rest = [n for n in range(12) if n == 5 or n not in paid.calls]
        plan = await planned(engine, run, start)
        assert plan.from_step == "each[5]"
        assert plan.parts == [RetryPart("each", 12 - len(rest), len(rest), "iterations")]
        assert plan.unsafe == ["each[5]"]
        paid.mend()
        done = await retried(lab, engine, run, start)
    assert (done.state, done.output, sorted(paid.calls)) == ("completed", list(range(12)), rest)


async def test_a_retry_from_the_loop_itself_calls_all_items_again(lab: Lab) -> None:
    paid = Paid(2)
    async with lab.open(lab.workflow(field(lab, paid, 4, 1))) as engine:
        run = await failed(lab, engine)
        plan = await planned(engine, run, "each")
        assert (plan.parts, plan.again) == ([], ["each"])
        paid.mend()
        done = await retried(lab, engine, run, "each")
    assert (done.output, paid.calls) == ([0, 1, 2, 3], [0, 1, 2, 3])


@pytest.mark.parametrize("start", ["each[1]", "each[1]/x"])
async def test_an_item_that_is_done_is_called_again_where_it_is_named(lab: Lab, start: str) -> None:
    paid = Paid()
    flow = lab.workflow(typed(lab, paid, 3, 2), set_("end", value="{steps.each[1].x}"))
    async with lab.open(flow) as engine:
        run = await failed(lab, engine, "completed")
        paid.mend()
        plan = await planned(engine, run, start)
        assert (plan.parts, plan.again) == ([RetryPart("each", 2, 1, "iterations")], ["each", "end"])
        done = await retried(lab, engine, run, start)
    assert (done.state, done.output, paid.calls) == ("completed", 1, [1])


@pytest.mark.parametrize("side_by_side", [1, 2])
async def test_finished_steps_of_an_item_that_failed_are_kept_and_the_limit_holds(lab: Lab, side_by_side: int) -> None:
    got, put = Paid(), Paid(1, 3, 4)
    inside: list[int] = []
    most: list[int] = []

    async def careful(n: int) -> int:
        inside.append(n)
        most.append(len(inside))
        try:
            return put(n)
        finally:
            inside.remove(n)

    body = [lab.call("get", got, input={"n": "{item}"}), lab.call("put", careful, input={"n": "{steps.get}"})]
    loop = for_each("each", in_=list(range(6)), steps=body, max_parallel=side_by_side, on_error_siblings="continue")
    async with lab.open(lab.workflow(loop)) as engine:
        run = await failed(lab, engine)
        got.mend()
        put.mend()
        most.clear()
        done = await retried(lab, engine, run, "each[3]/put")
    assert (done.state, got.calls, sorted(put.calls)) == ("completed", [], [1, 3, 4])
    assert done.output == [{"get": n, "put": n} for n in range(6)]
    assert max(most) <= side_by_side


async def test_tolerated_items_are_kept_unless_they_are_named(lab: Lab) -> None:
    paid = Paid(1, 2)
    flow = lab.workflow(field(lab, paid, 4, 2, on_error="continue"))
    async with lab.open(flow) as engine:
        run = await failed(lab, engine, "completed")
        paid.mend()
        done = await retried(lab, engine, run, "each[2]")
        assert (done.output, paid.calls, done.run.tolerated) == ([0, None, 2, 3], [2], 1)


async def test_deeper_addresses_keep_what_is_around_them(lab: Lab) -> None:
    paid = Paid((2, 1))

    def pair(a: int, b: int) -> list[int]:
        return list(paid((a, b)))

    inner = for_each("inner", in_=[0, 1, 2], item="j", steps=[
        set_("pair", value=["{i}", "{j}"]),
        lab.call("x", pair, input={"a": "{i}", "b": "{j}"}),
    ], max_parallel=1)  # fmt: skip
    outer = for_each("outer", in_=[0, 1, 2, 3], item="i", steps=[inner], max_parallel=1)
    async with lab.open(lab.workflow(outer)) as engine:
        run = await failed(lab, engine)
        plan = await planned(engine, run, "outer[2]/inner[1]/x")
        assert plan.parts == [
            RetryPart("outer", 2, 2, "iterations"), RetryPart("outer[2]/inner", 1, 2, "iterations"),
        ]  # fmt: skip
        paid.mend()
        done = await retried(lab, engine, run, "outer[2]/inner[1]/x")
    assert paid.calls == [(2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    assert done.output[2]["inner"][0]["x"] == [2, 0]
    assert done.output[0]["inner"][2]["x"] == [0, 2]


@pytest.mark.parametrize("kind", ["while", "until", "recur"])
@pytest.mark.parametrize("start", ["loop[2]", "loop[2]/x", None])
async def test_iterations_before_the_named_one_are_kept(lab: Lab, kind: str, start: str | None) -> None:
    paid = Paid(3)
    body = [lab.call("x", paid, input={"n": "{index}"}, update={"seen": "{index}"})]
    loop = {
        "while": while_("loop", condition="{index} < 5", max_iterations=9, steps=body),
        "until": until("loop", condition="{steps.x} >= 4", max_iterations=9, steps=body),
        "recur": recur("loop", interval="1m", max=5, steps=body),
    }[kind]
    flow = lab.workflow(
        loop, context={"seen": {"default": [], "reducer": "append"}}, output=["{context.seen}", "{steps.loop}"]
    )
    async with lab.open(flow) as engine:
        run = await failed(lab, engine)
        first = 3 if start is None else 2
        plan = await planned(engine, run, start)
        assert plan.parts == [RetryPart("loop", first, None, "iterations")]
        paid.mend()
        done = await retried(lab, engine, run, start)
    last = [{"x": n} for n in range(5)] if kind == "recur" else {"x": 4}
    assert (paid.calls, done.output) == (list(range(first, 5)), [[0, 1, 2, 3, 4], last])


async def test_siblings_that_do_not_follow_are_kept(lab: Lab) -> None:
    paid = Paid("b")
    steps = [
        lab.call("a", paid, input={"n": "a"}),
        lab.call("b", paid, input={"n": "b"}),
        lab.call("c", paid, input={"n": "c"}, depends_on="a"),
        lab.call("d", paid, input={"n": "d"}, depends_on="b"),
    ]
    async with lab.open(lab.workflow(parallel("box", steps=steps, on_error_siblings="continue"))) as engine:
        run = await failed(lab, engine)
        plan = await planned(engine, run, "box/b")
        assert plan.parts == [RetryPart("box", 2, 2, "steps")]
        paid.mend()
        done = await retried(lab, engine, run, "box/b")
        assert paid.calls == ["b", "d"]
        paid.mend()
        again = await retried(lab, engine, done.run, "box/a")
    assert (paid.calls, again.output) == (["a", "c"], {name: name for name in "abcd"})


async def test_steps_of_a_branch_and_of_a_sequence_in_it_are_kept(lab: Lab) -> None:
    paid = Paid("b")
    box = sequence("box", steps=[lab.call(name, paid, input={"n": name}) for name in "abc"], with_={"k": 1})
    flow = lab.workflow(condition("route", expression="true", if_true=[set_("pre", value=1), box]))
    async with lab.open(flow) as engine:
        run = await failed(lab, engine)
        paid.mend()
        done = await retried(lab, engine, run, "route/if_true/box/b")
    assert (paid.calls, done.output) == (["b", "c"], {"pre": 1, "box": {"a": "a", "b": "b", "c": "c"}})


async def test_compensated_steps_in_a_saga_run_again_and_what_follows_from_them(lab: Lab) -> None:
    paid = Paid("pay")
    undo = set_("undo", value=1)
    steps = [
        lab.call("look", paid, input={"n": "look"}),
        lab.call("book", paid, input={"n": "book"}, compensate=undo),
        lab.call("note", paid, input={"n": "note"}),
        lab.call("pay", paid, input={"n": "pay"}),
    ]
    async with lab.open(lab.workflow(saga("trip", steps=steps))) as engine:
        run = await failed(lab, engine)
        paid.mend()
        done = await retried(lab, engine, run, "trip/pay")
    assert (done.state, paid.calls) == ("completed", ["book", "note", "pay"])


async def test_a_sub_workflow_of_an_item_runs_again_as_a_whole(lab: Lab) -> None:
    paid = Paid(1)
    child = Workflow(id="child", steps=(lab.call("x", paid, input={"n": "{input.n}"}),))
    flow = lab.workflow(for_each("each", in_=[0, 1, 2], steps=[
        workflow("sub", workflow="child", input={"n": "{item}"})
    ], max_parallel=1))  # fmt: skip
    async with lab.open(flow, child) as engine:
        run = await failed(lab, engine)
        paid.mend()
        done = await retried(lab, engine, run, "each[1]/sub/x")
    assert (paid.calls, done.output) == ([1, 2], [{"sub": n} for n in range(3)])


@pytest.mark.parametrize(
    ("start", "what"),
    [("each[9]", "no iteration 9"), ("each[0]/nothing", 'no step "nothing"'), ("nothing[0]", 'no step "nothing')],
)
async def test_an_address_that_there_was_not_is_refused(lab: Lab, start: str, what: str) -> None:
    async with lab.open(lab.workflow(typed(lab, Paid(1), 3, 1))) as engine:
        run = await failed(lab, engine)
        with pytest.raises(NotFoundError, match=what):
            await engine.retry(run.id, start)


async def test_shared_keys_are_folded_from_the_kept_items(lab: Lab) -> None:
    paid = Paid(2)
    flow = lab.workflow(
        field(lab, paid, 5, 1, update={"sum": "{item}"}),
        context={"sum": {"default": 0, "reducer": "add"}},
        output="{context.sum}",
    )
    async with lab.open(flow) as engine:
        run = await failed(lab, engine)
        paid.mend()
        assert (await retried(lab, engine, run)).output == 10


@pytest.mark.parametrize("broken", [(3,), (3, 5)])
async def test_a_retry_of_a_retry_keeps_what_both_have_done(lab: Lab, tmp_path: Path, broken: Collection[int]) -> None:
    paid = Paid(1, 3)
    flow = lab.workflow(typed(lab, paid, 7, 1))
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        run = await failed(lab, engine)
        paid.mend().broken.update(broken)
        second = await retried(lab, engine, run)
        assert (second.state, paid.calls) == ("failed", [1, 2, 3])
        paid.mend()
        third = await retried(lab, engine, second.run)
    assert (third.state, paid.calls) == ("completed", [3, 4, 5, 6])
    assert third.output == [{"x": n} for n in range(7)]


async def test_a_container_that_waits_for_its_slot_keeps_its_finished_steps(lab: Lab) -> None:
    paid = Paid("b")
    steps = [lab.call(name, paid, input={"n": name}) for name in "abc"]
    flow = lab.workflow(sequence("box", steps=steps, concurrency={"key": "k", "limit": 1}))
    async with lab.open(flow) as engine:
        run = await failed(lab, engine)
        paid.mend()
        done = await retried(lab, engine, run)
    assert (done.state, paid.calls) == ("completed", ["b", "c"])


async def test_a_containers_own_retry_begins_with_nothing_kept(lab: Lab) -> None:
    paid = Paid(1, 2)
    body = [lab.call("get", same, input={"n": "{item}"}), lab.call("x", paid, input={"n": "{item}"})]
    loop = for_each("each", in_=[0, 1, 2], steps=body, max_parallel=1, on_error_siblings="continue")
    box = sequence("box", steps=[loop], retry={"max_attempts": 2, "base": 0.01})
    flow = lab.workflow(box, context={"n": {"default": 0, "reducer": "add"}}, output="{steps.box.each}")
    async with lab.open(flow) as engine:
        run = await failed(lab, engine)
        paid.calls.clear()
        second = await retried(lab, engine, run)
        assert (second.state, paid.calls) == ("failed", [1, 2, 0, 1, 2])
        paid.mend()
        third = await retried(lab, engine, second.run)
    assert (third.state, paid.calls) == ("completed", [1, 2])


async def test_a_canceled_loop_goes_on_with_what_was_not_done(lab: Lab) -> None:
    gate, paid = Gate(), Paid()

    async def work(n: int) -> int:
        if n == 2 and not gate.entered:
            await gate()
        return paid(n)

    flow = lab.workflow(for_each("each", in_=[0, 1, 2, 3], max_parallel=1, steps=[
        lab.call("x", work, input={"n": "{item}"})
    ]))  # fmt: skip
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        await gate.inside()
        await engine.cancel(run.id)
        canceled = (await lab.finish(engine, run)).run
        paid.mend()
        done = await retried(lab, engine, canceled)
    assert (done.state, paid.calls) == ("completed", [2, 3])
