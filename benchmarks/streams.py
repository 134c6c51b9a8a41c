"""What streams of an agent cost: chunks one after the other, and one task that many follow."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peering import ask, free_ports
from protocol import cpu
from serving import VERSION, Standing
from verdict import AT_MOST, Ratio

LISTEN = Path(__file__).with_name("listen.py")
TICK = 0.01
"""Seconds that the clock of a process can tell apart."""
GROWTH = 1.3
"""Time per chunk of a long stream over that of a short one."""
HELD_UP = 1.3
"""Time per event of a stream beside webhooks that fail, over that without."""
SHARED = 0.5
"""Processor time per event and subscriber, of many over that of one."""
WORK = '''\
"""Steps that give artifacts."""

from agentflow import Context
from agentflow.steps.contract import Artifact


async def chunks(text: str, ctx: Context) -> None:
    """Give an artifact in pieces, each committed by itself: "chunks 200"."""
    count = int(text.split()[1])
    for n in range(count):
        part = {"text": f"chunk {n:5}"}
        await ctx.artifact(Artifact("book", parts=(part,), append=n > 0, last_chunk=n + 1 == count))
'''
WORKFLOWS = """\
  chunks:
    input: {text: string}
    steps: [{id: write, type: python, function: "work:chunks", input: {text: "{input.text}"}}]
    output: "done"
  crowd:
    input: {text: string}
    steps:
      - {id: go, type: wait_for_input, message: "Go?"}
      - {id: write, type: python, function: "work:chunks", input: {text: "{input.text}"}}
    output: "done"
"""


def call(method: str, params: Any) -> str:
    """Return a request."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def said(part: Any, skill: str, **ids: str) -> Any:
    """Return the parameters of a message."""
    message = {"messageId": "1", "role": "ROLE_USER", "parts": [part], "metadata": {"skillId": skill}, **ids}
    return {"message": message}


@contextmanager
def listening(server: Standing, body: str, count: int) -> Generator[subprocess.Popen[str]]:
    """Open streams in a process of their own; each has brought its first event when the block begins."""
    argv = [sys.executable, str(LISTEN), str(server.port), "/a2a", body, "--count", str(count), "--header", VERSION]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise SystemExit(f"{server.name}: {process.communicate()[1].strip()}")
        yield process


def heard(process: subprocess.Popen[str], events: int) -> float:
    """Return how many seconds the events took, after looking whether all streams have brought all of them."""
    out, error = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(error.strip())
    found = json.loads(out)
    if not found["same"] or found["events"] < events:
        raise SystemExit(f"the streams are wrong: {found}")
    return float(found["seconds"])


def per_chunk(server: Standing, count: int) -> float:
    """Return the microseconds of a chunk in a stream of so many."""
    body = call("SendStreamingMessage", said({"text": f"chunks {count}"}, "chunks"))
    with listening(server, body, 1) as process:
        return heard(process, count) / count * 1e6


def growth(servers: list[Standing], rounds: int, sizes: tuple[int, int] = (200, 2000)) -> list[Ratio]:
    """Measure chunks of short and of long streams, in turn; prints microseconds."""
    found = {(server.name, size): list[float]() for server in servers for size in sizes}
    for turn in range(rounds + 1):  # the first round only warms up
        for server in servers:
            for size in sizes:
                took = per_chunk(server, size)
                if turn:
                    found[server.name, size].append(took)
    small, large = sizes
    for server in servers:
        one, other = (statistics.median(found[server.name, size]) for size in sizes)
        print(f"  {server.name:24}{one:8,.0f} µs a chunk of {small:,} {other:8,.0f} of {large:,}", flush=True)
    mine = servers[0].name
    every = [b / a for a, b in zip(found[mine, small], found[mine, large], strict=True)]
    name = f"A2A stream, time per chunk of {large:,} / of {small:,}"
    return [Ratio(name, statistics.median(every), AT_MOST, GROWTH, (min(every), max(every)))]


def followed(server: Standing, subscribers: int, events: int) -> float:
    """Return the microseconds of the server's processor per event and subscriber of one task."""
    url = f"http://127.0.0.1:{server.port}/a2a"
    task = json.loads(ask(url, json.loads(call("SendMessage", said({"text": f"chunks {events}"}, "crowd"))), VERSION))
    task_id = task["result"]["task"]["id"]
    with listening(server, call("SubscribeToTask", {"id": task_id}), subscribers) as process:
        before = cpu(server.pid)
        ask(url, json.loads(call("SendMessage", said({"text": "go"}, "crowd", taskId=task_id))), VERSION)
        heard(process, events)
        return max(cpu(server.pid) - before, TICK) / subscribers / events * 1e6


def crowd(server: Standing, rounds: int, subscribers: int = 1000, events: int = 100) -> list[Ratio]:
    """Measure a task that many follow beside one that one follows; prints microseconds."""
    found: dict[int, list[float]] = {1: [], subscribers: []}
    for _ in range(rounds):
        for count, values in found.items():
            values.append(followed(server, count, events))
    one, many = (statistics.median(values) for values in found.values())
    print(f"  {server.name:24}{one:8,.0f} µs per event of one subscriber {many:8,.0f} of each of {subscribers:,}")
    every = [b / a for a, b in zip(*found.values(), strict=True)]
    name = f"A2A subscriptions, processor per event and subscriber, {subscribers:,} / one"
    return [Ratio(name, many / one, AT_MOST, SHARED, (min(every), max(every)))]


def hooked(server: Standing, hooks: Sequence[str], events: int) -> float:
    """Return the microseconds of an event of one stream while receivers of pushes are as they are."""
    url = f"http://127.0.0.1:{server.port}/a2a"
    task = json.loads(ask(url, json.loads(call("SendMessage", said({"text": f"chunks {events}"}, "crowd"))), VERSION))
    task_id = task["result"]["task"]["id"]
    for number, hook in enumerate(hooks):
        config = {"taskId": task_id, "id": f"c{number}", "url": hook}
        made = json.loads(ask(url, json.loads(call("CreateTaskPushNotificationConfig", config)), VERSION))
        if "error" in made:
            raise SystemExit(f"{server.name}: {made['error']['message']}")
    with listening(server, call("SubscribeToTask", {"id": task_id}), 1) as process:
        ask(url, json.loads(call("SendMessage", said({"text": "go"}, "crowd", taskId=task_id))), VERSION)
        return heard(process, events) / events * 1e6


def webhooks(server: Standing, rounds: int, events: int = 500) -> list[Ratio]:
    """Measure a stream whose task has receivers of pushes that are dead or never answer, beside one without."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        (dead,) = free_ports(1)
        hooks = [f"http://127.0.0.1:{port}/" for port in (dead, silent.getsockname()[1]) for _ in range(3)]
        found: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds + 1):  # the first round only warms up
            for values, given in zip(found, ((), hooks), strict=True):
                took = hooked(server, given, events)
                if turn:
                    values.append(took)
    without, beside = (statistics.median(values) for values in found)
    print(f"  {server.name:24}{without:8,.0f} µs an event, {beside:8,.0f} beside {len(hooks)} webhooks that fail")
    every = [b / a for a, b in zip(*found, strict=True)]
    name = "A2A stream, time per event with dead and silent webhooks / without"
    return [Ratio(name, statistics.median(every), AT_MOST, HELD_UP, (min(every), max(every)))]
