"""What a workflow costs over MCP: a call of its tool, its task, a list of 200, beside a bare server of the SDK.

    python benchmarks/over_mcp.py [--rounds 5] [--seconds 2]

Both are server processes (uvicorn, streamable HTTP, protocol 2026-07-28) that are asked in turn by the same client over
connections that stay open. Exits with 1 when a ratio doesn't hold.

- `agentflow`: `agentflow serve` with 200 workflows of one `set` step, strict durability: two commits a call. The bare
  server commits nothing.
- `bare`: the SDK's low-level server with 200 trivial tools of the same schemas.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from environments import ensure
from peering import ask
from serving import SERVE, Asked, Command, Standing, in_turn, standing
from verdict import AT_MOST, Ratio, conclude

PEER = str(Path(__file__).resolve().parent / "systems" / "mcp_peer.py")
MODERN = "2026-07-28"
TOOLS = 200
CALL, GET, LIST = 2.5, 1.5, 1.5
WORKFLOW = """\
  {name}:
    description: Says again what it is told, in the words that it was told in.
    input: {{text: string}}
    steps: [{{id: say, type: set, values: {{text: "{{input.text}}"}}}}]
"""
TASKS: Any = {"elicitation": {"form": {}}, "extensions": {"io.modelcontextprotocol/tasks": {}}}
WAITING = """\
  waits:
    mcp: {mode: task}
    input: {text: string}
    steps: [{id: ask, type: wait_for_input, message: "And?"}]
"""


def request(method: str, wanted: str, capabilities: Any = None, **params: Any) -> Asked:
    """Return a request of the modern era."""
    prefix = "io.modelcontextprotocol/"
    meta = {
        f"{prefix}protocolVersion": MODERN,
        f"{prefix}clientInfo": {"name": "bench", "version": "1"},
        f"{prefix}clientCapabilities": capabilities or {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = [
        "Accept: application/json, text/event-stream",
        f"MCP-Protocol-Version: {MODERN}",
        f"Mcp-Method: {method}",
    ]
    name = params.get("name", params.get("taskId"))
    return Asked("/mcp", json.dumps(body), wanted, [*headers, *((f"Mcp-Name: {name}",) if name else ())])


CALLED = request("tools/call", "hello", name="echo_000", arguments={"text": "hello"})
LISTED = request("tools/list", "echo_199")


def names() -> list[str]:
    """Return the names of the tools."""
    return [f"echo_{n:03}" for n in range(TOOLS)]


def ours() -> Command:
    """Return how our server is started."""
    config = "name: echo\nworkflows:\n" + "".join(WORKFLOW.format(name=name) for name in names()) + WAITING
    return Command("agentflow", [SERVE, "serve", "--port", "{port}"], "/healthz", {"agentflow.yaml": config})


def peer(tools: list[Any]) -> Command:
    """Return how the bare server is started."""
    argv = [str(ensure("mcp")), PEER, "--port", "{port}", "--tools", "{folder}/tools.json"]
    return Command("bare", argv, "/healthz", {"tools.json": json.dumps(tools)})


def result(server: Standing, asked: Asked) -> Any:
    """Ask once; returns the result."""
    url = f"http://127.0.0.1:{server.port}{asked.path}"
    return json.loads(ask(url, json.loads(asked.body), *asked.headers))["result"]


def task(server: Standing) -> Asked:
    """Start a run that waits; returns the request for its task."""
    started = result(server, request("tools/call", "", TASKS, name="waits", arguments={"text": "x"}))
    return request("tasks/get", started["taskId"], TASKS, taskId=started["taskId"])


def slower(name: str, mine: list[float], other: list[float], limit: float) -> Ratio:
    """Return how much longer ours takes, by the medians of the slices."""
    every = [a / b for a, b in zip(mine, other, strict=True)]
    value = statistics.median(mine) / statistics.median(other)
    return Ratio(f"MCP, {name}, p50, agentflow / bare", value, AT_MOST, limit, (min(every), max(every)))


def measure(rounds: int, seconds: float, place: Path | None = None) -> list[Ratio]:
    """Measure; prints the figures."""
    with standing([ours()], place) as (mine,):
        tools = [tool for tool in result(mine, LISTED)["tools"] if tool["name"] in names()]
        with standing([peer(tools)], place) as (bare,):
            print("MCP call of a workflow of one step, one connection", flush=True)
            in_turn([mine, bare], CALLED, 1, rounds, seconds)
            ratios = [slower("a call of a workflow / of a tool", mine.p50s, bare.p50s, CALL)]
            called = bare.p50s
            print("MCP tasks/get", flush=True)
            in_turn([mine], task(mine), 1, rounds, seconds)
            ratios.append(slower("tasks/get / a call of a tool", mine.p50s, called, GET))
            print(f"MCP tools/list of {TOOLS}", flush=True)
            in_turn([mine, bare], LISTED, 1, rounds, seconds)
            ratios.append(slower(f"{TOOLS} workflows listed / {TOOLS} tools", mine.p50s, bare.p50s, LIST))
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where databases are made; default: benchmarks/results")
    given = parser.parse_args()
    conclude(measure(given.rounds, given.seconds, given.folder))
