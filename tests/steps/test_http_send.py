"""Requests that no step asks for: the same rules, errors and limits hold for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import httpx
import pytest

from agentflow.errors import StepError
from agentflow.steps.http import Answer as Answered
from agentflow.steps.http import send
from agentflow.steps.http_client import guarded_client
from agentflow.steps.network import Policy
from tests.steps.calls import echo
from tests.steps.http_server import Answer, Request, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    async with guarded_client(Policy(private=True)) as client:
        yield client


async def test_what_was_sent_is_answered_with_data(client: httpx.AsyncClient) -> None:
    async with serve(echo) as server:
        with anyio.fail_after(60):
            answer = await send(client.build_request("PUT", f"{server.url}/push", json={"a": 1}), client)
    assert isinstance(answer, Answered)
    assert (answer.status, answer.body["method"], answer.body["target"]) == (200, "PUT", "/push")
    assert server.requests[0].json == {"a": 1}
    assert answer.headers["content-type"] == "application/json"


async def test_a_status_that_nobody_expects_says_whether_it_may_pass_and_when(client: httpx.AsyncClient) -> None:
    busy = Answer(status=503, body="later", headers={"Retry-After": "Thu, 01 Jan 1970 00:00:40 GMT"})
    async with serve(lambda _: busy) as server:
        request = client.build_request("GET", f"{server.url}/a?token=1")
        with pytest.raises(StepError) as caught:
            await send(request, client, now=lambda: 10.0)
        accepted = await send(request, client, expect=("503",))
    error = caught.value
    assert (error.code, error.retryable, error.retry_after, error.data) == (
        "AF-HTTP-STATUS",
        True,
        30.0,
        {"status": 503},
    )
    assert "token" not in str(error)
    assert error.hint is None
    assert accepted.body == "later"


async def test_credentials_stay_with_the_service_that_they_are_for(client: httpx.AsyncClient) -> None:
    async with serve(echo) as other:

        def go(_: Request) -> Answer:
            return Answer(status=307, headers={"Location": f"{other.url}/there"})

        async with serve(go) as server:
            headers = {"Authorization": "Bearer s3cr3t"}
            answer = await send(client.build_request("GET", server.url, headers=headers), client, redirects=1)
    assert answer.body["target"] == "/there"
    assert "authorization" not in answer.body["headers"]
    assert server.requests[0].headers["authorization"] == "Bearer s3cr3t"


async def test_an_address_that_the_rules_refuse_is_never_connected_to() -> None:
    async with serve(echo) as server, guarded_client(Policy()) as client:
        with pytest.raises(StepError) as caught:
            await send(client.build_request("GET", server.url), client)
        assert caught.value.code == "AF-NETWORK-DENIED"
        assert server.requests == []


async def test_a_server_that_hangs_up_is_no_answer(client: httpx.AsyncClient) -> None:
    async with serve(lambda _: Answer(raw=b"")) as server:
        with pytest.raises(StepError) as caught:
            await send(client.build_request("GET", f"{server.url}/a?token=1"), client)
    assert (caught.value.code, caught.value.kind) == ("AF-HTTP-NETWORK", "network")
    assert f"GET {server.url}/a got no answer" in str(caught.value)
