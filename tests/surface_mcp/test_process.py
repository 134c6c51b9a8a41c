"""The server's process: what happens to runs when it goes, and what it says of wrong use."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers import relayed
from tests.surface_mcp.served import COMMAND, LIMIT, Shop, call, text_of

pytestmark = pytest.mark.anyio

HELLO: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def started(shop: Shop, *arguments: str) -> subprocess.Popen[str]:
    """Start a server whose streams the test itself writes and reads."""
    command = relayed([COMMAND, "mcp", *arguments], shop.environ)
    return subprocess.Popen(
        command, cwd=shop.folder, env=shop.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def test_a_run_that_waits_outlives_kill_9_of_its_server(shop: Shop) -> None:
    server = started(shop)
    assert server.stdin is not None
    assert server.stdout is not None
    call_it: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "approval", "arguments": {}},
    }
    for message in (HELLO, {"jsonrpc": "2.0", "method": "notifications/initialized"}, call_it):
        server.stdin.write(json.dumps(message) + "\n")
        server.stdin.flush()
    answers = {answer["id"]: answer for answer in (json.loads(server.stdout.readline()) for _ in range(2))}
    handle = answers[2]["result"]["structuredContent"]
    server.kill()
    server.communicate(timeout=LIMIT)
    assert server.returncode == -signal.SIGKILL
    async with shop.client() as client:
        [wait] = handle["waiting_for"]
        done: Any = (
            await call(client, "resume_workflow", task_id=wait["task_id"], answer={"decision": "approve"})
        ).structured_content
    assert (done["task_id"], done["status"]) == (handle["task_id"], "completed")
    assert done["output"] == {"decision": "approve", "amount": 20}
    assert (shop.folder / "notes").read_text(encoding="utf-8") == "noted\n"


async def test_servers_share_their_runs_which_outlive_each_of_them(shop: Shop) -> None:
    async with shop.client() as other:
        async with shop.client("--hold", "0s") as one:
            asks: Any = (await call(one, "approval")).structured_content
            asks = (await call(one, "wait_workflow", task_id=asks["task_id"])).structured_content
            arguments = {"task_id": asks["task_id"], "answer": {"decision": "approve"}}
            done: Any = (await call(other, "resume_workflow", **arguments)).structured_content
            seen: Any = (await call(one, "wait_workflow", task_id=asks["task_id"])).structured_content
            assert done == seen
            assert done["output"]["decision"] == "approve"
            works: Any = (await call(one, "slow")).structured_content
            again: Any = (await call(one, "wait_workflow", task_id=works["task_id"], timeout_s=0)).structured_content
            assert works["status"] == again["status"] == "working"
            assert "wait_workflow" in works["next"]
        (shop.folder / "go").touch()
        done = (await call(other, "wait_workflow", task_id=works["task_id"])).structured_content
        assert (done["status"], done["output"]) == ("completed", 7)


def test_lines_that_are_no_messages_harm_nobody_and_the_end_of_input_ends_it(shop: Shop) -> None:
    server = started(shop)
    lines = ["", "what?", '{"jsonrpc": "2.0"}', "[1, 2", '"\u00e9"', json.dumps(HELLO)]
    out, err = server.communicate("\n".join(lines), timeout=LIMIT)
    answers = [json.loads(line) for line in out.splitlines()]
    assert answers[-1]["result"]["serverInfo"]["name"] == "shop"
    assert server.returncode == 0, err


def test_a_request_that_cannot_be_read_is_refused_by_its_id(shop: Shop) -> None:
    server = started(shop)
    half = r'{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "\ud800"}}'
    told = r'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"reason": "\ud800"}}'
    out, err = server.communicate("\n".join([json.dumps(HELLO), half, told]), timeout=LIMIT)
    answers = {answer["id"]: answer for answer in map(json.loads, out.splitlines())}
    assert answers.keys() == {1, 9}
    assert answers[9]["error"]["code"] == -32700
    assert server.returncode == 0, err


def test_a_signal_ends_it_though_its_client_says_nothing(shop: Shop) -> None:
    server = started(shop)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(HELLO) + "\n")
    server.stdin.flush()
    assert json.loads(server.stdout.readline())["id"] == 1
    server.terminate()
    assert server.wait(LIMIT) == 128 + signal.SIGTERM
    server.communicate(timeout=LIMIT)


ONE = "steps: [{id: s, type: set, value: 1}]"
NAMED = "triggers: [{type: tool, name: %s, description: d}]"


@pytest.mark.parametrize(
    ("config", "arguments", "code", "text"),
    [
        (None, ["none.yaml"], 66, "AF-CONFIG-NOT-FOUND"),
        (None, ["--hold", "soon"], 2, "AF-USAGE"),
        (None, ["--hold", "1h"], 2, "--hold is at most 600s"),
        ("workflows: {a: {steps: [{id: s, type: nothing}]}}", [], 65, "AF-STEP-TYPE"),
        (f"workflows: {{get_workflow_run: {{{ONE}}}}}", [], 65, "AF-TRIGGER-RESERVED"),
        (f"workflows: {{a: {{{NAMED % 'b c'}, {ONE}}}}}", [], 65, "AF-TRIGGER-NAME"),
        (f"workflows: {{a: {{{NAMED % 'b'}, {ONE}}}, b: {{{ONE}}}}}", [], 65, "AF-TRIGGER-DUPLICATE"),
    ],
)
def test_wrong_use_is_told_on_stderr(
    shop: Shop, config: str | None, arguments: list[str], code: int, text: str
) -> None:
    if config is not None:
        (shop.folder / "agentflow.yaml").write_text(config, encoding="utf-8")
    done = shop.command("mcp", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr


async def test_the_client_config_of_the_docs_works_when_it_is_pasted(shop: Shop) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "mcp.md").read_text(encoding="utf-8")
    [line] = [line for line in page.splitlines() if line.startswith("Cursor ")]
    given = json.loads(line[line.index("{") :])["mcpServers"]["shop"]
    assert given["command"] == "/path/to/agentflow"
    arguments = [each.replace("/path/to", str(shop.folder)) for each in given["args"]]
    assert arguments[0] == "mcp"
    async with shop.client(*arguments[1:]) as client:
        result = await call(client, "greet", name="docs")
    assert text_of(result) == '{"text": "hello docs"}'
