"""Alice's run is invisible to Bob, wherever a run can be named: in every tool, method, resource and stream there is.

What there is is found by looking at the server: what isn't in the tables here fails the tests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import mcp.types as types
import pytest
from mcp_types.methods import SPEC_CLIENT_METHODS

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.principal import Principal
from agentflow.server.app import create_app
from agentflow.server.who import Tokens
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.web import request

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:8745"
UNKNOWN = "01m8q0jcn2evg8qqrdxnsam8hj"
CONFIG = """\
name: shared
auth: {tokens: [{name: alice, value_env: ALICE}, {name: bob, value_env: BOB}]}
workflows:
  ask:
    steps:
      - id: s
        type: wait_for_input
        message: secret of alice
        schema: {type: object, properties: {n: {type: integer}}, required: [n]}
"""
TOKENS = {"ALICE": "alice-alice-alice-alice", "BOB": "bob-bob-bob-bob-bob-bob"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "cancel_workflow_run": {},
    "get_workflow_run": {},
    "list_waiting_steps": {},
    "resume_workflow": {"answer": {"n": 1}},
    "wait_workflow": {"timeout_s": 0},
}
"""What tools that take a task_id are given besides."""
LISTS = {"list_waiting_steps", "list_workflow_runs"}
NAMES_NO_RUN = {
    "completion/complete", "initialize", "ping", "prompts/get", "prompts/list", "resources/list",
    "resources/templates/list", "server/discover", "tools/call", "tools/list",
}  # fmt: skip
"""Methods that name no run; of tools/call the tools are looked at."""
NAMED: dict[str, Callable[[str], dict[str, Any]]] = {
    "resources/read": lambda run: {"uri": f"agentflow://runs/{run}"},
    "resources/subscribe": lambda run: {"uri": f"agentflow://runs/{run}"},
    "resources/unsubscribe": lambda run: {"uri": f"agentflow://runs/{run}"},
    "subscriptions/listen": lambda run: {
        "notifications": {"taskIds": [run], "resourceSubscriptions": [f"agentflow://runs/{run}"]}
    },
    "tasks/cancel": lambda run: {"taskId": run},
    "tasks/get": lambda run: {"taskId": run},
    "tasks/list": lambda run: {"cursor": run},
    "tasks/result": lambda run: {"taskId": run},
    "tasks/update": lambda run: {"taskId": run, "inputResponses": {run: {"action": "cancel"}}},
}
"""Methods that name a run, with their parameters."""
EARLIER = {"resources/subscribe", "resources/unsubscribe", "tasks/cancel", "tasks/get", "tasks/list", "tasks/result"}
"""Those of 2025-11-25."""


class Site:
    """A server with a run of Alice's."""

    def __init__(self, engine: Engine, browser: httpx.AsyncClient, run: str, wait: str) -> None:
        """Have a run with a wait."""
        self.engine = engine
        self.browser = browser
        self.run = run
        self.wait = wait

    async def post(self, who: str, method: str, params: dict[str, Any]) -> str:
        """Send a request of 2026-07-28; returns what comes back, whatever it is."""
        name = params.get("name", params.get("taskId", params.get("uri")))
        asked = request(method, params, tasks=True, name=name)
        asked["headers"]["Authorization"] = f"Bearer {TOKENS[who.upper()]}"
        answer = await self.browser.post("/mcp", **asked)
        return f"{answer.status_code} {answer.text}"

    async def call(self, who: str, tool: str, **arguments: Any) -> str:
        """Call a tool."""
        return await self.post(who, "tools/call", {"name": tool, "arguments": arguments})

    async def earlier(self, who: str, method: str, params: dict[str, Any]) -> str:
        """Send a request of 2025-11-25, in a session of its own."""
        hello = {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
        }  # fmt: skip
        headers = {
            "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {TOKENS[who.upper()]}",
        }  # fmt: skip
        first = await self._earlier(headers, "initialize", hello, 1)
        headers |= {"Mcp-Session-Id": first.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        await self._earlier(headers, "notifications/initialized", {}, None)
        return (await self._earlier(headers, method, params, 2)).text

    async def _earlier(
        self, headers: dict[str, str], method: str, params: dict[str, Any], number: int | None
    ) -> httpx.Response:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **({"id": number} if number else {})}
        return await self.browser.post("/mcp", headers=headers, json=message)


@asynccontextmanager
async def site() -> AsyncGenerator[Site]:
    """Start a run of Alice's at a server that knows both by their tokens."""
    config = load_text(CONFIG)
    async with Engine.open(":memory:", config=config) as engine:
        alice = Principal("alice")
        run = await engine.start("ask", principal=alice)
        await engine.wait(run.id, 30, principal=alice)
        [view] = await engine.waits(run.id, principal=alice)
        app = create_app(engine, url=URL, who=Tokens(config.auth.tokens, TOKENS))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL, timeout=60) as browser,
        ):
            yield Site(engine, browser, run.id, view.id)


def nameless(answer: str, task_id: str) -> str:
    """Return an answer without the id that it was asked with, and without what differs each time."""
    return "\n".join(line for line in answer.replace(task_id, "ID").splitlines() if not line.startswith((":", "id:")))


async def untouched(served: Site) -> None:
    """Check that nothing has happened to the run."""
    [view] = await served.engine.waits(served.run, principal=Principal("alice"))
    assert (view.id, view.generation) == (served.wait, 1)


async def test_every_tool_answers_for_anothers_run_as_for_one_that_is_not_there() -> None:
    named = {name for name, (tool, _) in CONTROLS.items() if "task_id" in tool.input_schema["properties"]}
    assert named == set(ARGUMENTS)
    async with site() as served:
        for tool, more in ARGUMENTS.items():
            unknown = nameless(await served.call("bob", tool, task_id=UNKNOWN, **more), UNKNOWN)
            assert '"isError":true' in unknown.replace(" ", "")
            for foreign in (served.run, served.wait):
                assert nameless(await served.call("bob", tool, task_id=foreign, **more), foreign) == unknown
        await untouched(served)
        assert "secret of alice" in await served.call("alice", "get_workflow_run", task_id=served.run)


async def test_no_list_shows_anothers_run() -> None:
    assert {name for name in CONTROLS if name.startswith("list_")} == LISTS
    async with site() as served:
        for tool in LISTS:
            assert served.run in await served.call("alice", tool)
            listed = await served.call("bob", tool)
            assert served.run not in listed
            assert served.wait not in listed
        assert served.run in await served.earlier("alice", "tasks/list", {})
        assert served.run not in await served.earlier("bob", "tasks/list", {})


async def test_every_method_answers_for_anothers_run_as_for_one_that_is_not_there() -> None:
    async with site() as served:
        server = make_server(Desk(served.engine, CONTROLS, hold=0), "looked at")
        methods = {*SPEC_CLIENT_METHODS, "tasks/get", "tasks/update", "tasks/cancel", "tasks/list", "tasks/result"}
        there = {name for name in methods if server.get_request_handler(name) is not None}
        assert there - NAMES_NO_RUN <= set(NAMED), "say here how it names a run, or that it names none"
        assert set(NAMED) <= there | EARLIER
        for method, params in NAMED.items():
            if method not in EARLIER - {"tasks/get", "tasks/cancel"}:
                unknown = nameless(await served.post("bob", method, params(UNKNOWN)), UNKNOWN)
                for foreign in (served.run, served.wait):
                    assert nameless(await served.post("bob", method, params(foreign)), foreign) == unknown
                    assert "secret of alice" not in unknown
            if method in EARLIER and method != "tasks/list":
                unknown = nameless(await served.earlier("bob", method, params(UNKNOWN)), UNKNOWN)
                foreign = nameless(await served.earlier("bob", method, params(served.run)), served.run)
                assert foreign == unknown
        await untouched(served)
        assert "secret of alice" in await served.post("alice", "tasks/get", {"taskId": served.run})
        mine = await served.post("alice", "resources/read", {"uri": f"agentflow://runs/{served.run}"})
        assert "secret of alice" in mine


async def test_every_template_of_runs_shows_nothing_of_anothers() -> None:
    async with site() as served:
        text = await served.post("bob", "resources/templates/list", {})
        listed = json.loads(text.partition(" ")[2])["result"]["resourceTemplates"]
        templates = {each["uriTemplate"] for each in listed if "task_id" in each["uriTemplate"]}
        assert templates == {"agentflow://runs/{task_id}"}


async def test_a_state_and_a_key_of_alices_are_of_no_use_to_bob() -> None:
    async with site() as served:
        asked = request("tools/call", {"name": "ask"})
        asked["headers"]["Authorization"] = f"Bearer {TOKENS['ALICE']}"
        asked["json"]["params"]["_meta"]["agentflow/idempotency-key"] = "k"
        state = (await served.browser.post("/mcp", **asked)).json()["result"]["requestState"]
        taken = await served.post("bob", "tools/call", {"name": "ask", "requestState": state, "inputResponses": {}})
        assert "Invalid or expired requestState" in taken
        assert str(types.INVALID_PARAMS) in taken
        asked["headers"]["Authorization"] = f"Bearer {TOKENS['BOB']}"
        await served.browser.post("/mcp", **asked)
        runs = {run.owner: run.id for run in await served.engine.list()}
        assert set(runs) == {"alice", "bob"}
