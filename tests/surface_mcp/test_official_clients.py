"""The official clients in JavaScript list tools, call one, and answer one that waits: over both transports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.forks import COMMAND
from tests.cli.project import clean_environ
from tests.node.tools import Node
from tests.servers import relayed
from tests.surface_mcp.served import LIMIT
from tests.surface_mcp.web import Web


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server, and a folder in which clients start others."""
    made = Web(tmp_path_factory.mktemp("web"))
    yield made
    assert made.stop() == 0


def printed(web: Web, *command: str) -> Any:
    """Return what a program prints as JSON."""
    done = subprocess.run(
        command, cwd=web.folder, capture_output=True, text=True, timeout=LIMIT, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("transport", "ways"),
    [
        ("http", ["legacy", "modern", "tasks"]),
        ("stdio", ["tasks"]),
        pytest.param("stdio", ["legacy", "modern"], marks=pytest.mark.slow),
    ],
)
def test_the_typescript_client_answers_by_forms_of_each_era_and_by_tasks(
    node: Node, web: Web, transport: str, ways: list[str]
) -> None:
    command, *args = relayed([COMMAND, "mcp"], clean_environ())
    stdio = {"command": command, "args": args, "cwd": str(web.folder)}
    target = {"url": f"{web.url}/mcp"} if transport == "http" else stdio
    told = printed(web, *node.script("mcp_client.js"), json.dumps(target), *ways)
    assert list(told) == ways
    for way, found in told.items():
        assert {"approval", "greet", "resume_workflow"} <= set(found["tools"])
        assert found["quick"] == {"text": "hello Ann"}
        assert (way, found["asked"]) == (way, ["Approve 7 EUR?"])
        assert found["result"] == {"decision": "approve", "amount": 7}
        assert found.get("kind", "task") == "task"


@pytest.mark.parametrize("transport", ["http", pytest.param("stdio", marks=pytest.mark.slow)])
def test_the_inspector_s_command_line_answers_by_the_control_tools(node: Node, web: Web, transport: str) -> None:
    inspector = node.of("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
    target = [f"{web.url}/mcp"] if transport == "http" else [COMMAND, "mcp"]
    target += ["--connect-timeout", str(LIMIT * 1000)]

    def call(tool: str, *arguments: str) -> Any:
        words = ["--method", "tools/call", "--tool-name", tool, "--tool-arg", *arguments]
        return printed(web, *inspector, "--cli", *target, *words)["structuredContent"]

    listed = printed(web, *inspector, "--cli", *target, "--method", "tools/list")
    assert {"approval", "greet"} <= {tool["name"] for tool in listed["tools"]}
    assert call("greet", "name=Ann") == {"text": "hello Ann"}
    asked = call("approval", "amount=5")
    wait = asked["waiting_for"][0]["task_id"]
    done = call("resume_workflow", f"task_id={wait}", 'answer={"decision":"approve"}')
    assert (done["task_id"], done["output"]) == (asked["task_id"], {"decision": "approve", "amount": 5})
