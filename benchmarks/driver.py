"""Runs repetitions: one process each, systems in turn, so that a busy machine slows all of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from environments import SetupError, ensure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
GRACE = 180
"""Seconds that a repetition gets besides its cap, for start-up, checks and the end."""


class System(NamedTuple):
    """How a system is run; a script may measure more than one."""

    script: str
    peer: bool
    promises: tuple[str, ...]


SYSTEMS = {
    "langgraph": System("langgraph_peer.py", True, ("strict", "relaxed")),
    "agentflow": System("ours.py", False, ("strict", "relaxed")),
    "limit": System("limit.py", False, ("strict", "relaxed")),
    "dbos": System("dbos_peer.py", True, ("strict", "relaxed")),
    "restate": System("restate_peer.py", True, ("strict",)),
    "prefect": System("prefect_peer.py", True, ("relaxed",)),
}


class Case(NamedTuple):
    """What is measured side by side."""

    workload: str
    scale: float = 1.0
    promise: str = "strict"

    @property
    def title(self) -> str:
        """As shown in tables."""
        name = self.workload
        if name == "dag10k" and self.scale != 1:
            return f"dag{self.scale * 10:g}k"
        return name if self.scale == 1 else f"{name} ×{self.scale:g}"


@dataclass
class Results:
    """All that was measured."""

    samples: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Reports, each with `round` and `load`."""
    failures: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """`system`, `title` of the case or nothing, `why`."""

    def of(self, system: str, case: Case) -> list[dict[str, Any]]:
        """Return the samples of a system in a case."""
        key = (system, *case)
        return [one for one in self.samples if (one["system"], one["workload"], one["scale"], one["promise"]) == key]


def pythons(systems: Iterable[str], results: Results) -> dict[str, str]:
    """Return the Python for each system, without those that can't be set up: they are noted as failures."""
    found: dict[str, str] = {}
    for name in systems:
        system = SYSTEMS[name]
        try:
            if not (HERE / "systems" / system.script).exists():
                raise SetupError(f"systems/{system.script} isn't there")
            found[name] = str(ensure(name)) if system.peer else sys.executable
        except SetupError as error:
            fail(results, name, None, f"can't be set up: {error}")
    return found


def fail(results: Results, system: str, case: Case | None, why: str) -> None:
    """Note that something couldn't be measured, and go on."""
    title = f"{case.title} ({case.promise})" if case else ""
    print(f"  {system} {title}: {why}", flush=True)
    results.failures.append({"system": system, "title": title, "why": why})


class Plan(NamedTuple):
    """Cases that are measured in turn, by which systems, and when each of them stops."""

    cases: Sequence[Case]
    systems: Sequence[str]
    rounds: int
    cap: float
    limit_cap: float
    """For the raw limit, which with one commit a step would take longest of all."""


def measure(plan: Plan, pythons: dict[str, str], results: Results) -> None:
    """Run each case in each of the systems, in turn, again and again. Who failed at a case isn't asked again."""
    cases = tuple(dict.fromkeys(plan.cases))
    print(", ".join(f"{case.title} ({case.promise})" for case in cases), flush=True)
    failed: set[tuple[str, Case]] = set()
    first = 1 + max((one["round"] for one in results.samples), default=-1)
    for turn in range(first, first + plan.rounds):
        for case in plan.cases:
            for name in plan.systems:
                able = name in pythons and case.promise in SYSTEMS[name].promises and (name, case) not in failed
                if not able:
                    continue
                cap = plan.limit_cap if name == "limit" else plan.cap
                why = repetition(case, name, pythons[name], cap, turn, results)
                if why:
                    failed.add((name, case))
                    fail(results, name, case, why)
    for case in cases:
        for name in dict.fromkeys(one["system"] for one in results.samples):
            if mine := [one for one in results.of(name, case) if one["round"] >= first]:
                title = name if len(cases) == 1 else f"{case.title}, {name}"
                print(f"  {title:28} {rate(mine):10,.0f} steps/s  {note(mine)}", flush=True)


def note(samples: list[dict[str, Any]]) -> str:
    """Return the spread of samples, and whether they were capped."""
    rates = sorted(one["steps"] / one["seconds"] for one in samples)
    done = min(one["steps"] for one in samples)
    capped = "" if all(one["complete"] for one in samples) else f", capped after {done:,} steps"
    return f"({rates[0]:,.0f} to {rates[-1]:,.0f}{capped})"


def rate(samples: list[dict[str, Any]]) -> float:
    """Return the median of steps/s."""
    return statistics.median(one["steps"] / one["seconds"] for one in samples)


def repetition(case: Case, name: str, python: str, cap: float, turn: int, results: Results) -> str | None:
    """Run one repetition in a process of its own; returns why it failed, or None."""
    load = os.getloadavg()[0]
    RESULTS.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=RESULTS))  # on the project's disk: /tmp may be in memory
    script = str(HERE / "systems" / SYSTEMS[name].script)
    command = [python, script, case.workload, "--scale", str(case.scale), "--promise", case.promise]
    try:
        code, out, err = _output([*command, "--cap", str(cap), "--folder", str(folder)], cap + GRACE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    reports = [json.loads(line) for line in out.splitlines() if line.startswith('{"system"')]
    wrong = [report["extra"].get("wrong", "wrong result") for report in reports if not report["verified"]]
    if wrong:
        return str(wrong[0])
    if code or not reports:
        last = [line for line in err.strip().splitlines() if line.strip()][-1:]
        return f"exit {code}: {last[0] if last else 'no report'}"
    if not all(report["steps"] and report["seconds"] for report in reports):
        return "no step was done before the cap"
    results.samples.extend(report | {"round": turn, "load": round(load, 2)} for report in reports)
    return None


def _output(command: list[str], timeout: float) -> tuple[int, str, str]:
    # A group of its own: servers that it started end with it.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err
    except subprocess.TimeoutExpired:
        return -1, "", f"no end after {timeout:.0f} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
