"""What the peers that run a graph in a function of ours share: their steps, an interpreter of the graph, the checks.

Standard library only, as it is imported in the peers' own environments.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from protocol import Clock, Report, Task, latency, main, spread, tenths
from workloads import Node, Workload, check_order, value

PATIENCE = 60.0
"""Seconds that a server has to start."""
WARM = Workload("chain", 2, 1.0)
"""What every system runs before the clock starts: whatever is loaded late is loaded then."""


class Bench:
    """One repetition: when which step was executed, and what is wrong."""

    def __init__(self, work: Workload) -> None:
        """Begin with nothing done."""
        self.work = work
        self.times: list[float] = []
        self.order: list[int] = []
        self.runs: list[float] = []
        """Seconds from a run's start to its end."""
        self.wrong: list[str] = []

    async def step(self, index: int) -> dict[str, int]:
        """Execute a step."""
        self.times.append(time.perf_counter())
        self.order.append(index)
        return value(index)

    async def add(self, index: int, seen: Sequence[Any]) -> str:
        """Execute a step of `ctx`, which sees what all steps before it gave."""
        texts = self.work.texts
        if len(seen) < index or (index and (seen[0] != texts[0] or seen[index - 1] != texts[index - 1])):
            raise AssertionError(f"step {index} doesn't see the texts before it")
        if index == len(texts) - 1 and list(seen[:index]) != list(texts[:index]):
            raise AssertionError("the last step doesn't see all texts")
        self.times.append(time.perf_counter())
        self.order.append(index)
        return texts[index]

    def ended(self, begun: float, results: Sequence[Any]) -> None:
        """Note that a run which began then has ended with these results of its steps, in the order of their indexes."""
        self.runs.append(time.perf_counter() - begun)
        work = self.work
        wanted = list(work.texts) or [value(index) for index in range(work.items or len(work.nodes))]
        if list(results) != wanted:
            self.wrong.append("a run has a wrong result")

    def check(self) -> str | None:
        """Tell what is wrong after all runs have ended; None: nothing."""
        work = self.work
        if self.wrong:
            return self.wrong[0]
        if len(self.runs) != work.runs or len(self.order) != work.planned_steps:
            return f"{len(self.runs)} of {work.runs} runs and {len(self.order)} of {work.planned_steps} steps were done"
        return check_order(work.nodes, self.order) if work.runs == 1 and work.nodes else None

    def fill(self, report: Report, clock: Clock, complete: bool) -> None:
        """Write what was measured into a report, after checking it."""
        work, times = self.work, [mark for mark in self.times if mark <= clock.start + clock.seconds]
        wrong = self.wrong[0] if self.wrong else self.check() if complete else None
        report.complete, report.verified = complete, wrong is None and report.verified
        report.steps, report.seconds, report.cpu_seconds = len(times), clock.seconds, clock.cpu
        report.start_seconds = min(times, default=clock.start) - clock.start
        report.latency_ms = spread(self.runs) if work.runs > 1 else latency(work, times, clock.start)
        report.first_tenth_seconds, report.last_tenth_seconds = tenths(times)
        report.payload_bytes = work.payload_bytes or None
        if wrong:
            report.extra["wrong"] = wrong


async def interpret(nodes: Sequence[Node], begin: Callable[[Node, Sequence[Any]], Awaitable[Any]]) -> list[Any]:
    """Execute the steps of a run; `begin` is given a step and the results so far, and starts it.

    Steps begin as soon as what they depend on has ended. Ends are looked at in the order of beginnings, never in that
    of the clock: engines that replay a function need the same order each time.
    """
    results: list[Any] = [None] * len(nodes)
    missing = [len(node.after) for node in nodes]
    followers: list[list[int]] = [[] for _ in nodes]
    for node in nodes:
        for other in node.after:
            followers[other].append(node.index)
    under_way = deque((node.index, begin(node, results)) for node in nodes if not node.after)
    while under_way:
        index, ending = under_way.popleft()
        results[index] = await ending
        for other in followers[index]:
            missing[other] -= 1
            if not missing[other]:
                under_way.append((other, begin(nodes[other], results)))
    return results


def waves(nodes: Sequence[Node]) -> list[list[Node]]:
    """Return the steps in groups: those of a group depend on steps of earlier groups only."""
    level: list[int] = []
    found: list[list[Node]] = []
    for node in nodes:
        level.append(1 + max((level[other] for other in node.after), default=-1))
        if level[-1] == len(found):
            found.append([])
        found[level[-1]].append(node)
    return found


async def until(cap: float | None, work: Awaitable[Any]) -> bool:
    """Wait for work until the cap; returns whether it ended. It isn't cancelled: `leave` ends the process."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=cap)
    if done:
        task.result()
    return bool(done)


def leave(system: str, run: Callable[[Task], Report], promises: Sequence[str]) -> None:
    """Do what `protocol.main` does, then end the process at once, whatever threads and tasks are still busy."""
    signal.signal(signal.SIGTERM, _terminated)
    code = 0
    try:
        main(system, run, promises)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(bool(error.code))
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _terminated(number: int, frame: object) -> None:
    raise SystemExit(128 + number)  # through the blocks that stop servers


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at loopback."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Server:
    """A process beside ours, in a folder, with a log: `with Server(...) as server`. It never outlives the block."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        env: dict[str, str] | None = None,
        *,
        patience: float = 5.0,
    ) -> None:
        """Start it; `patience` is how many seconds it gets to end by itself."""
        self.name = name
        self._patience = patience
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid = self.process.pid

    def alive(self) -> None:
        """Fail with the end of its log when it isn't there any more."""
        if self.process.poll() is not None:
            last = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise SystemExit(f"{self.name} ended with {self.process.returncode}: {' / '.join(last)}")

    def stop(self) -> None:
        """Ask it to end; end it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(self._patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self) -> Server:
        """Go on."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it."""
        self.stop()


def ask(url: str, body: Any = None, *headers: str) -> bytes:
    """Ask a server; with a body as POST."""
    data = None if body is None else json.dumps(body).encode()
    more = dict(header.split(": ", 1) for header in headers)
    request = urllib.request.Request(url, data, {"content-type": "application/json", **more})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return response.read()


def answers(url: str, server: Server) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + PATIENCE
    while True:
        server.alive()
        try:
            ask(url)
            return
        except OSError:
            if time.monotonic() > end:
                raise SystemExit(f"{server.name} didn't answer in {PATIENCE:.0f} s") from None
            time.sleep(0.02)
