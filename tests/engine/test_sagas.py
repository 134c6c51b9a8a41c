"""Sagas: completed steps are undone in reverse order when something after them fails."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step
from agentflow.engine import Run
from agentflow.steps import condition, end, for_each, parallel, saga, sequence, set_, wait_for_input
from agentflow.steps import workflow as sub
from tests.engine.hands import Fails, Gate
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio


class Ledger:
    """Steps that note what they do, each with a compensation that notes that it is undone."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.log: list[str] = []

    def do(self, name: str, *, result: Any = None, undo: bool = True, **common: Any) -> Step:
        def work() -> Any:
            self.log.append(name)
            return result

        def take_back() -> None:
            self.log.append(f"undo {name}")

        if undo:
            common["compensate"] = self.lab.call("undo", take_back)
        return self.lab.call(name, work, **common)

    def fail(self, name: str = "fails", **common: Any) -> Step:
        return self.lab.call(name, Fails(), **common)


@pytest.fixture
def ledger(lab: Lab) -> Ledger:
    return Ledger(lab)


@pytest.mark.case("W-E-11")
async def test_completed_steps_are_undone_in_reverse_order_and_only_those(lab: Lab, ledger: Ledger) -> None:
    body = [ledger.do("a"), ledger.do("b"), ledger.fail("c", compensate=lab.call("x", Fails())), ledger.do("d")]
    done = await lab.run(saga("trip", steps=body))
    assert ledger.log == ["a", "b", "undo b", "undo a"]
    assert (done.state, done.states["trip"]) == ("failed", "failed")
    assert (done.states["trip/a"], done.reasons["trip/a"]) == ("completed", "compensated")
    assert (done.states["trip/c"], done.states.get("trip/d", "submitted")) == ("failed", "submitted")
    assert done.errors["trip"].data["compensated"] == [
        {"step": "trip/b", "reason": "compensated"},
        {"step": "trip/a", "reason": "compensated"},
    ]


@pytest.mark.case("W-E-11")
async def test_inner_scopes_are_undone_before_the_step_that_holds_them(lab: Lab, ledger: Ledger) -> None:
    def undo_box() -> None:
        ledger.log.append("undo box")

    box = sequence("box", steps=[ledger.do("x"), ledger.do("y")], compensate=lab.call("undo", undo_box))
    done = await lab.run(saga("trip", steps=[ledger.do("a"), box, ledger.fail()]))
    assert done.state == "failed"
    assert ledger.log == ["a", "x", "y", "undo y", "undo x", "undo box", "undo a"]


@pytest.mark.case("W-E-11")
async def test_a_saga_in_a_saga_that_was_completed_is_undone_by_the_outer_one(lab: Lab, ledger: Ledger) -> None:
    inner = saga("inner", steps=[ledger.do("x"), ledger.do("y")])
    done = await lab.run(saga("outer", steps=[ledger.do("a"), inner, ledger.fail()]))
    assert done.state == "failed"
    assert ledger.log == ["a", "x", "y", "undo y", "undo x", "undo a"]


@pytest.mark.case("W-E-11")
async def test_an_inner_saga_that_fails_undoes_its_own_first_and_each_step_once(lab: Lab, ledger: Ledger) -> None:
    inner = saga("inner", steps=[ledger.do("x"), ledger.fail()])
    done = await lab.run(saga("outer", steps=[ledger.do("a"), inner]))
    assert done.state == "failed"
    assert ledger.log == ["a", "x", "undo x", "undo a"]


@pytest.mark.case("W-E-11")
async def test_a_loop_in_a_saga_undoes_only_the_items_that_were_done(lab: Lab) -> None:
    log: list[str] = []

    def book(item: str) -> str:
        if item == "bad":
            raise RuntimeError("full")
        log.append(item)
        return item

    def cancel_booking(item: str) -> None:
        log.append(f"undo {item}")

    undo = lab.call("undo", cancel_booking, input={"item": "{steps.book}"})
    loop = for_each(
        "each",
        in_=["one", "two", "bad", "four"],
        max_parallel=1,
        steps=[lab.call("book", book, input={"item": "{item}"}, compensate=undo)],
    )
    done = await lab.run(saga("trip", steps=[loop]))
    assert (done.state, log) == ("failed", ["one", "two", "undo two", "undo one"])


async def test_a_branch_that_ran_is_undone_and_the_other_one_is_not(lab: Lab, ledger: Ledger) -> None:
    choice = condition("which", expression="true", if_true=[ledger.do("yes")], if_false=[ledger.do("no")])
    await lab.run(saga("trip", steps=[choice, ledger.fail()]))
    assert ledger.log == ["yes", "undo yes"]


async def test_a_compensation_has_retries_of_its_own(lab: Lab, ledger: Ledger) -> None:
    flaky = Fails(2)
    booked = lab.call("book", lambda: 1, compensate=lab.call("undo", flaky, retry=3))
    done = await lab.run(saga("trip", steps=[booked, ledger.fail()]))
    assert (flaky.calls, done.reasons["trip/book"]) == (3, "compensated")


async def test_a_compensation_that_fails_for_good_is_told_and_the_others_go_on(lab: Lab, ledger: Ledger) -> None:
    booked = lab.call("book", lambda: 1, compensate=lab.call("undo", Fails()))
    done = await lab.run(saga("trip", steps=[ledger.do("a"), booked, ledger.fail()]))
    assert ledger.log == ["a", "undo a"]
    assert (done.states["trip/book"], done.reasons["trip/book"]) == ("completed", "compensation_failed")
    assert done.reasons["trip/a"] == "compensated"
    assert done.run.failure is not None
    assert done.run.failure.step == "trip/fails"


async def test_a_compensation_sees_the_results_and_what_never_ran_is_null(lab: Lab, ledger: Ledger) -> None:
    seen: list[Any] = []

    def take_back(**values: Any) -> None:
        seen.append(values)

    undo = lab.call("undo", take_back, input={"own": "{steps.book.id}", "later": "{steps.later?}", "in": "{input.n}"})
    body = [lab.call("book", lambda: {"id": 7}, compensate=undo), ledger.fail(), set_("later", value=1)]
    async with lab.open(lab.workflow(saga("trip", steps=body))) as engine:
        await lab.finish(engine, await engine.start("main", {"n": 3}))
    assert seen == [{"own": 7, "later": None, "in": 3}]


async def test_a_compensation_of_several_steps_runs_them_in_order(lab: Lab, ledger: Ledger) -> None:
    undo = [ledger.do("first", undo=False), ledger.do("second", undo=False)]
    await lab.run(saga("trip", steps=[lab.call("a", lambda: 1, compensate=undo), ledger.fail()]))
    assert ledger.log == ["first", "second"]


async def test_a_completed_saga_is_closed_and_later_failures_do_not_touch_it(lab: Lab, ledger: Ledger) -> None:
    done = await lab.run(saga("trip", steps=[ledger.do("a")]), ledger.fail())
    assert (done.state, ledger.log, done.reasons["trip/a"]) == ("failed", ["a"], None)


async def test_compensation_comes_before_the_sagas_own_retry(lab: Lab, ledger: Ledger) -> None:
    flaky = Fails(1)
    done = await lab.run(saga("trip", steps=[ledger.do("a"), lab.call("b", flaky)], retry=2))
    assert (done.state, ledger.log) == ("completed", ["a", "undo a", "a"])
    assert done.reasons["trip/a"] is None


async def test_a_compensation_after_a_retry_undoes_the_new_attempt_once(lab: Lab, ledger: Ledger) -> None:
    done = await lab.run(saga("trip", steps=[ledger.do("a"), ledger.fail()], retry=3))
    assert done.state == "failed"
    assert ledger.log == ["a", "undo a"] * 3


async def test_the_idempotency_key_changes_once_a_step_was_compensated(lab: Lab, ledger: Ledger) -> None:
    keys: list[str] = []

    def book(ctx: Any) -> None:
        keys.append(ctx.idempotency_key)

    body = [lab.call("a", book, compensate=set_("undo", value=1)), lab.call("b", Fails(1))]
    assert (await lab.run(saga("trip", steps=body, retry=2))).state == "completed"
    assert len(keys) == 2
    assert keys[0] != keys[1]


async def test_compensation_comes_before_on_error(lab: Lab, ledger: Ledger) -> None:
    done = await lab.run(saga("trip", steps=[ledger.do("a"), ledger.fail()], on_error="continue"), ledger.do("after"))
    assert (done.state, ledger.log) == ("completed", ["a", "undo a", "after"])
    assert (done.states["trip"], done.reasons["trip"]) == ("canceled", "tolerated")


async def test_cancelling_a_run_undoes_its_open_sagas(lab: Lab, ledger: Ledger) -> None:
    body = [ledger.do("a"), wait_for_input("ok", message="?")]
    async with lab.open(lab.workflow(saga("closed", steps=[ledger.do("z")]), saga("trip", steps=body))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.run.id)
        done = await _ended(lab, engine, parked.run)
    assert (done.state, ledger.log) == ("canceled", ["z", "a", "undo a"])
    assert done.reasons["trip/a"] == "compensated"


async def test_while_a_cancel_compensates_the_run_is_working(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()
    body = [lab.call("a", lambda: 1, compensate=lab.call("undo", gate)), wait_for_input("ok", message="?")]
    async with lab.open(lab.workflow(saga("trip", steps=body))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.run.id)
        await gate.inside()
        assert (await engine.get(parked.run.id)).state == "working"
        gate.open()
        done = await _ended(lab, engine, parked.run)
    assert done.state == "canceled"


async def test_a_forced_cancel_undoes_nothing(lab: Lab, ledger: Ledger) -> None:
    body = [ledger.do("a"), wait_for_input("ok", message="?")]
    async with lab.open(lab.workflow(saga("trip", steps=body))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.run.id, force=True)
        done = await _ended(lab, engine, parked.run)
    assert (done.state, ledger.log) == ("canceled", ["a"])


async def test_a_second_forced_cancel_ends_a_compensation_that_hangs(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()
    body = [lab.call("a", lambda: 1, compensate=lab.call("undo", gate)), wait_for_input("ok", message="?")]
    async with lab.open(lab.workflow(saga("trip", steps=body))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.run.id)
        await gate.inside()
        await engine.cancel(parked.run.id, force=True)
        done = await _ended(lab, engine, parked.run)
    assert (done.state, gate.interrupted) == ("canceled", 1)


async def test_parallel_steps_that_still_end_are_undone_too(lab: Lab, ledger: Ledger) -> None:
    gate = Gate()

    def undo() -> None:
        ledger.log.append("undo slow")

    slow = lab.call("slow", gate, compensate=lab.call("undo", undo))
    body = parallel("both", steps=[slow, ledger.fail()])
    async with lab.open(lab.workflow(saga("trip", steps=[body]))) as engine:
        run = await engine.start("main")
        await gate.inside()
        await until(engine, run.id, "step_failed")
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, ledger.log) == ("failed", ["undo slow"])


async def test_steps_that_ended_at_the_same_time_are_undone_in_the_reverse_of_the_order_in_which_they_ended(
    lab: Lab, ledger: Ledger
) -> None:
    gate = Gate()  # the clock stands still meanwhile

    def undo() -> None:
        ledger.log.append("undo slow")

    body = parallel("both", steps=[lab.call("slow", gate, compensate=lab.call("undo", undo)), ledger.do("fast")])
    async with lab.open(lab.workflow(saga("trip", steps=[body, ledger.fail()]))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "trip/both/fast")
        gate.open()
        await lab.finish(engine, run)
    assert ledger.log == ["fast", "undo slow", "undo fast"]


async def test_an_early_end_that_fails_the_saga_undoes_it(lab: Lab, ledger: Ledger) -> None:
    body = [ledger.do("a"), end("stop", state="failed", scope="trip", message="no seats")]
    done = await lab.run(saga("trip", steps=body))
    assert (done.state, ledger.log) == ("failed", ["a", "undo a"])


async def _ended(lab: Lab, engine: Any, run: Run) -> Any:
    with anyio.fail_after(LIMIT):
        async for _ in engine.subscribe(run.id):
            pass
    return await lab.look(engine, run.id)


async def test_each_item_of_a_loop_undoes_its_own_saga_and_those_that_completed_stay(lab: Lab) -> None:
    log: list[str] = []

    def pay(item: int) -> None:
        if item == 2:
            raise RuntimeError("no money")

    def take_back(item: int) -> None:
        log.append(f"undo {item}")

    book = set_("book", value=1, compensate=lab.call("undo", take_back, input={"item": "{item}"}))
    trip = saga("trip", steps=[book, lab.call("pay", pay, input={"item": "{item}"})])
    done = await lab.run(for_each("each", in_=[1, 2, 3], max_parallel=1, steps=[trip], on_error="continue"))
    assert log == ["undo 2"]
    assert done.errors["each[1]/trip"].data["compensated"] == [{"step": "each[1]/trip/book", "reason": "compensated"}]


async def test_a_sub_workflow_in_a_saga_is_undone_by_the_step_that_started_it(lab: Lab, ledger: Ledger) -> None:
    child = lab.workflow(ledger.do("inside"), id="child")
    undo = lab.call("undo_call", lambda: ledger.log.append("undo call"))
    body = [sub("call", workflow="child", compensate=undo), ledger.fail()]
    async with lab.open(child, lab.workflow(saga("trip", steps=body))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, ledger.log) == ("failed", ["inside", "undo call"])
    assert done.errors["trip"].data["compensated"] == [{"step": "trip/call", "reason": "compensated"}]


async def test_what_a_saga_below_has_undone_is_told_above_with_its_run_and_the_callers_step(
    lab: Lab, ledger: Ledger
) -> None:
    child = lab.workflow(saga("inner", steps=[ledger.do("x"), ledger.fail()]), id="child")
    body = [ledger.do("a"), sub("call", workflow="child")]
    async with lab.open(child, lab.workflow(saga("trip", steps=body))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        row = await engine.store.get_step(done.run.id, "trip/call")
        assert row is not None
    assert ledger.log == ["a", "x", "undo x", "undo a"]
    assert done.errors["trip"].data["compensated"] == [
        {"step": "trip/call/inner/x", "run_id": row.task, "reason": "compensated"},
        {"step": "trip/a", "reason": "compensated"},
    ]


async def test_a_cancel_undoes_the_open_sagas_of_child_runs_and_of_their_callers(lab: Lab, ledger: Ledger) -> None:
    inner = [ledger.do("x"), wait_for_input("ok", message="?")]
    child = lab.workflow(saga("inner", steps=inner), id="child")
    body = [ledger.do("a"), sub("call", workflow="child")]
    async with lab.open(child, lab.workflow(saga("trip", steps=body))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.run.id)
        done = await _ended(lab, engine, parked.run)
    assert (done.state, ledger.log) == ("canceled", ["a", "x", "undo x", "undo a"])
