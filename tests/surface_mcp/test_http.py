"""MCP over HTTP: whom it serves, what it refuses, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequestParams, ElicitResult

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.server import create_app
from tests.surface_mcp.served import CONFIG, LIMIT, call
from tests.surface_mcp.test_tasks import Follows, Handle, ask
from tests.surface_mcp.web import MODERN, Web, request

pytestmark = pytest.mark.anyio
ERAS = [MODERN, "legacy"]
TOKENS = f"""
auth:
  tokens:
    - {{name: ann, value_env: ANN_TOKEN}}
    - {{name: bob, sha256: {sha256(b"of bob").hexdigest()}}}
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server that the tests of this module share."""
    made = Web(tmp_path_factory.mktemp("web"))
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server that asks for tokens."""
    made = Web(tmp_path_factory.mktemp("guarded"), config=CONFIG + TOKENS, env={"ANN_TOKEN": "of ann"})
    yield made
    assert made.stop() == 0


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Starts servers in one folder; none outlives the test."""
    started: list[Web] = []

    def start(*words: str, **fields: Any) -> Web:
        started.append(Web(tmp_path, *words, **fields))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_without_any_capability_starts_answers_and_reads_a_run(web: Web, mode: str) -> None:
    async with web.client(mode=mode) as client:
        assert "approval" in [tool.name for tool in (await client.list_tools()).tools]
        assert (await call(client, "greet", name="Ann")).structured_content == {"text": "hello Ann"}
        asked: Any = (await call(client, "approval", amount=5)).structured_content
        wait = asked["waiting_for"][0]["task_id"]
        done: Any = (
            await call(client, "resume_workflow", task_id=wait, answer={"decision": "approve"})
        ).structured_content
        assert done["output"] == {"decision": "approve", "amount": 5}


async def _approves(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"decision": "approve"})


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_with_forms_is_asked_and_gets_the_result(web: Web, mode: str) -> None:
    async with web.client(mode=mode, elicitation=_approves) as client:
        done: Any = await call(client, "approval", amount=6)
    assert done.structured_content == {"decision": "approve", "amount": 6}


async def test_a_client_with_tasks_follows_the_run_and_answers_it(web: Web) -> None:
    async with web.client(elicitation=_approves, extensions=[Follows()]) as client:
        task = await client.session.call_tool("approval", {"amount": 6}, allow_claimed=True)
        assert isinstance(task, Handle)
        asked = await ask(client, "tasks/get", task.task_id)
        [key] = asked["inputRequests"]
        reply = {"action": "accept", "content": {"decision": "approve"}}
        await ask(client, "tasks/update", task.task_id, {key: reply})
        await call(client, "wait_workflow", task_id=task.task_id)
        done = await ask(client, "tasks/get", task.task_id)
    assert (done["status"], done["result"]["structuredContent"]["amount"]) == ("completed", 6)


def _without(asked: dict[str, Any], *headers: str, **more: str) -> dict[str, Any]:
    kept = {name: value for name, value in asked["headers"].items() if name not in headers}
    return {**asked, "headers": {**kept, **more}}


RUNS = request("tools/call", {"name": "list_workflow_runs", "arguments": {}})
GREET = request("tools/call", {"name": "greet", "arguments": {"name": "Bob"}})
JSON = {"Content-Type": "application/json"}
DEEP = f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"[" * 500}{"]" * 500}}}'
BAD: dict[str, tuple[dict[str, Any], int, int | None]] = {
    "a body that is too large": ({**GREET, "json": {"fill": "x" * (8 << 20)}}, 413, -32600),
    "JSON that is too deep": ({"headers": {**GREET["headers"], **JSON}, "content": DEEP}, 400, -32700),
    "no JSON": ({"headers": {**GREET["headers"], **JSON}, "content": "{"}, 400, -32700),
    "a list of requests": ({**GREET, "json": [GREET["json"]]}, 400, -32600),
    "no method": ({**GREET, "json": {"jsonrpc": "2.0", "id": 1}}, 400, -32600),
    "another name in the header": (_without(GREET, **{"Mcp-Name": "approval"}), 400, -32020),
    "no name in the header": (_without(GREET, "Mcp-Name"), 400, -32020),
    "another method in the header": (_without(GREET, **{"Mcp-Method": "tools/list"}), 400, -32020),
    "a version that nobody speaks": (_without(GREET, **{"MCP-Protocol-Version": "2099-01-01"}), 400, -32020),
    "no accepted answer": (_without(GREET, Accept="text/html"), 406, None),
    "another content type": (_without(GREET, **{"Content-Type": "text/plain"}), 400, None),
    "another site's page": (_without(GREET, Origin="https://evil.example"), 403, None),
    "another site's name": (_without(GREET, Host="evil.example"), 403, None),
    "a tool that there isn't": (request("tools/call", {"name": "nobody"}), 400, -32602),
    "a method that there isn't": (request("tools/make", {}), 404, -32601),
    "arguments that are no object": (request("tools/call", {"name": "greet", "arguments": [1]}), 400, -32602),
    "a task that there isn't": (request("tasks/get", {"taskId": "nobody"}, tasks=True), 400, -32602),
    "a task without the capability": (request("tasks/get", {"taskId": "nobody"}), 400, -32021),
    "another task in the header": (request("tasks/get", {"taskId": "nobody"}, tasks=True, name="other"), 400, -32020),
    "a state that nobody has given": (
        request("tools/call", {"name": "greet", "arguments": {}, "requestState": "x", "inputResponses": {}}),
        400, -32602,
    ),
    "a resource that there isn't": (
        request("resources/read", {"uri": "agentflow://runs/nobody"}, name="agentflow://runs/nobody"), 400, -32602,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
async def test_bad_input_is_refused_by_the_protocol_s_error_and_starts_nothing(web: Web, what: str) -> None:
    asked, status, code = BAD[what]
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        before = (await http.post(f"{web.url}/mcp", **RUNS)).json()["result"]["structuredContent"]
        answer = await http.post(f"{web.url}/mcp", **asked)
        assert answer.status_code == status, answer.text
        if code is not None:
            assert answer.json()["error"]["code"] == code
        assert (await http.post(f"{web.url}/mcp", **RUNS)).json()["result"]["structuredContent"] == before


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_this_machine_is_served_by_each_of_its_names(web: Web, host: str) -> None:
    url = web.url.replace("127.0.0.1", host)
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.post(f"{url}/mcp", **GREET)
    assert (answer.status_code, answer.json()["result"]["structuredContent"]) == (200, {"text": "hello Bob"})


async def test_arguments_that_do_not_fit_are_an_error_that_the_model_reads(web: Web) -> None:
    async with web.client() as client:
        refused: Any = await call(client, "greet", name="x" * 21)
    assert (refused.is_error, refused.structured_content["error"]["code"]) == (True, "AF-INPUT-INVALID")


async def test_who_brings_no_token_is_told_to_and_nobody_sees_another_s_runs(guarded: Web) -> None:
    web = guarded
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        for headers in ({}, {"Authorization": "Bearer of nobody"}):
            refused = await http.post(f"{web.url}/mcp", headers={**GREET["headers"], **headers}, json=GREET["json"])
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    for mode in ERAS:
        async with web.client(mode=mode, token="of ann") as ann, web.client(mode=mode, token="of bob") as bob:
            asked: Any = (await call(ann, "approval")).structured_content
            run, wait = asked["task_id"], asked["waiting_for"][0]["task_id"]
            calls: list[tuple[str, dict[str, Any]]] = [
                ("get_workflow_run", {"task_id": run}),
                ("wait_workflow", {"task_id": run, "timeout_s": 0}),
                ("cancel_workflow_run", {"task_id": run}),
                ("resume_workflow", {"task_id": wait, "answer": {"decision": "approve"}}),
            ]
            for tool, arguments in calls:
                refused: Any = (await call(bob, tool, **arguments)).structured_content
                unknown: Any = (await call(bob, tool, **{**arguments, "task_id": "nobody"})).structured_content
                assert str(refused["error"]).replace(arguments["task_id"], "nobody") == str(unknown["error"])
            listed: Any = (await call(bob, "list_workflow_runs")).structured_content
            waits: Any = (await call(bob, "list_waiting_steps")).structured_content
            assert (listed["runs"], waits["waiting_for"]) == ([], [])
            with pytest.raises(MCPError, match="Resource not found"):
                await bob.read_resource(f"agentflow://runs/{run}")
            done: Any = await call(ann, "resume_workflow", task_id=wait, answer={"decision": "reject"})
            assert done.structured_content["status"] == "completed"
    async with (
        web.client(token="of ann", extensions=[Follows()]) as ann,
        web.client(token="of bob", extensions=[Follows()]) as bob,
    ):
        task = await ann.session.call_tool("slow", {}, allow_claimed=True)
        assert isinstance(task, Handle)
        for method in ("tasks/get", "tasks/cancel"):
            with pytest.raises(MCPError, match="Task not found"):
                await ask(bob, method, task.task_id)
        assert (await ask(ann, "tasks/get", task.task_id))["status"] == "working"


async def test_a_session_is_its_opener_s(guarded: Web) -> None:
    web = guarded
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
        },
    }  # fmt: skip
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer of ann"}
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        opened = await http.post(f"{web.url}/mcp", headers=headers, json=hello)
        headers |= {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25"}
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        other = {**headers, "Authorization": "Bearer of bob"}
        assert (await http.post(f"{web.url}/mcp", headers=other, json=ping)).status_code == 404
        assert (await http.post(f"{web.url}/mcp", headers=headers, json=ping)).status_code == 200


@pytest.mark.parametrize("mode", [MODERN, pytest.param("legacy", marks=pytest.mark.slow)])
async def test_who_waits_for_a_run_gets_its_handle_when_the_server_ends(serve: Callable[..., Web], mode: str) -> None:
    web = serve()
    found: list[Any] = []
    runs: list[Any] = []
    with anyio.fail_after(LIMIT):
        async with web.client(mode=mode) as client, web.client() as other:
            await client.list_tools()  # or the client does that when it has the result, which is too late

            async def wait() -> None:
                found.append((await call(client, "slow")).structured_content)

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                while not runs:
                    listed: Any = (await call(other, "list_workflow_runs")).structured_content
                    runs += listed["runs"]
                assert await anyio.to_thread.run_sync(web.stop) == 0
    assert (found[0]["status"], found[0]["task_id"]) == ("working", runs[0]["task_id"])


async def test_each_of_several_configs_has_tools_of_its_own_and_the_first_stands_at_the_root(
    serve: Callable[..., Web], tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("name: other\nworkflows: {tell: {steps: [{id: a, type: set, value: me}]}}\n", "utf-8")
    web = serve("agentflow.yaml", str(other))
    assert web.told["agents"]["other"]["MCP"] == f"{web.url}/agents/other/mcp"
    names: dict[str, bool] = {}
    for path in ("/mcp", "/agents/shop/mcp", "/agents/other/mcp"):
        async with web.client(path) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            names[path] = "tell" in tools
            assert ("greet" in tools) != names[path]
    assert names == {"/mcp": False, "/agents/shop/mcp": False, "/agents/other/mcp": True}


async def test_an_app_that_is_mounted_without_its_lifespan_says_so() -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG.replace("python: {modules: [shop]}\n", ""))) as engine:
        app = create_app(engine)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            refused = await http.post("/mcp", **GREET)
            assert (refused.status_code, "lifespan_context" in refused.text) == (503, True)
            async with app.router.lifespan_context(app):
                answer = await http.post("/mcp", **GREET)
    assert json.loads(answer.text)["result"]["structuredContent"] == {"text": "hello Bob"}
