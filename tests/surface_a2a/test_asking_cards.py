"""An agent's card: where it is found, how long it is kept, whom it may send to; and what is sent with requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agentflow import load_config
from agentflow.cli.actions.online import check_online
from agentflow.errors import DefinitionError, StepError
from agentflow.extras import installing
from agentflow.steps.remote import AGENTS, Entry, load
from agentflow_a2a.client import agent as client
from agentflow_a2a.client.line import Line
from tests.surface_a2a.asking import asking, engine, error_of, written

pytestmark = pytest.mark.anyio
TIME = 30
MANY = 1024
REPLY = {"message": {"messageId": "1", "role": "ROLE_AGENT", "parts": [{"text": "hi"}]}}


class Agent:
    """An agent that answers everything with "hi"."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self.asked: list[Request] = []
        self.card: Any = {}
        self.code = 200

    async def answer(self, request: Request) -> Response:
        """Answer a request: for the card, or with a message."""
        self.asked.append(request)
        if request.method == "POST":
            return JSONResponse({"jsonrpc": "2.0", "id": "1", "result": REPLY})
        if request.headers.get("If-None-Match") == '"1"':
            return Response(status_code=304, headers={"Cache-Control": "no-cache"})
        return JSONResponse(self.card, self.code, {"ETag": '"1"', "Cache-Control": "no-cache"})


def card_of(url: str, **fields: Any) -> dict[str, Any]:
    """Return a card."""
    reached = [{"url": f"{url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]
    return {"name": "a", "version": "1", "supportedInterfaces": reached, "capabilities": {}, **fields}


@asynccontextmanager
async def serving(agent: Agent) -> AsyncGenerator[str]:
    """Serve an agent."""
    routes = [Route("/{path:path}", agent.answer, methods=["GET", "POST"])]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off")
    server, listening = uvicorn.Server(config), config.bind_socket()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    agent.card = card_of(url)
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listening])
        try:
            yield url
        finally:
            server.should_exit = True
    listening.close()


async def failed_with(folder: Path, config: str) -> Mapping[str, Any]:
    """Return why the run of a config fails."""
    async with engine(folder, config) as asker:
        return error_of(await asker.wait((await asker.start("main")).id))


async def test_its_token_and_headers_are_sent_with_every_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_TOKEN", "secret-of-the-desk")
    agent = Agent()
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            config = asking(
                url, token_env="DESK_TOKEN", headers='{X-Team: "{env.TEAM}"}', tenant="law",
                more="env: [DESK_TOKEN, {name: TEAM, public: true, default: red}]",
            )  # fmt: skip
            async with engine(tmp_path, config) as asker:
                run = await asker.wait((await asker.start("main")).id)
    assert run.output == {"output": "hi"}
    assert {(r.headers["Authorization"], r.headers["X-Team"]) for r in agent.asked} == {
        ("Bearer secret-of-the-desk", "red")
    }
    assert {request.url.path for request in agent.asked} == {"/.well-known/agent-card.json", "/rpc"}


async def test_of_a_large_card_no_more_is_read_than_a_card_may_have(tmp_path: Path) -> None:
    given = 0

    async def large() -> AsyncGenerator[bytes]:
        nonlocal given
        while given < MANY:
            given += 1
            await anyio.lowlevel.checkpoint()
            yield b" " * 65536

    async def answer(request: Request) -> Response:
        del request
        return StreamingResponse(large(), media_type="application/json")

    agent = Agent()
    agent.answer = answer
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            error = await failed_with(tmp_path, asking(url))
    assert error["code"] == "AF-AGENT-CARD"
    assert "answers with more than 1048576 bytes" in error["why"]
    assert given < MANY  # the network holds some on its way


async def test_the_credentials_of_a_connection_are_sent_and_its_address_may_be_a_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent()
    monkeypatch.setenv("DESK_KEY", "secret-of-the-desk")
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            monkeypatch.setenv("DESK_URL", url)
            more = """env: [DESK_KEY, {name: DESK_URL, public: true}]
connections: {"desk:key": {type: api_key, header: X-Key, key: "{env.DESK_KEY}"}}"""
            async with engine(tmp_path, asking("{env.DESK_URL}", connection='"desk:key"', more=more)) as asker:
                ended = await asker.wait((await asker.start("main")).id)
                assert ended.failure is not None
                assert ended.failure.code == "AF-NETWORK-DENIED"  # the config doesn't say itself that it is here
                assert "hosts: [" in f"{ended.failure.hint}"
            more += "\n"
            named = asking("{env.DESK_URL}", connection='"desk:key"', hosts="[127.0.0.1]", more=more)
            async with engine(tmp_path, named) as asker:
                assert (await asker.wait((await asker.start("main")).id)).output == {"output": "hi"}
    assert {request.headers["X-Key"] for request in agent.asked} == {"secret-of-the-desk"}


async def test_a_card_that_sends_requests_to_another_host_is_refused_unless_the_config_names_it(
    tmp_path: Path,
) -> None:
    """Whoever can change a card can't send tokens elsewhere, or requests to machines behind ours."""
    agent = Agent()
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            other = url.replace("127.0.0.1", "localhost")
            agent.card = card_of(other)
            error = await failed_with(tmp_path, asking(url))
            assert (error["code"], error["why"]) == (
                "AF-AGENT-CARD", f"its card sends requests to another host: {other.removeprefix('http://')}",
            )  # fmt: skip
            assert "hosts: [" in error["hint"]
            async with engine(tmp_path, asking(url, hosts="[localhost]")) as asker:
                assert (await asker.wait((await asker.start("main")).id)).output == {"output": "hi"}


@pytest.mark.parametrize(
    ("code", "card", "expected"),
    [
        (404, {}, "AF-AGENT-CARD"),
        (200, [1], "AF-AGENT-CARD"),
        (200, {"name": "a"}, "AF-AGENT-CARD"),
        (401, {}, "AF-AGENT-DENIED"),
        (503, {}, "AF-AGENT-UNREACHABLE"),
    ],
)
async def test_a_card_that_cant_be_used_fails_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, card: Any, expected: str
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.0)
    agent = Agent()
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            agent.code, agent.card = code, card
            assert (await failed_with(tmp_path, asking(url)))["code"] == expected


async def test_an_agent_that_isnt_there_fails_the_step_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.0)
    with anyio.fail_after(TIME):
        async with serving(Agent()) as url:
            pass
        error = await failed_with(tmp_path, asking(url))
    assert (error["code"], error["kind"], error["retryable"]) == ("AF-AGENT-UNREACHABLE", "network", True)


async def test_a_card_is_asked_for_again_by_its_tag(tmp_path: Path) -> None:
    agent = Agent()
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            line = Line(Entry("desk", {"url": f"{url}/other/card.json"}, lambda name: None))
            first = await line.transport()
            assert await line.transport() is first
            await line.aclose()
    assert [(r.url.path, r.headers.get("If-None-Match")) for r in agent.asked] == [
        ("/other/card.json", None), ("/other/card.json", '"1"'),
    ]  # fmt: skip


async def test_validate_looks_at_cards_when_it_is_to(tmp_path: Path) -> None:
    agent = Agent()
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            agent.card |= {"skills": [{"id": "review", "name": "r", "description": "", "tags": []}]}
            more = "env: [{name: NOWHERE, public: true, default: 'http://127.0.0.1:port'}]"
            found: list[list[str]] = []
            for skill, address in (
                ("review", url),
                ("revew", url),
                ("review", "http://127.0.0.1:1"),
                ("review", "{env.NOWHERE}"),
            ):
                config = load_config(written(tmp_path, asking(address, skill=skill, more=more)))
                found.append([f"{p.message} {p.hint}" for p in await to_thread.run_sync(check_online, config)])
    assert found[0] == []
    assert 'agent "desk" has no skill "revew"' in found[1][0]
    assert 'did you mean "review"?' in found[1][0]
    assert "can't be reached" in found[2][0]
    assert '"http://127.0.0.1:port" is no address' in found[3][0]


async def test_a_token_without_a_value_and_a_missing_package_are_told(tmp_path: Path) -> None:
    config = asking("http://127.0.0.1:9", token_env="NO_SUCH_TOKEN", more="env: [NO_SUCH_TOKEN]")
    error = await failed_with(tmp_path, config)
    assert (error["code"], error["hint"]) == ("AF-AGENT-DENIED", "set NO_SUCH_TOKEN")
    with pytest.raises(StepError) as caught:
        load(AGENTS, "carrier-pigeons", 'agent "desk"')
    assert (caught.value.code, caught.value.hint) == (
        "AF-INSTALL", installing("carrier-pigeons"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"token_env": "TOKEN"}, 'the variable "TOKEN" of its token isn\'t listed in env'),
        ({"token_env": "PUBLIC"}, 'the variable "PUBLIC" of its token is marked as public'),
        ({"token_env": "TOKEN", "headers": "{authorization: x}"}, "give one of token_env and the header Authorization"),
        ({"url": "desk"}, '"desk" is no address'),
    ],
)
def test_an_entry_that_cant_be_right_is_refused_when_the_config_loads(
    tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    more = "env: [{name: PUBLIC, public: true, default: x}]"
    told = {"url": "http://127.0.0.1:9", **fields}
    with pytest.raises(DefinitionError) as caught:
        load_config(written(tmp_path, asking(told.pop("url"), more=more, **told)))
    assert said in "\n".join(problem.message for problem in caught.value.problems)


async def test_what_is_too_deep_for_the_protocol_is_not_sent(tmp_path: Path) -> None:
    deep = "[" * 60 + "]" * 60
    step = f"{{id: ask, type: agent_run, agent: desk, input: {{deep: {deep}}}}}"
    agent = Agent()
    with anyio.fail_after(TIME):
        async with serving(agent) as url:
            error = await failed_with(tmp_path, asking(url, step=step))
    assert error["code"] == "AF-AGENT-REFUSED"
    assert error["why"].startswith("what it is asked has no form in the protocol: Message too deep")
    assert {request.method for request in agent.asked} == {"GET"}
