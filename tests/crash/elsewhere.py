"""Workers in processes of their own: what they execute, how they are started, killed and cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio

from agentflow.config import Config, load_config
from agentflow.testing.processes.worker import SWITCH
from tests.engine.lab import LIMIT

CONFIG = """
python:
  modules: [work]
skills: [native:python]
env: [TOKEN]
limits:
  host_parallel: 8
workflows:
  asks:
    steps:
      - id: first
        type: python
        function: work:give
        input: {n: "{input.n}"}
      - id: second
        type: python
        function: work:look
  fan:
    steps:
      - id: each
        type: for_each
        in: "{input.items}"
        steps:
          - id: x
            type: python
            function: work:mark
            input: {n: "{item}"}
    output: "{steps.each}"
  graph:
    steps:
      - id: each
        type: for_each
        in: "{input.items}"
        max_parallel: 8
        steps:
          - id: x
            type: python
            function: work:mark
            input: {n: "{item}"}
          - id: y
            type: python
            function: work:mark
            input: {n: "{steps.x}"}
            depends_on: [x]
      - id: once
        type: python
        function: work:mark
        input: {n: 7}
        at_most_once: true
        on_error: continue
      - id: sum
        type: python
        function: work:total
        input: {rows: "{steps.each}"}
        depends_on: [each]
    output: "{steps.sum}"
  holds:
    steps:
      - id: held
        type: python
        function: work:hold
      - id: after
        type: set
        value: "{steps.held}"
  once:
    steps:
      - id: held
        type: python
        function: work:hold
        at_most_once: true
  late:
    steps:
      - id: held
        type: python
        function: work:hold
        timeout: 0.2s
"""
WORK = """
import os
from pathlib import Path

import anyio

HERE = Path(__file__).parent


def note(what):
    with (HERE / "done.txt").open("a") as file:
        file.write(what + "\\n")


def give(n):
    return {"n": n, "pid": os.getpid()}


async def look(ctx):
    before = ctx.state
    await ctx.save({"seen": 1})
    ctx.log("looks around")
    ctx.progress(0.5, "half")
    await ctx.publish("seen", {"run": ctx.run_id})
    return {
        "input": ctx.input, "first": ctx.steps["first"]["n"], "ended": list(ctx.steps), "before": before,
        "state": ctx.state, "secret": ctx.secret("TOKEN") == "s3cr3t-value", "missing": "other" in ctx.steps,
    }


async def mark(ctx, n):
    note(f"{ctx.run_id} {ctx.address} {ctx.attempt} {ctx.idempotency_key}")
    await anyio.sleep(0.005)
    return n


def total(rows):
    return sum(row["y"] for row in rows)


async def numbered(n):
    note(f"begun {n} {os.getpid()}")
    try:
        while not (HERE / f"release{n}").exists():
            await anyio.sleep(0.01)
        return n
    finally:
        note(f"left {n} {os.getpid()}")


async def hold(ctx):
    note(f"{ctx.run_id} {ctx.address} {ctx.attempt} {os.getpid()}")
    try:
        while not (HERE / f"open{ctx.attempt}").exists():
            await anyio.sleep(0.01)
        return ctx.attempt
    finally:
        note(f"left {ctx.attempt} {os.getpid()}")
"""


class Elsewhere:
    """A project with workers."""

    def __init__(self, folder: Path) -> None:
        """Make the project, without workers."""
        self.folder = folder
        self.socket = folder / "workers"
        self.store = folder / "runs.db"
        self.workers: list[subprocess.Popen[bytes]] = []
        (folder / "agentflow.yaml").write_text(CONFIG, "utf-8")
        (folder / "work.py").write_text(WORK, "utf-8")

    @property
    def config(self) -> Config:
        """The project's config."""
        return load_config(self.folder / "agentflow.yaml")

    def start(self, count: int = 1, slots: int = 4) -> None:
        """Start workers."""
        module = [sys.executable, "-m", "agentflow.testing.processes.worker"]
        arguments = [str(self.socket), str(self.folder / "agentflow.yaml"), str(slots)]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {SWITCH})  # it waits until a worker is up
        self.workers += [subprocess.Popen([*module, *arguments], cwd=self.folder) for _ in range(count)]
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def kill(self, pid: int) -> None:
        """Kill a worker."""
        worker = next(worker for worker in self.workers if worker.pid == pid)
        worker.kill()
        worker.wait()
        self.workers.remove(worker)

    def switch(self, pid: int) -> None:
        """Cut a worker off, or let it come back."""
        os.kill(pid, SWITCH)

    def end(self) -> None:
        """End all workers."""
        for worker in list(self.workers):
            self.kill(worker.pid)

    def open(self, attempt: int = 1) -> None:
        """Let steps that hold on go on."""
        (self.folder / f"open{attempt}").touch()

    def done(self) -> list[str]:
        """Return what steps have noted."""
        file = self.folder / "done.txt"
        return file.read_text("utf-8").splitlines() if file.exists() else []

    async def holding(self, attempt: int = 1) -> int:
        """Return the process in which an attempt has come to hold on."""
        return int((await self.noted(f" held {attempt} ")).split()[-1])

    async def noted(self, what: str) -> str:
        """Return the first note that holds a text, once there is one."""
        with anyio.fail_after(LIMIT):
            while True:
                for line in self.done():
                    if what in line:
                        return line
                await anyio.sleep(0.01)

    async def noted_so_far(self, count: int) -> None:
        """Return when steps have noted so many things."""
        while len(self.done()) < count:  # noqa: ASYNC110  others write it
            await anyio.sleep(0.005)

    def attempts(self) -> Counter[str]:
        """Return how often each step of `fan` was executed."""
        return Counter(" ".join(line.split()[:2]) for line in self.done())
