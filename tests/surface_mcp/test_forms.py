"""Clients that show forms are asked while their call is open; whatever their users do, nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, ElicitRequestParams, ElicitResult, InputRequiredResult

from agentflow_mcp.asking import form, plain_choices
from tests.surface_mcp.served import LIMIT, Shop, call, text_of

pytestmark = pytest.mark.anyio


class User:
    """Fills in forms as it is told, and remembers them."""

    def __init__(self, *replies: ElicitResult) -> None:
        """Give these replies, one after the other; then look at the form for ever."""
        self.replies = list(replies)
        self.asked: list[Any] = []
        self.looks = anyio.Event()

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Reply to a form."""
        self.asked.append(params)
        if not self.replies:
            self.looks.set()
            await anyio.sleep_forever()
        return self.replies.pop(0)


def accepted(**content: Any) -> ElicitResult:
    """Return a form that was filled in."""
    return ElicitResult(action="accept", content=content)


@pytest.fixture(scope="module")
def user() -> User:
    """Return who looks at the forms."""
    return User()


@pytest.fixture(scope="module")
async def client(shared: Shop, user: User) -> AsyncGenerator[Client]:
    """Return a client with forms, of the protocol's earlier era: it is asked while its call is open."""
    async with shared.client(mode="legacy", elicitation=user) as client:
        yield client


@pytest.fixture(scope="module")
async def modern(shared: Shop, user: User) -> AsyncGenerator[Client]:
    """Return a client with forms, of the later era: it gets what is asked, and calls again with the answers."""
    async with shared.client(mode="2026-07-28", elicitation=user) as client:
        yield client


async def test_a_form_is_asked_during_the_call_which_gives_the_result(client: Client, user: User) -> None:
    await _filled_in(client, user)


async def test_a_form_is_asked_between_the_rounds_of_a_call_which_gives_the_result(modern: Client, user: User) -> None:
    await _filled_in(modern, user)


async def _filled_in(client: Client, user: User) -> None:
    user.replies = [accepted(decision="approve")]
    result = await call(client, "approval", amount=9)
    assert result.structured_content == {"decision": "approve", "amount": 9}
    asked = user.asked[-1]
    assert asked.message == "Approve 9 EUR?"
    assert asked.requested_schema["properties"]["decision"] == {
        "type": "string",
        "enum": ["approve", "reject"],
        "oneOf": [{"const": "approve", "title": "approve"}, {"const": "reject", "title": "reject"}],
    }
    user.replies = [accepted(decision="approve", note="too long a note"), accepted(decision="reject", note="no")]
    again = await call(client, "approval", amount=1)
    assert again.structured_content == {"decision": "reject", "amount": 1}
    assert "That doesn't fit: note:" in user.asked[-1].message
    user.replies = [ElicitResult(action="decline")]
    declined = await call(client, "approval")
    assert declined.is_error
    assert "AF-WAIT-DECLINED" in text_of(declined)
    user.replies = [ElicitResult(action="cancel")]
    handle: Any = (await call(client, "approval")).structured_content
    assert handle["status"] == "input_required"
    user.replies = [accepted(decision="approve")]
    done: Any = (await call(client, "wait_workflow", task_id=handle["task_id"])).structured_content
    assert done["output"]["decision"] == "approve"


async def test_a_form_goes_away_when_somebody_else_answers(client: Client, user: User, shared: Shop) -> None:
    user.looks = anyio.Event()
    results: list[Any] = []

    async def ask() -> None:
        results.append(await call(client, "approval"))

    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await user.looks.wait()
            listed: Any = (await call(client, "list_waiting_steps")).structured_content
            wait = listed["waiting_for"][0]["task_id"]
            answered = await anyio.to_thread.run_sync(
                lambda: shared.command("waits", "answer", wait, "--set", "decision=reject")
            )
            assert answered.returncode == 0, answered.stderr
    assert results[0].structured_content == {"decision": "reject", "amount": 20}


async def test_a_call_that_its_client_gives_up_leaves_the_run_waiting(client: Client, user: User) -> None:
    user.looks = anyio.Event()
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, client, "approval")
            await user.looks.wait()
            tasks.cancel_scope.cancel()
        run = await _only(client)
        user.replies = [accepted(decision="approve")]
        done: Any = (await call(client, "wait_workflow", task_id=run["task_id"])).structured_content
    assert done["output"]["decision"] == "approve"


async def _only(client: Client) -> Any:
    listed: Any = (await call(client, "list_workflow_runs", status="input_required")).structured_content
    [run] = listed["runs"]
    return run


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {"type": "string"},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
    ],
)
def test_what_no_form_can_ask_is_left_to_the_handle(schema: Any) -> None:
    assert form(schema) is None


def test_a_form_keeps_what_clients_know_and_leaves_out_the_rest() -> None:
    schema = {
        "type": "object",
        "required": ["mail"],
        "properties": {
            "mail": {"type": "string", "format": "email", "pattern": ".+@.+", "description": "Where to"},
            "code": {"type": "string", "format": "regex"},
            "tags": {"type": "array"},
            "size": {"enum": ["s", "m"], "default": "m"},
        },
    }
    made = form(schema)
    assert made is not None
    assert made["properties"] == {
        "mail": {"type": "string", "description": "Where to", "format": "email"},
        "code": {"type": "string"},
        "size": {
            "type": "string",
            "default": "m",
            "enum": ["s", "m"],
            "oneOf": [{"const": "s", "title": "s"}, {"const": "m", "title": "m"}],
        },
    }
    plain: Callable[[Any], dict[str, Any]] = plain_choices
    assert plain(made)["properties"]["size"] == {"type": "string", "default": "m", "enum": ["s", "m"]}


async def test_what_a_round_brings_back_is_of_use_for_its_own_call_only(modern: Client, user: User) -> None:
    arguments = {"amount": 4}
    asked = await modern.session.call_tool("approval", arguments, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    assert asked.input_requests is not None
    [key] = asked.input_requests
    state = asked.request_state
    assert state is not None
    run = (await _only(modern))["task_id"]
    replies: Any = {key: accepted(decision="approve")}
    changed = state[:-5] + ("A" if state[-5] != "A" else "B") + state[-4:]
    for tool, given, brought in (
        ("approval", arguments, changed),
        ("approval", arguments, state[:-1]),
        ("approval", arguments, run),
        ("approval", arguments, "x"),
        ("approval", {"amount": 5}, state),
        ("approval", {}, state),
        ("failing", arguments, state),
    ):
        with pytest.raises(MCPError, match="Invalid or expired requestState") as caught:
            await modern.call_tool(tool, given, input_responses=replies, request_state=brought)
        assert caught.value.error.code == INVALID_PARAMS
        assert (await _only(modern))["task_id"] == run
    done = await modern.call_tool("approval", arguments, input_responses=replies, request_state=state)
    assert done.structured_content == {"decision": "approve", "amount": 4}
    again = await modern.call_tool("approval", arguments, input_responses=replies, request_state=state)
    assert again.structured_content == done.structured_content
