"""What is answered without the SDK in between is answered in the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import httpx
import pytest
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.server import create_app
from agentflow.store.rows import RunQuery
from tests.surface_mcp.served import LIMIT
from tests.surface_mcp.web import request

pytestmark = pytest.mark.anyio
UNUSUAL = "application/json, text/event-stream, */*"
"""Means the same, and isn't what clients send: the SDK answers."""
CONFIG = """
name: direct
workflows:
  echo:
    input: {text: string}
    steps: [{id: say, type: set, values: {text: "{input.text}", none: null, float: 1.0, many: [1, null, {a: null}]}}]
  plain:
    steps: [{id: say, type: set, values: {text: "é \\ud83d\\ude00 </script>"}}]
    output: "{steps.say.text}"
  failing:
    input: {data: object}
    steps: [{id: say, type: set, values: {text: "{input.data.more}"}}]
  asks:
    steps: [{id: ask, type: wait_for_input, message: "And?", schema: {type: object, properties: {a: {type: string}}}}]
  tasked:
    mcp: {mode: task}
    steps: [{id: say, type: set, values: {text: hello}}]
  routed:
    input_schema: {type: object, properties: {place: {type: string, x-mcp-header: Place}}}
    steps: [{id: say, type: set, values: {text: "{input.place}"}}]
"""
_ID = re.compile(r"01[0-9a-z]{24}")
_STATE = re.compile(r'(?<="requestState":)"[^"]+"')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


class Row(NamedTuple):
    """A request, and how it is answered."""

    asked: Mapping[str, Any]
    direct: bool = True
    body: str = ""
    """What is posted instead of its JSON."""


def _call(name: str, tasks: bool = False, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", {"name": name, "arguments": arguments}, tasks=tasks)


def _with(asked: Mapping[str, Any], meta: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a request with another envelope, or more in its `_meta`."""
    body = {**asked["json"], **fields}
    if meta is not None:
        body["params"] = {**body["params"], "_meta": {**body["params"]["_meta"], **meta}}
    return {**asked, "json": body}


def _header(asked: Mapping[str, Any], **headers: str) -> dict[str, Any]:
    return {**asked, "headers": {**asked["headers"], **{name.replace("_", "-"): v for name, v in headers.items()}}}


ECHO = _call("echo", text="hello")
TEXT = json.dumps(ECHO["json"])
PREFIX = "io.modelcontextprotocol/"
ROWS: Mapping[str, Row] = {
    "result": Row(ECHO),
    "text-of-all-kinds": Row(_call("echo", text='"\u2028é😀\x00\\ error[AF-X]: task_id')),
    "result-that-is-no-object": Row(_call("plain")),
    "no-arguments": Row(request("tools/call", {"name": "plain"})),
    "id-that-is-a-text": Row(_with(ECHO, id="a é")),
    "failed": Row(_call("failing", data={})),
    "arguments-that-dont-fit": Row(_call("echo", text=7)),
    "unknown-argument": Row(_call("echo", text="x", other=1)),
    "number-that-is-none": Row(ECHO, body=TEXT.replace('"hello"', "NaN")),
    "key": Row(_with(ECHO, {"agentflow/idempotency-key": "k"})),
    "key-of-other-input": Row(_with(_call("echo", text="x"), {"agentflow/idempotency-key": "k"})),
    "progress": Row(_with(ECHO, {"progressToken": 7})),
    "task-that-has-ended": Row(_call("tasked", tasks=True)),
    "no-name-of-client": Row(_with(ECHO, {f"{PREFIX}clientInfo": None})),
    "key-that-is-none": Row(_with(ECHO, {"agentflow/idempotency-key": ""}), direct=False),
    "more-in-meta": Row(_with(ECHO, {"x/y": 1}), direct=False),
    "progress-token-that-is-none": Row(_with(ECHO, {"progressToken": [1]}), direct=False),
    "capabilities-that-are-none": Row(_with(ECHO, {f"{PREFIX}clientCapabilities": {"elicitation": 7}}), direct=False),
    "other-version": Row(_with(ECHO, {f"{PREFIX}protocolVersion": "2099-01-01"}), direct=False),
    "no-task-taken": Row(_call("tasked"), direct=False),
    "unknown-tool": Row(_call("nothing"), direct=False),
    "control": Row(_call("list_workflow_runs", workflow="nothing"), direct=False),
    "id-that-is-none": Row(_with(ECHO, id=None), direct=False),
    "id-that-is-a-truth": Row(_with(ECHO, id=True), direct=False),
    "id-that-is-a-fraction": Row(_with(ECHO, id=1.5), direct=False),
    "other-json-rpc": Row(_with(ECHO, jsonrpc="1.0"), direct=False),
    "more-in-envelope": Row(_with(ECHO, more=1), direct=False),
    "arguments-that-are-a-list": Row(request("tools/call", {"name": "echo", "arguments": []}), direct=False),
    "state-of-nothing": Row(request("tools/call", {"name": "echo", "requestState": "x"}), direct=False),
    "half-a-character": Row(_call("echo", text="\ud800"), direct=False),
    "batch": Row(ECHO, direct=False, body=f"[{TEXT}]"),
    "no-json": Row(ECHO, direct=False, body="{"),
    "other-name-in-header": Row(_header(ECHO, Mcp_Name="plain"), direct=False),
    "other-method-in-header": Row(_header(ECHO, Mcp_Method="tools/list"), direct=False),
    "other-version-in-header": Row(_header(ECHO, MCP_Protocol_Version="2099-01-01"), direct=False),
    "other-content": Row(_header(ECHO, Content_Type="text/plain"), direct=False, body=TEXT),
    "header-of-argument": Row(_header(_call("routed", place="here"), Mcp_Param_Place="here"), direct=False),
    "header-of-other-argument": Row(_header(_call("routed", place="here"), Mcp_Param_Place="there"), direct=False),
    "unknown-task": Row(request("tasks/get", {"taskId": "01m8qrfj35excasycebv1vy87h"}, tasks=True), direct=False),
    "task-without-tasks": Row(request("tasks/get", {"taskId": "01m8qrfj35excasycebv1vy87h"}), direct=False),
}


class Served:
    """The app, and how often the SDK was asked."""

    def __init__(self, engine: Engine, http: httpx.AsyncClient) -> None:
        self.engine = engine
        self.sdk = 0
        self._http = http

    async def post(self, row: Row, accept: str | None = None) -> tuple[int, list[tuple[str, str]], str, bool]:
        """Post a request; returns what came, without ids, times and sealed states, and whether the SDK was asked."""
        before, asked = self.sdk, row.asked
        headers = {"Content-Type": "application/json", **asked["headers"], **({"Accept": accept} if accept else {})}
        with anyio.fail_after(LIMIT):
            got = await self._http.post("/mcp", headers=headers, content=row.body or json.dumps(asked["json"]))
        text = _STATE.sub('"STATE"', _TIME.sub("TIME", _ID.sub("ID", got.text)))
        return got.status_code, list(got.headers.items()), text, self.sdk > before

    async def often(self, row: Row) -> tuple[int, list[tuple[str, str]], str, bool]:
        """Post a request until the SDK isn't asked, a few times: on a busy machine a run may outlast its call."""
        for _ in range(19 if row.direct else 0):
            found = await self.post(row)
            if not found[-1]:
                return found
        return await self.post(row)


@asynccontextmanager
async def _served(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Served]:
    config = load_text(CONFIG)
    async with Engine.open(":memory:", config=config) as engine:
        app = create_app(engine, url="http://127.0.0.1:8745")
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8745") as http,
        ):
            served = Served(engine, http)
            real = StreamableHTTPSessionManager.handle_request

            async def handle_request(*given: Any) -> None:
                served.sdk += 1
                await real(*given)

            monkeypatch.setattr(StreamableHTTPSessionManager, "handle_request", handle_request)
            yield served


async def test_whatever_is_asked_is_answered_in_the_same_bytes_with_the_sdk_and_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _served(monkeypatch) as served:
        direct = set[str]()
        for name, row in ROWS.items():
            *answer, by_sdk = await served.often(row)
            *wanted, always = await served.post(row, UNUSUAL)
            assert (name, answer) == (name, wanted)
            assert always
            direct |= set() if by_sdk else {name}
        assert direct == {name for name, row in ROWS.items() if row.direct}


async def test_tasks_are_told_in_the_same_bytes_while_they_wait_and_when_they_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _served(monkeypatch) as served:
        waiting = await served.engine.start("asks")
        await served.engine.wait(waiting.id)
        for run in (waiting, await served.engine.start("echo", {"text": "x"})):
            row = Row(request("tasks/get", {"taskId": run.id}, tasks=True))
            *answer, by_sdk = await served.often(row)
            *wanted, always = await served.post(row, UNUSUAL)
            assert answer == wanted
            assert answer[0] == 200
            assert (by_sdk, always) == (False, True)


async def test_a_call_of_a_run_that_goes_on_is_followed_by_the_sdks_way_and_starts_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with _served(monkeypatch) as served:
        *answer, by_sdk = await served.post(Row(_call("asks")))
        assert by_sdk
        assert len(await served.engine.list(RunQuery(workflow="asks"))) == 1
        *wanted, _ = await served.post(Row(_call("asks")), UNUSUAL)
        assert answer == wanted
        assert '"resultType":"input_required"' in str(answer)


async def test_a_client_that_says_much_of_itself_is_answered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _served(monkeypatch) as served:
        row = Row(_with(ECHO, {f"{PREFIX}clientInfo": {"name": "x" * 5000, "version": "1"}}))
        status, _, text, by_sdk = await served.post(row)
        assert (status, by_sdk) == (200, True)
        assert "hello" in text


async def test_a_client_after_many_others_is_known_by_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _served(monkeypatch) as served:
        for number in range(300):
            told = {f"{PREFIX}clientInfo": {"name": f"client {number}", "version": "1"}}
            status, *_, by_sdk = await served.often(Row(_with(_call("plain"), told)))
            assert (status, by_sdk) == (200, False)
