"""What an agent costs over A2A: a message that is given back, beside the SDK's own server and a handler by hand.

    python benchmarks/over_a2a.py [--rounds 5] [--seconds 2]

All are server processes (uvicorn) that are asked in turn by the same client over JSON-RPC: `SendMessage`, which is
answered when the task has completed. All are strict: what is told is synced to the disk before. Exits with 1 when a
ratio doesn't hold.

- `agentflow`: `agentflow serve` with a workflow of one `set` step. Two commits: the run with its step begun; the step's
  result with the run's end. With leases, owners, queries, streams, and what is needed to go on after a crash.
- `default`: the SDK's DefaultRequestHandler over its DatabaseTaskStore (SQLite). Three commits of the whole task.
- `bare`: the SDK's transport before 30 lines over SQLite. Three commits of just what happened.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import streams
from environments import ensure
from serving import SERVE, VERSION, Asked, Command, faster, in_turn, standing
from verdict import Ratio, conclude

PEER = str(Path(__file__).resolve().parent / "systems" / "a2a_peer.py")
CONFIG = """\
name: echo
python: {modules: [work]}
push: {private: true}
workflows:
  echo:
    input: {text: string}
    steps: [{id: say, type: set, value: "{input.text}"}]
"""
LIMITS = {"default": 8.0, "bare": 0.4}


PARAMS = streams.said({"text": "hello"}, "echo")
PARAMS["message"]["messageId"] = "@id"
ECHO = Asked("/a2a", streams.call("SendMessage", PARAMS), "TASK_STATE_COMPLETED", [VERSION])


def ours() -> Command:
    """Return how our server is started."""
    files = {"agentflow.yaml": CONFIG + streams.WORKFLOWS, "work.py": streams.WORK}
    return Command("agentflow", [SERVE, "serve", "--port", "{port}"], "/healthz", files)


def peers() -> list[Command]:
    """Return how the others are started."""
    python = str(ensure("a2a"))
    words = ["--port", "{port}", "--folder", "{folder}"]
    return [Command(name, [python, PEER, name, *words], "/healthz") for name in LIMITS]


def measure(commands: list[Command], rounds: int, seconds: float, place: Path | None = None) -> list[Ratio]:
    """Measure ours, the first of the servers, beside the others; prints the figures."""
    ratios: list[Ratio] = []
    with standing(commands, place) as servers:
        for connections in (1, 16):
            name = f"A2A echo, {connections} connection{'s' if connections > 1 else ''}"
            print(name, flush=True)
            in_turn(servers, ECHO, connections, rounds, seconds)
            mine, *others = servers
            ratios += [faster(name, mine, other, LIMITS[other.name]) for other in others]
        print("A2A stream of chunks", flush=True)
        ratios += streams.growth([server for server in servers if server.name != "bare"], rounds)
        print("A2A subscriptions of one task", flush=True)
        ratios += streams.crowd(servers[0], rounds)
        print("A2A stream beside webhooks", flush=True)
        ratios += streams.webhooks(servers[0], rounds)
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, help="where databases are made; default: benchmarks/results")
    given = parser.parse_args()
    conclude(measure([ours(), *peers()], given.rounds, given.seconds, given.folder))
