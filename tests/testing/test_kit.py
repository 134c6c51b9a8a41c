"""The test kit: workflows run in tests, with stubs, scripted answers and virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

import agentflow.testing
from agentflow.definition.models import Workflow
from agentflow.engine import Decline, WaitView
from agentflow.steps import (
    agent_run,
    delay,
    for_each,
    parallel,
    python,
    set_,
    tool_call,
    wait_for_event,
    wait_for_input,
)
from agentflow.testing import harness, in_turn

pytestmark = pytest.mark.anyio

CONFIG = """\
env: [TOKEN]
tools:
  send: {python: "mailer:send"}
python:
  modules: [mailer]
workflows:
  report:
    input: {day: string}
    steps:
      - {id: count, type: agent_run, agent: counter, prompt: "Count {input.day}"}
      - id: review
        type: wait_for_input
        message: "Send {steps.count.total}?"
        timeout: 3d
        default: {approved: false}
        schema: {type: object, properties: {approved: {type: boolean}}, required: [approved]}
      - id: send
        type: tool_call
        tool_name: send
        input: {total: "{steps.count.total}", key: "{env.TOKEN}"}
        if: "{steps.review.approved}"
        retry: {max_attempts: 3, base: 1h}
agents:
  counter: {python: "mailer:count"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "agentflow.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    return file


AGENTS = {"counter": {"total": 3}}


@pytest.mark.parametrize("mode", [{}, {"always_replay": True}, {"wire": True}], ids=["cached", "replayed", "wire"])
async def test_a_workflow_of_a_file_runs_with_stubs_and_scripted_answers(config: Path, mode: dict[str, Any]) -> None:
    tools = {"send": in_turn(ConnectionError("down"), {"sent": 3})}
    answers = {"review": {"approved": True}}
    async with harness(config, tools=tools, agents=AGENTS, answers=answers, env={"TOKEN": "t0"}, **mode) as h:
        run = await h.run("report", {"day": "monday"})
        run.completed(output={"sent": 3})
        assert run.step("send").attempts == 2
        assert h.calls("send") == [{"total": 3, "key": "t0"}] * 2
        assert h.calls("counter")[0]["prompt"] == "Count monday"
        assert run.started == ["count", "send", "send"]


async def test_an_unanswered_wait_leaves_the_run_parked_and_time_stands_still(config: Path) -> None:
    async with harness(config, agents=AGENTS, tools={"send": 1}, env={"TOKEN": ""}) as h:
        begin = h.now
        run = (await h.run(input={"day": "monday"})).waiting("review")
        assert run.wait("review").message == "Send 3?"
        assert h.now == begin
        (await h.answer(run, "review", {"approved": True})).completed(output=1)


async def test_time_that_passes_gives_a_wait_its_default(config: Path) -> None:
    async with harness(config, agents=AGENTS, tools={"send": 1}, env={"TOKEN": ""}) as h:
        run = await h.run(input={"day": "monday"})
        await h.advance("2d")
        (await h.settled(run)).waiting("review")
        await h.advance("1d")
        run = (await h.settled(run)).completed(output=None)
        run.step("send").skipped("condition")


async def test_answers_may_come_from_a_list_a_function_or_be_a_refusal() -> None:
    def by_message(wait: WaitView) -> str:
        return wait.message.upper()

    steps = [wait_for_input("a", message="first"), wait_for_input("b", message="second", on_error="continue")]
    loop = for_each("all", in_=[1, 2], steps=[wait_for_input("ask", message="{item}")], max_parallel=1)
    answers = {"a": by_message, "b": Decline("no"), "ask": [10, 20]}
    async with harness(Workflow(id="w", steps=(*steps, loop)), answers=answers) as h:
        run = (await h.run()).completed(output=[{"ask": 10}, {"ask": 20}])
        run.step("a").completed("FIRST")
        run.step("b").skipped("tolerated")


async def test_a_list_that_is_used_up_leaves_the_next_wait_open() -> None:
    loop = for_each("all", in_=[1, 2], steps=[wait_for_input("ask", message="{item}")], max_parallel=1)
    async with harness(Workflow(id="w", steps=(loop,)), answers={"ask": [10]}) as h:
        run = (await h.run()).waiting("all[1]/ask")
        h.script("ask", 20)
        (await h.settled(run)).completed()


async def test_an_answer_beside_a_delay_is_given_before_time_moves() -> None:
    steps = parallel(
        "both", steps=[delay("later", for_="10d"), wait_for_input("ask", message="?", timeout="5d", default="late")]
    )
    async with harness(Workflow(id="w", steps=(steps,)), answers={"ask": "in time"}) as h:
        (await h.run()).completed(output={"later": {}, "ask": "in time"})


async def test_functions_are_stubbed_by_name_and_events_are_published() -> None:
    async def load(day: str) -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        return {"day": day}

    workflow = Workflow(
        id="w",
        steps=(python("load", function="db:load", input={"day": "monday"}), wait_for_event("paid", topic="paid")),
    )
    async with harness(workflow, functions={"db:load": load}) as h:
        run = (await h.run()).waiting("paid")
        run.step("load").completed({"day": "monday"})
        assert await h.publish("paid", {"amount": 3}) == 1
        (await h.settled(run)).completed({"amount": 3})
        assert h.calls("db:load") == [{"day": "monday"}]


async def test_a_failed_assertion_names_the_step_its_state_and_its_error() -> None:
    workflow = Workflow(
        id="w",
        steps=(set_("first", value=1), tool_call("send", tool_name="send"), set_("last", value=2)),
    )
    async with harness(workflow, tools={"send": RuntimeError("upstream down")}, skills=["native:python"]) as h:
        run = await h.run()
    with pytest.raises(AssertionError) as caught:
        run.completed()
    assert str(caught.value).splitlines() == [
        'run "w" is failed (AF-TOOL-FAILED at step "send": RuntimeError: upstream down), not completed',
        "  first  completed",
        "  send   failed                        AF-TOOL-FAILED: RuntimeError: upstream down",
        "  last   submitted                     not run: send failed",
    ]
    with pytest.raises(AssertionError, match='step "send" is failed, not completed'):
        run.step("send").completed()
    with pytest.raises(AssertionError, match='which doesn\'t contain "disk"'):
        run.failed(match="disk")
    with pytest.raises(AssertionError, match=r'no step "sent": did you mean "send"\?'):
        run.step("sent")
    run.failed("AF-TOOL-FAILED", match="down", step="send").step("last").not_reached()


async def test_a_run_that_hangs_fails_the_test_and_shows_where() -> None:
    workflow = Workflow(id="w", steps=(agent_run("think", agent="slow", prompt="?"),))
    async with harness(workflow, agents={"slow": anyio.sleep_forever}, limit=0.05) as h:
        with pytest.raises(AssertionError, match=r'(?s)run "w" is working still.*think  working'):
            await h.run()


async def test_a_run_that_nothing_can_carry_on_fails_the_test_without_waiting_for_any_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workflow = Workflow(id="w", steps=(delay("nap", for_="1h"),))
    async with harness(workflow, limit=float("inf")) as h:
        monkeypatch.setattr(h.engine.store, "next_due", _never)
        with pytest.raises(AssertionError, match="working still, and nothing is left"):
            await h.run()


async def _never(*_: object) -> None:
    """Tell that no timer is due: one was lost."""


async def test_a_step_that_hangs_times_out_when_time_passes() -> None:
    workflow = Workflow(id="w", steps=(python("hang", function="m:hang", timeout="1m"),))
    async with harness(workflow, functions={"m:hang": anyio.sleep_forever}) as h:
        run = await h.engine.start("w")
        await h.advance("61s")
        (await h.settled(run.id)).failed("AF-TIMEOUT", step="hang")


async def test_a_scripted_answer_that_does_not_fit_says_so(config: Path) -> None:
    async with harness(config, agents=AGENTS, answers={"review": {"approved": "yes"}}, env={"TOKEN": ""}) as h:
        with pytest.raises(AssertionError, match='the scripted answer of "review": the answer doesn\'t fit'):
            await h.run(input={"day": "monday"})


def test_names_are_loaded_on_first_use() -> None:
    assert set(agentflow.testing.__all__) <= set(dir(agentflow.testing))
    assert all(getattr(agentflow.testing, name) for name in agentflow.testing.__all__)
    assert not hasattr(agentflow.testing, "nope")
