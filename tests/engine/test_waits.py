"""Waits: parking, answering, refusing, timing out, and who may answer."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step
from agentflow.engine import Answer, Decline, Engine, ToolFailure, WaitView
from agentflow.errors import AgentflowError, ConflictError, InputError, NotFoundError
from agentflow.principal import Principal
from agentflow.steps import (
    checkpoint,
    delay,
    external_tool_call,
    parallel,
    sequence,
    set_,
    wait_for_event,
    wait_for_input,
)
from agentflow.testing.clock import FakeClock
from tests.engine.hands import by_hand
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio

APPROVED = {"type": "object", "properties": {"approved": {"type": "boolean"}}, "required": ["approved"]}


def review(name: str = "review", **common: Any) -> Step:
    return wait_for_input(name, message="Approve?", schema=APPROVED, **common)


async def only_wait(engine: Engine, run_id: str) -> WaitView:
    (found,) = await engine.waits(run_id)
    return found


@pytest.mark.case("D-WAIT-1", "D-WAIT-11")
async def test_a_wait_parks_the_run_and_what_follows_is_not_started(lab: Lab) -> None:
    done = await lab.run(set_("one", value=1), review(), set_("three", value=3))
    assert done.state == "input-required"
    assert list(done.states.values()) == ["completed", "input-required", "submitted"]
    assert [wait.step for wait in done.waits] == ["review"]
    assert not {"run_completed", "run_failed"} & set(done.kinds)


@pytest.mark.case("D-WAIT-2")
async def test_an_answer_completes_the_wait_and_the_run_goes_on(lab: Lab) -> None:
    after = set_("after", value="{steps.review.approved}")
    async with lab.open(lab.workflow(review(), after)) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        wait = await engine.resume(parked.waits[0].id, Answer({"approved": True}), by="ana", door="cli")
        assert (wait.state, wait.by, wait.door, wait.answer) == (
            "completed",
            "ana",
            "cli",
            {"value": {"approved": True}},
        )
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", True)
    assert done.results["review"] == {"approved": True}
    assert not done.waits


@pytest.mark.case("D-WAIT-3", "D-WAIT-13")
async def test_answering_what_does_not_wait_is_an_error_and_the_run_stays(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("one", value=1), review())) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        with pytest.raises(NotFoundError) as unknown:
            await engine.resume("0" * 26, Answer({"approved": True}))
        assert unknown.value.code == "AF-WAIT-UNKNOWN"
        assert (await engine.get(parked.run.id)).state == "input-required"
        await engine.resume(parked.run.id, Answer({"approved": True}))
        done = await lab.finish(engine, parked.run)
        assert done.state == "completed"
        with pytest.raises(ConflictError) as over:
            await engine.resume(parked.run.id, Answer({"approved": True}))
        assert over.value.code == "AF-RUN-NOT-WAITING"


@pytest.mark.case("D-WAIT-4")
async def test_two_waits_in_sequence_park_twice_and_the_step_between_runs_once(lab: Lab) -> None:
    ran: list[int] = []
    middle = lab.call("middle", lambda: ran.append(1))
    async with lab.open(lab.workflow(review("first"), middle, review("second"))) as engine:
        run = await engine.start("main")
        seen: list[str] = []
        for _ in range(2):
            parked = await lab.finish(engine, run)
            assert parked.state == "input-required"
            seen.append(parked.waits[0].step)
            await engine.resume(run.id, Answer({"approved": True}))
        done = await lab.finish(engine, run)
    assert (done.state, seen, ran) == ("completed", ["first", "second"], [1])


@pytest.mark.case("D-WAIT-5")
async def test_a_checkpoint_does_not_pause(lab: Lab) -> None:
    done = await lab.run(checkpoint("mark", message="half way"), set_("after", value=1))
    assert (done.state, done.output) == ("completed", 1)
    assert done.results["mark"] == {"message": "half way"}
    assert done.run.message == "half way"


@pytest.mark.case("D-WAIT-6")
async def test_two_open_waits_and_other_work_all_go_on_and_are_answered_in_any_order(lab: Lab) -> None:
    ran: list[str] = []
    steps = (
        review("left"),
        review("right"),
        lab.call("work", lambda: ran.append("work")),
        lab.call("more", lambda: ran.append("more"), depends_on="work"),
    )
    async with lab.open(lab.workflow(*steps, execution="parallel")) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert ran == ["work", "more"]
        assert [wait.step for wait in parked.waits] == ["left", "right"]
        with pytest.raises(ConflictError) as several:
            await engine.resume(parked.run.id, Answer({"approved": True}))
        assert several.value.code == "AF-WAIT-AMBIGUOUS"
        await engine.resume(parked.waits[1].id, Answer({"approved": False}))
        half = await lab.finish(engine, parked.run)
        assert (half.state, half.states["right"], half.states["left"]) == (
            "input-required",
            "completed",
            "input-required",
        )
        await engine.resume(parked.waits[0].id, Answer({"approved": True}))
        assert (await lab.finish(engine, parked.run)).state == "completed"


@pytest.mark.case("D-WAIT-7")
async def test_an_answer_that_does_not_fit_is_refused_and_the_wait_stays_open(lab: Lab) -> None:
    async with lab.open(lab.workflow(review())) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        with pytest.raises(InputError) as refused:
            await engine.resume(parked.waits[0].id, Answer({"approved": "perhaps"}))
        assert refused.value.code == "AF-WAIT-INVALID"
        assert "approved" in (refused.value.why or "")
        still = await lab.look(engine, parked.run.id)
        assert (still.state, still.waits) == ("input-required", parked.waits)
        await engine.resume(parked.waits[0].id, Answer({"approved": True}))
        assert (await lab.finish(engine, parked.run)).state == "completed"


@pytest.mark.case("D-WAIT-8")
async def test_the_same_answer_twice_is_fine_and_another_one_is_a_conflict(lab: Lab) -> None:
    async with lab.open(lab.workflow(review(), review("next"))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        wait = parked.waits[0].id
        await engine.resume(wait, Answer({"approved": True}), by="ana")
        again = await engine.resume(wait, Answer({"approved": True}), by="bob")
        assert again.by == "ana"
        with pytest.raises(ConflictError) as conflict:
            await engine.resume(wait, Answer({"approved": False}))
        assert conflict.value.code == "AF-WAIT-CONFLICT"
        assert "ana" in conflict.value.what
        done = await lab.finish(engine, parked.run)
        assert (done.results["review"], done.state) == ({"approved": True}, "input-required")


@pytest.mark.case("D-WAIT-8")
async def test_of_many_answers_at_once_exactly_one_wins(lab: Lab) -> None:
    outcomes: list[str] = []
    async with lab.open(lab.workflow(wait_for_input("pick", message="Which?"))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))

        async def answer(number: int) -> None:
            try:
                await engine.resume(parked.waits[0].id, Answer(number))
            except ConflictError:
                outcomes.append("conflict")
            else:
                outcomes.append(f"won {number}")

        with anyio.fail_after(LIMIT):
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(answer, number)
        done = await lab.finish(engine, parked.run)
    won = [outcome for outcome in outcomes if outcome != "conflict"]
    assert won == [f"won {done.output}"]


@pytest.mark.case("D-WAIT-9")
async def test_a_tools_holder_answers_a_run_that_nobody_holds_and_the_next_step_sees_plain_data(
    lab: Lab, tmp_path: Any
) -> None:
    """Through a second engine over the same file: what a new process does. HTTP is one more door to `resume`."""
    call = external_tool_call("look_up", tool_name="crm.find", input={"name": "{input.name}"})
    flow = lab.workflow(call, set_("after", value="{steps.look_up.id}"))
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        parked = await lab.finish(engine, await engine.start("main", {"name": "Ana"}))
        assert (parked.waits[0].kind, parked.run.holder) == ("tool", None)
        assert parked.waits[0].details == {"tool_name": "crm.find", "input": {"name": "Ana"}}
    async with lab.open(flow, store=tmp_path / "runs.db") as engine:
        await engine.resume(parked.waits[0].id, Answer({"id": 7}), door="api")
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", 7)


@pytest.mark.case("D-WAIT-12")
async def test_an_answer_in_the_very_moment_of_parking_is_not_lost(lab: Lab) -> None:
    """The park row and the wait's task are one commit: whoever can name the wait finds it open."""
    async with lab.open(lab.workflow(set_("one", value=1), review())) as engine:
        run = await engine.start("main")
        parked = await until(engine, run.id, "step_waiting")
        await engine.resume(parked.data["wait_task_id"], Answer({"approved": True}))
        done = await lab.finish(engine, run)
    assert done.state == "completed"


@pytest.mark.case("D-WAIT-13")
async def test_only_assignees_and_the_owner_may_see_and_answer_an_assigned_wait(lab: Lab) -> None:
    async with lab.open(lab.workflow(review(), id="main")) as engine:
        run = await engine.start(
            lab.workflow(wait_for_input("ok", message="?", assignees=["ana"]), id="b"), principal=Principal("olga")
        )
        parked = await lab.finish(engine, run)
        with pytest.raises(NotFoundError) as hidden:
            await engine.resume(parked.waits[0].id, Answer(True), principal=Principal("mallory"))
        assert hidden.value.code == "AF-WAIT-UNKNOWN"
        assert (await engine.resume(parked.waits[0].id, Answer(True), principal=Principal("ana"))).state == "completed"
        assert (await lab.finish(engine, run)).state == "completed"


async def test_the_inbox_shows_an_owner_only_waits_of_their_runs(lab: Lab) -> None:
    async with lab.open(lab.workflow(review())) as engine:
        for owner in ("ana", "bob"):
            await lab.finish(engine, await engine.start("main", principal=Principal(owner)))
        assert len(await engine.waits()) == 2
        assert [wait.owner for wait in await engine.waits(principal=Principal("bob"))] == ["bob"]


async def test_declining_fails_the_step_not_the_run(lab: Lab) -> None:
    flow = lab.workflow(review(on_error="continue"), set_("after", value="{run.steps.review.error.code}"))
    async with lab.open(flow) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.resume(parked.waits[0].id, Decline("no time"))
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", "AF-WAIT-DECLINED")
    assert (done.states["review"], done.reasons["review"]) == ("canceled", "tolerated")
    assert "no time" in done.errors["review"].message


async def test_cancelling_a_waits_task_declines_it_and_no_retry_asks_again(lab: Lab) -> None:
    async with lab.open(lab.workflow(review(retry=3))) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.waits[0].id)
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.errors["review"].code) == ("failed", "AF-WAIT-DECLINED")
    assert done.tries["review"] == 1


async def test_a_failure_is_for_tool_waits_and_fails_the_tools_step(lab: Lab) -> None:
    flow = lab.workflow(review(), external_tool_call("look_up", tool_name="crm.find"))
    async with lab.open(flow) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        with pytest.raises(InputError):
            await engine.resume(parked.run.id, ToolFailure("broken"))
        await engine.resume(parked.run.id, Answer({"approved": True}))
        asked = await lab.finish(engine, parked.run)
        await engine.resume(asked.run.id, ToolFailure("the CRM is down"))
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.errors["look_up"].code) == ("failed", "AF-TOOL-FAILED")
    assert "the CRM is down" in done.errors["look_up"].message


async def test_a_wait_that_nobody_answers_gives_its_default_else_it_fails_without_retry(lab: Lab) -> None:
    lab.clock = FakeClock(auto=False)
    with_default = await lab.run(review(timeout="2d", default={"approved": False}))
    assert with_default.state == "input-required"
    lab.clock = FakeClock()
    async with lab.open(
        lab.workflow(review(timeout=60, default={"approved": False}), review("two", timeout=60, retry=3))
    ) as engine:
        run = await engine.start("main")
        with anyio.fail_after(LIMIT):
            events = [event async for event in engine.subscribe(run.id)]
        done = await lab.look(engine, run.id)
    assert done.results["review"] == {"approved": False}
    assert (done.state, done.errors["two"].code, done.tries["two"]) == ("failed", "AF-WAIT-TIMEOUT", 1)
    assert events[-1].at - events[0].at == 120


async def test_a_run_is_working_while_a_time_is_to_come_and_waiting_when_only_answers_move_it(lab: Lab) -> None:
    flow = lab.workflow(review(), delay("later", for_=60), execution="parallel")
    async with lab.open(flow) as engine:
        run = await engine.start("main")
        parked = await lab.finish(engine, run)
        states = [event.data["state"] for event in parked.events if event.type == "run_status"]
    assert parked.states == {"review": "input-required", "later": "completed"}
    assert states == ["input-required"]
    assert parked.kinds.index("run_status") > parked.kinds.index("step_completed")


async def test_timeouts_of_a_wait_or_of_what_encloses_it_do_not_count_as_work(lab: Lab) -> None:
    box = sequence("box", steps=[review(timeout=3600)], timeout=7200)
    done = await by_hand(lab).run(box)
    assert (done.state, done.states["box"]) == ("input-required", "working")


async def test_every_open_wait_is_closed_when_the_run_ends(lab: Lab) -> None:
    flow = lab.workflow(parallel("both", steps=[review("a"), wait_for_event("b", topic="t")]))
    async with lab.open(flow) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.cancel(parked.run.id)
        done = await lab.finish(engine, parked.run)
        closed = [await engine.store.get_task(wait.id) for wait in parked.waits]
        with pytest.raises(AgentflowError) as late:
            await engine.resume(parked.waits[0].id, Answer({"approved": True}))
    assert (done.state, done.waits) == ("canceled", [])
    assert [view.task.state for view in closed if view is not None] == ["canceled", "canceled"]
    assert late.value.code == "AF-WAIT-CLOSED"


async def test_a_parked_run_has_no_holder_and_is_not_in_memory(lab: Lab) -> None:
    async with lab.open(lab.workflow(review())) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        assert parked.run.holder is None
        assert not engine.core.cache.trees
        assert (await only_wait(engine, parked.run.id)).step == "review"


async def test_an_answer_with_a_null_value_is_an_answer(lab: Lab) -> None:
    async with lab.open(
        lab.workflow(wait_for_input("any", message="?"), set_("after", value="{steps.any?}"))
    ) as engine:
        parked = await lab.finish(engine, await engine.start("main"))
        await engine.resume(parked.run.id, Answer(None))
        done = await lab.finish(engine, parked.run)
    assert (done.state, done.output) == ("completed", None)
