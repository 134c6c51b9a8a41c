"""A project whose run is killed: a workflow of 200 steps, what its steps leave behind, and looks into its database.

Every python step writes its address and attempt into the file `log`, every script its processes into `pids`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from agentflow.store.sqlite.sql import rows
from tests.cli.project import clean_environ
from tests.servers import COMMAND, Forked, fork

LIMIT = 60.0
ITEMS = 40

CONFIG = """\
python: {modules: [work]}
skills: [native:shell]
workflows:
  big:
    steps:
      - {id: start, type: python, function: "work:log", input: {name: start}}
      - {id: early, type: wait_for_input, message: go on?, schema: {type: object}, execution: parallel}
      - id: fan
        type: for_each
        in: "{input.items}"
        max_parallel: 8
        execution: parallel
        steps:
          - {id: a, type: python, function: "work:log", input: {name: "a{index}"}}
          - {id: b, type: python, function: "work:slow", input: {name: "{steps.a.name}b"}}
      - id: shells
        type: for_each
        in: [1, 2, 3]
        max_parallel: 2
        execution: parallel
        steps:
          - id: sh
            type: script
            env: {N: "{item}"}
            run: |
              sleep 300 > /dev/null 2>&1 &
              inner=$!
              setsid sleep 300 > /dev/null 2>&1 &
              echo "$$ $inner $!" >> pids
              sleep 0.15
              kill $inner $!
              echo "{\\"n\\": $N}"
      - id: loop
        type: while
        condition: steps.n == null || steps.n.value < 20
        max_iterations: 50
        steps:
          - {id: n, type: python, function: "work:count", input: {i: "{index}"}}
      - {id: late, type: wait_for_input, message: and now?, schema: {type: object}}
      - id: par
        type: parallel
        steps:
          - {id: x, type: python, function: "work:log", input: {name: x}}
          - {id: y, type: python, function: "work:slow", input: {name: y}}
      - id: again
        type: for_each
        in: "{input.items}"
        steps: [{id: q, type: python, function: "work:log", input: {name: "q{index}"}}]
      - id: finish
        type: while
        condition: steps.z == null || steps.z.value < 20
        max_iterations: 50
        steps:
          - {id: z, type: python, function: "work:count", input: {i: "{index}"}}
      - {id: last, type: python, function: "work:slow", input: {name: "{steps.late.answer}"}}
    output:
      early: "{steps.early}"
      fan: "{steps.fan}"
      shells: "{steps.shells}"
      loop: "{steps.loop}"
      late: "{steps.late}"
      par: "{steps.par}"
      again: "{steps.again}"
      finish: "{steps.finish}"
      last: "{steps.last}"
"""
WORK = """\
import asyncio


def note(ctx):
    with open("log", "a") as file:
        file.write(f"{ctx.address} {ctx.attempt}\\n")


async def log(name, ctx):
    note(ctx)
    return {"name": name}


async def slow(name, ctx):
    note(ctx)
    await asyncio.sleep(0.02)
    return {"name": name}


async def count(i, ctx):
    note(ctx)
    await asyncio.sleep(0.004)
    return {"value": i + 1}
"""
ANSWERS: Mapping[str, Any] = {"early": {"answer": "yes"}, "late": {"answer": "go"}}
STEPS = 1 + ITEMS * 2 + 20 + 2 + ITEMS + 20 + 1
"""Lines in the log of an uninterrupted run."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the database held and what the log said at some moment."""

    state: str
    completed: frozenset[str]
    """Addresses of the steps whose completion was committed."""
    running: frozenset[str]
    log: Counter[str]
    waits: Mapping[str, str]
    """Step → id of its open wait."""


@dataclass(slots=True)
class Scene:
    """The project's folder, and the processes that were started in it."""

    folder: Path
    processes: list[Forked] = field(default_factory=list[Forked])

    def prepare(self, config: str = CONFIG, work: str = WORK) -> Scene:
        """Write the project."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "agentflow.yaml").write_text(config, encoding="utf-8")
        (self.folder / "work.py").write_text(work, encoding="utf-8")
        return self

    # processes

    def start(self, *arguments: str) -> Forked:
        """Start a command of the CLI."""
        return self.spawn(COMMAND, *arguments)

    def spawn(self, *script: str) -> Forked:
        """Start a script in the project's folder. What it prints goes to files, so that nobody has to read along."""
        number = len(self.processes)
        with (self.folder / f"out{number}").open("w") as out, (self.folder / f"err{number}").open("w") as err:
            process = fork(script, cwd=self.folder, env=_environ(), stdout=out.fileno(), stderr=err.fileno())
        self.processes.append(process)
        return process

    def call(self, *arguments: str) -> str:
        """Run a command of the CLI to its end, and return what it printed; it must succeed."""
        process = self.start(*arguments)
        assert self.wait(process) == 0, self.said(process)
        return self.out(process)

    def wait(self, process: Forked, limit: float = LIMIT) -> int:
        """Return the exit code of a process, once it has ended."""
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on and on: {self.said(process)}") from None

    def out(self, process: Forked) -> str:
        """Return what a process printed on stdout."""
        return (self.folder / f"out{self.processes.index(process)}").read_text(encoding="utf-8")

    def err(self, process: Forked) -> str:
        """Return what a process printed on stderr."""
        return (self.folder / f"err{self.processes.index(process)}").read_text(encoding="utf-8")

    def said(self, process: Forked) -> str:
        """Return all that a process printed, for messages of failed tests."""
        return f"{process.args} → {process.poll()}\n{self.out(process)[-2000:]}\n{self.err(process)[-4000:]}"

    def end(self) -> None:
        """End every process that was started here."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in self.pids():
            if belongs_to_a_step(pid):
                os.kill(pid, signal.SIGKILL)

    # looks

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.folder / ".agentflow" / "runs.db"

    def lines(self) -> list[str]:
        """Return the lines of the log."""
        with suppress(FileNotFoundError):
            return (self.folder / "log").read_text(encoding="utf-8").splitlines()
        return []

    def pids(self) -> list[int]:
        """Return all processes that scripts told of."""
        with suppress(FileNotFoundError):
            return [int(pid) for pid in (self.folder / "pids").read_text(encoding="utf-8").split()]
        return []

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database directly; [] while it isn't there yet."""
        if not self.database.exists():
            return []
        db = apsw.Connection(str(self.database), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(5000)
            return rows(db, sql, values)
        except apsw.SQLError:  # no table yet
            return []
        finally:
            db.close()

    def snapshot(self) -> Snapshot:
        """Look at the newest run."""
        heads = self.query("SELECT key, state FROM heads WHERE parent IS NULL ORDER BY key DESC LIMIT 1")
        key, state = heads[0] if heads else (0, "none")
        rows = self.query("SELECT address, state, phase FROM steps WHERE key >> 32 = ?", key)
        waits = self.query("SELECT step, id FROM tasks WHERE state = 'input-required' AND run = ?", key)
        return Snapshot(
            state=state,
            completed=frozenset(address for address, state, _ in rows if state == "completed"),
            running=frozenset(address for address, _, phase in rows if phase == "run"),
            log=Counter(line.split()[0] for line in self.lines()),
            waits=dict(waits),
        )

    def until(self, condition: Callable[[], Any], what: str, pause: float = 0.01) -> Any:
        """Return what a condition gives, as soon as that is true."""
        limit = time.monotonic() + LIMIT
        while not (value := condition()):
            if time.monotonic() > limit:
                told = "\n".join(self.said(process) for process in self.processes)
                raise AssertionError(f"it never came to this: {what}\n{told}")
            time.sleep(pause)
        return value

    def calm(self) -> None:
        """Return when nobody has committed anything for a while, and nobody holds the newest run."""
        seen: list[Any] = []

        def look() -> bool:
            seen.append(self.query("SELECT holder, epoch, seq FROM heads ORDER BY key DESC LIMIT 1"))
            return len(seen) > 100 and seen[-1] == seen[-100] and seen[-1][0][0] is None

        self.until(look, "a run without a holder", pause=0.005)


def belongs_to_a_step(pid: int) -> bool:
    """Tell whether a process lives that a step started."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return b"AGENTFLOW_STEP_KEY=" in environ


def result_of(document: str) -> Any:
    """Return the output in what `run --json` printed."""
    return json.loads(document)["output"]


def _environ() -> dict[str, str]:
    return {name: value for name, value in clean_environ().items() if name != "AGENTFLOW_STORE"}
