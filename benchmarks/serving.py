"""Servers that stand beside each other while they are asked in turn: ours, and what is measured with it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from driver import RESULTS
from peering import Server, answers, free_ports
from protocol import cpu
from verdict import AT_LEAST, Ratio

LOAD = Path(__file__).with_name("load.py")
VERSION = "A2A-Version: 1.0"
SERVE = str(Path(sys.executable).with_name("agentflow"))


class Asked(NamedTuple):
    """What a server is asked."""

    path: str
    body: str
    """`@id` in it is another id each time."""
    wanted: str
    """What each answer has to hold."""
    headers: Sequence[str] = ()


@dataclass
class Standing:
    """A server that is up."""

    name: str
    port: int
    pid: int
    rates: list[float] = field(default_factory=list[float])
    """Answers a second, of each slice."""
    p50s: list[float] = field(default_factory=list[float])
    """Median milliseconds of an answer, of each slice."""
    costs: list[float] = field(default_factory=list[float])
    """Microseconds of the server's processor that an answer took, of each slice."""

    def ask(self, asked: Asked, connections: int, seconds: float, most: int | None = None) -> dict[str, Any]:
        """Ask it for some seconds by a process of its own; returns what `load.py` tells."""
        command = [sys.executable, str(LOAD), str(self.port), asked.path, asked.body, "--wanted", asked.wanted]
        for header in asked.headers:
            command += ["--header", header]
        if most is not None:
            command += ["--most", str(most)]
        command += ["--connections", str(connections), "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def slice(self, asked: Asked, connections: int, seconds: float) -> None:
        """Ask it for some seconds, and keep the figures."""
        before = cpu(self.pid)
        found = self.ask(asked, connections, seconds)
        self.costs.append((cpu(self.pid) - before) / found["answers"] * 1e6)
        self.rates.append(found["answers"] / found["seconds"])
        self.p50s.append(found["latency_ms"]["p50"])

    def begin(self) -> None:
        """Forget the figures: something else is measured."""
        self.rates, self.p50s, self.costs = [], [], []

    @property
    def line(self) -> str:
        """Return the medians, as printed."""
        rate, p50, cost = (statistics.median(each) for each in (self.rates, self.p50s, self.costs))
        low, high = min(self.rates), max(self.rates)
        return f"  {self.name:24}{rate:8,.0f} a second ({low:,.0f} to {high:,.0f}), p50 {p50:7.2f} ms, {cost:7,.0f} µs"


class Command(NamedTuple):
    """How a server is started; `{port}` and `{folder}` stand for its own."""

    name: str
    argv: Sequence[str]
    ready: str
    """A path that it answers once it is up."""
    files: Mapping[str, str] = {}


@contextmanager
def standing(commands: Sequence[Command], place: Path | None = None) -> Generator[list[Standing]]:
    """Start servers, each in a folder of its own, on the project's disk by default; all are gone after the block."""
    place = place or RESULTS
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        found: list[Standing] = []
        for command in commands:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="run-", dir=place)))
            for name, text in command.files.items():
                (folder / name).write_text(text, encoding="utf-8")
            (port,) = free_ports(1)
            argv = [word.replace("{port}", str(port)).replace("{folder}", str(folder)) for word in command.argv]
            server = stack.enter_context(Server(command.name, argv, folder))
            answers(f"http://127.0.0.1:{port}{command.ready}", server)
            found.append(Standing(command.name, port, server.pid))
        yield found


def in_turn(servers: Sequence[Standing], asked: Asked, connections: int, rounds: int, seconds: float) -> None:
    """Ask each in turn, again and again; prints the medians."""
    for server in servers:
        server.begin()
        server.ask(asked, connections, seconds, most=50)  # whatever is loaded late is loaded then
    for turn in range(rounds):
        for server in servers if turn % 2 == 0 else reversed(servers):
            server.slice(asked, connections, seconds)
    for server in servers:
        print(server.line, flush=True)


def faster(name: str, mine: Standing, other: Standing, limit: float) -> Ratio:
    """Return by how much more answers a second come of ours."""
    value = statistics.median(mine.rates) / statistics.median(other.rates)
    every = [a / b for a, b in zip(mine.rates, other.rates, strict=True)]
    return Ratio(f"{name}, {mine.name} / {other.name}", value, AT_LEAST, limit, (min(every), max(every)))
