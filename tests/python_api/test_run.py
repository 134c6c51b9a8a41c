"""`agentflow.run`: a workflow from its start to its end, in memory or in a store, with a typed output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import agentflow
from agentflow import Answer, InputError, RunFailedError, WaitView, Workflow, run_sync
from agentflow.errors import AgentflowError
from agentflow.steps import delay, end, set_, wait_for_input, workflow

pytestmark = pytest.mark.anyio
HELLO = Workflow(
    id="hello",
    input={"name": "string"},
    steps=[set_("say", values={"text": "hello {input.name}", "length": 5})],
)
ASK = Workflow(
    id="ask",
    steps=[wait_for_input("review", message="Good?", schema=bool), set_("done", value="{steps.review}")],
)


class AsModel(BaseModel):
    text: str
    length: int


@dataclass
class AsDataclass:
    text: str
    length: int


class AsDict(TypedDict):
    text: str
    length: int


async def test_the_output_is_what_output_model_says() -> None:
    plain = await agentflow.run(HELLO, {"name": "Ada"})
    assert plain.output == {"text": "hello Ada", "length": 5}
    assert (await agentflow.run(HELLO, {"name": "Ada"}, output_model=AsModel)).output == AsModel(
        text="hello Ada", length=5
    )
    assert (await agentflow.run(HELLO, {"name": "Ada"}, output_model=AsDataclass)).output.text == "hello Ada"
    assert (await agentflow.run(HELLO, {"name": "Ada"}, output_model=AsDict)).output["length"] == 5
    assert plain.output_as(AsDataclass) == AsDataclass("hello Ada", 5)


async def test_an_output_that_does_not_fit_names_what_does_not() -> None:
    with pytest.raises(InputError) as caught:
        await agentflow.run(Workflow(id="w", steps=set_("a", values={"text": "x"})), output_model=AsModel)
    assert str(caught.value) == 'the output of workflow "w" doesn\'t fit AsModel: length: Field required'
    assert caught.value.code == "AF-OUTPUT-INVALID"


async def test_waits_are_answered_by_value_or_by_a_function_of_the_wait() -> None:
    asked: list[str] = []

    async def answer(wait: WaitView) -> Answer:
        asked.append(wait.message)
        return Answer(True)

    assert (await agentflow.run(ASK, answers={"review": False})).output is False
    assert (await agentflow.run(ASK, answers={"review": answer})).output is True
    assert asked == ["Good?"]


async def test_a_run_that_waits_is_kept_in_a_store_and_goes_on_under_its_key(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    parked = await agentflow.run(ASK, store=store, idempotency_key="monday")
    assert parked.waiting
    done = await agentflow.run(ASK, store=store, idempotency_key="monday", answers={"review": True})
    assert (done.id, done.output) == (parked.id, True)
    again = await agentflow.run(ASK, store=store, idempotency_key="monday")
    assert (again.id, again.output) == (parked.id, True)


async def test_a_run_in_memory_that_waits_says_that_it_ends_here() -> None:
    with pytest.raises(RunFailedError) as caught:
        await agentflow.run(ASK)
    assert str(caught.value) == 'the run of "ask" waits for an answer, and a run in memory ends here'
    assert caught.value.hint == 'answers={"review": …}, or store="runs.db"'
    assert (await agentflow.run(ASK, check=False)).waiting


async def test_a_run_that_fails_is_raised_or_returned() -> None:
    flow = Workflow(id="w", steps=[end("no", state="rejected", message="not today")])
    failing = Workflow(id="w", steps=[set_("a", value="{input.n}")])
    with pytest.raises(RunFailedError) as caught:
        await agentflow.run(failing, {})
    assert str(caught.value).startswith('the run of "w" failed at step "a": ')
    assert caught.value.run.state == "failed"
    assert (await agentflow.run(failing, {}, check=False)).state == "failed"
    with pytest.raises(RunFailedError):
        await agentflow.run(flow)


async def test_a_run_that_takes_too_long_is_cancelled(tmp_path: Path) -> None:
    flow = Workflow(id="w", steps=[delay("d", for_="1h")])
    with pytest.raises(TimeoutError, match="took longer than"):
        await agentflow.run(flow, store=tmp_path / "runs.db", idempotency_key="k", timeout=0.05)
    stored = await agentflow.run(flow, store=tmp_path / "runs.db", idempotency_key="k", check=False)
    assert stored.state == "canceled"


async def test_a_workflow_calls_another_that_is_given_beside_it() -> None:
    parent = Workflow(id="parent", steps=[workflow("call", workflow=HELLO, input={"name": "Bob"})])
    assert (await agentflow.run(parent, workflows=[HELLO])).output["text"] == "hello Bob"


def test_without_async_it_is_one_call() -> None:
    assert run_sync(agentflow.run, HELLO, {"name": "Ada"}).output["text"] == "hello Ada"
    assert run_sync(agentflow.run, HELLO, {"name": "Ada"}, output_model=AsModel).output.length == 5


def test_a_coroutine_given_to_run_sync_is_told() -> None:
    wrong: Any = agentflow.run(HELLO, {"name": "Ada"})
    with pytest.raises(AgentflowError) as caught:
        run_sync(wrong)
    assert str(caught.value) == "run_sync takes an async function, not an object of coroutine"
    assert caught.value.hint == "run_sync(main), not run_sync(main())"
