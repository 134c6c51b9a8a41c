"""Defects of containers, loops, sagas and their restored state that were found by reading: one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow.engine import Answer
from agentflow.engine.plan.commands import Note
from agentflow.engine.plan.runs import pause_run
from agentflow.steps import delay, parallel, saga, sequence, set_, wait_for_input, while_
from agentflow.steps import until as until_
from tests.engine.hands import Fails, Gate
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def test_a_saga_in_a_retried_container_is_undone_once_an_attempt_and_reports_all_of_it(lab: Lab) -> None:
    undone: list[str] = []

    def undo(name: str) -> Any:
        return lambda: undone.append(name)

    steps = [lab.call(n, Fails(0), compensate=lab.call("undo", undo(n))) for n in ("a", "b", "c")]
    trip = saga("trip", steps=[*steps, lab.call("d", Fails())])
    box = sequence("box", steps=[trip], retry={"max_attempts": 2, "base": 1})
    done = await lab.run(box)
    assert undone == ["c", "b", "a"] * 2
    assert [entry["step"] for entry in done.errors["box/trip"].data["compensated"]] == [
        "box/trip/c",
        "box/trip/b",
        "box/trip/a",
    ]


async def test_undoing_a_step_a_second_time_has_another_idempotency_key(lab: Lab) -> None:
    keys: dict[str, list[str]] = {"do": [], "undo": []}

    def note(kind: str) -> Any:
        async def work(ctx: Any) -> None:
            keys[kind].append(ctx.idempotency_key)

        return work

    pay = lab.call("pay", note("do"), compensate=lab.call("undo", note("undo")))
    await lab.run(saga("trip", steps=[pay, lab.call("fails", Fails())], retry={"max_attempts": 2, "base": 1}))
    assert len(set(keys["do"])) == 2
    assert len(set(keys["undo"])) == 2


async def test_a_saga_undoes_every_iteration_of_a_loop(lab: Lab) -> None:
    undone: list[int] = []

    def undo(i: int) -> None:
        undone.append(i)

    pay = lab.call("pay", Fails(0), compensate=lab.call("undo", undo, input={"i": "{index}"}))
    done = await lab.run(saga("trip", steps=[while_("loop", condition="true", max_iterations=4, steps=[pay])]))
    assert done.state == "failed"
    assert undone == [3, 2, 1, 0]


async def test_attempts_of_a_retried_loops_steps_go_on_counting(lab: Lab) -> None:
    attempts: list[tuple[str, int]] = []

    async def work(ctx: Any) -> None:
        attempts.append((ctx.address, ctx.attempt))

    flaky = lab.call("no", Fails(1), skip_if="{index} < 3")
    ok = while_("loop", condition="{steps.no?} != 'ok'", max_iterations=9, steps=[lab.call("x", work), flaky])
    done = await lab.run(sequence("box", steps=[ok], retry={"max_attempts": 2, "base": 1}))
    assert done.state == "completed"
    assert attempts == [(f"box/loop[{i}]/x", n) for n in (1, 2) for i in range(4)]


async def test_an_iteration_sees_the_one_before_it_to_its_end(lab: Lab) -> None:
    seen: list[Any] = []

    def look(last: Any) -> None:
        seen.append(last)

    body = [
        lab.call("first", Fails(0)),
        lab.call("look", look, input={"last": "{steps.last?}"}),
        set_("last", value="{index}"),
    ]
    await lab.run(until_("loop", condition="{steps.last} == 2", max_iterations=5, steps=body))
    assert seen == [None, 0, 1]


async def test_a_container_that_waits_for_its_next_attempt_is_not_failed_once_more(lab: Lab) -> None:
    box = sequence(
        "box", steps=[lab.call("x", Fails()), set_("y", value=1)], on_error_siblings="continue",
        retry={"max_attempts": 3, "backoff": "fixed", "base": 10},
    )  # fmt: skip
    beside = [delay(f"d{n}", for_=f"{n}s", execution="parallel") for n in range(1, 6)]
    done = await lab.run(box.model_copy(update={"execution": "parallel"}), *beside)
    assert done.steps_of("step_failed").count("box") == 3


async def test_a_container_that_waits_for_its_operator_asks_once(lab: Lab) -> None:
    box = sequence(
        "box", steps=[lab.call("x", Fails()), set_("y", value=1)], on_error_siblings="continue", on_error="suspend",
        execution="parallel",
    )  # fmt: skip
    async with lab.open(lab.workflow(box, delay("d", for_="1s", execution="parallel"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "d")
        done = await lab.finish(engine, run)
        assert len(done.waits) == 1
        await engine.resume(done.waits[0].id, Answer({"action": "skip"}))
        assert (await lab.finish(engine, run)).state == "completed"


async def test_a_suspended_container_that_is_stopped_asks_nobody_any_more(lab: Lab) -> None:
    gate = Gate()
    box = sequence("box", steps=[lab.call("x", Fails())], on_error="suspend")

    async def fail() -> None:
        await gate()
        raise ValueError

    outer = parallel("outer", steps=[box, lab.call("f", fail)], on_error="continue")
    async with lab.open(lab.workflow(outer, wait_for_input("ask", message="?"))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_waiting", "outer/box")
        gate.open()
        await until(engine, run.id, "step_waiting", "ask")
        assert [wait.step for wait in await engine.waits(run.id)] == ["ask"]


async def test_a_tolerated_step_is_null_even_if_an_earlier_attempt_had_a_result(lab: Lab) -> None:
    calls: list[int] = []

    def once() -> str:
        calls.append(1)
        if len(calls) > 1:
            raise ValueError
        return "old"

    box = sequence(
        "box",
        steps=[
            lab.call("x", once, on_error="continue"),
            lab.call("y", Fails(1)),
            lab.call("between", Fails(0)),
            set_("z", value={"x": "{steps.x}"}),
        ],
        retry={"max_attempts": 2, "base": 1},
    )
    done = await lab.run(box)
    assert done.results["box/z"] == {"x": None}


async def test_a_step_set_to_run_at_most_once_is_not_run_again_after_a_shutdown(lab: Lab, db: Path) -> None:
    gate = Gate()
    flow = lab.workflow(lab.call("a", gate, at_most_once=True))
    async with lab.open(flow, store=db) as engine:
        run = await engine.start("main")
        await gate.inside()
    gate.open()
    async with lab.open(flow, store=db) as engine:
        done = await lab.finish(engine, await engine.get(run.id))
    assert (done.state, gate.entered, done.reasons["a"]) == ("failed", 1, "interrupted")


async def test_an_update_that_its_reducer_refuses_leaves_no_trace(lab: Lab) -> None:
    keys: dict[str, Any] = {"x": {"default": None, "reducer": "last"}, "n": {"default": 1, "reducer": "add"}}
    step = lab.call("a", Fails(0), update={"x": 1, "n": "{steps.a}"}, on_error="continue")
    done = await lab.run(step, lab.call("b", Fails(0)), set_("c", value={"x": "{context.x}"}), context=keys)
    assert (done.states["a"], done.output) == ("canceled", {"x": None})


@pytest.mark.parametrize("toggles", [(True,), (True, False), (False, True)], ids=["late", "both", "early"])
async def test_a_time_that_is_set_in_the_commit_of_a_pause_is_held_like_the_others(
    lab: Lab, toggles: tuple[bool, ...]
) -> None:
    """`toggles`: whether the run is paused, first before the time is set, then after it."""
    async with lab.open(lab.workflow(wait_for_input("w", message="?"))) as engine:
        run = await engine.start("main")
        await engine.wait(run.id)
        now = lab.clock.now()

        def both() -> list[tuple[str, dict[str, object]]]:
            root = engine.core.cache.trees[key].root
            for number, paused in enumerate(toggles):
                if number or len(toggles) == 1:
                    root.set_timer(next(iter(root.live.values())), now + 60, "timeout")
                pause_run(root, paused)
            return []

        row = await engine.store.get_run(run.id)
        assert row is not None
        key = row.run
        assert await engine.core.mailbox.apply(key, Note(key, "w", both, (1, 1, 1)))
        held = [timer.due > now + 1e9 for _, timer in await engine.store.due(float("inf"))]
        assert held == [toggles[-1]]
