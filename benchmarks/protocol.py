"""How a system script and the driver talk: arguments in, a line of JSON out. Standard library only: peers import it.

A system script does one repetition in a fresh folder, checks the result, and prints a `Report` as its last line:

    python benchmarks/systems/NAME.py WORKLOAD [--scale X] [--promise P] [--cap SECONDS] [--folder DIR]

It is built as

    def run(task: Task) -> Report | list[Report]: ...

    if __name__ == "__main__":
        main("name", run)
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import math
import platform
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from workloads import SIZES, Workload, workload

PROMISES = ("strict", "relaxed")


@dataclass
class Task:
    """One repetition."""

    workload: Workload
    promise: str
    cap: float | None
    folder: Path

    @property
    def strict(self) -> bool:
        """Whether every step's result has to be on the disk before what depends on it starts."""
        return self.promise == "strict"


@dataclass
class Report:
    """What came of a repetition. `None` means: doesn't apply, or can't be measured."""

    system: str = ""
    workload: str = ""
    scale: float = 1.0
    promise: str = "strict"
    steps: int = 0
    """Steps that were done."""
    planned_steps: int = 0
    seconds: float = 0.0
    """Of the run proper: from the start of the (first) run to the end of the last one."""
    start_seconds: float | None = None
    """The part of `seconds` before the first step was executed: the start of the (first) run."""
    setup_seconds: float = 0.0
    compile_seconds: float = 0.0
    latency_ms: dict[str, float] = field(default_factory=dict[str, float])
    """p50, p95, max; what of, depends on the workload: see `latency`."""
    cpu_seconds: float = 0.0
    """User and system time during `seconds`, that of a peer's server included."""
    peak_rss_mb: float = 0.0
    server_pss_mb: float | None = None
    db_bytes: int | None = None
    """Allocated blocks at the end of the run, write-ahead log included."""
    db_bytes_closed: int | None = None
    """Size after closing."""
    payload_bytes: int | None = None
    first_tenth_seconds: float | None = None
    last_tenth_seconds: float | None = None
    complete: bool = True
    """False: the cap came first; `steps` and `seconds` are those until then."""
    verified: bool = False
    pragmas: dict[str, Any] = field(default_factory=dict[str, Any])
    """Durability settings as read back from the connection that wrote (or the server's equivalent)."""
    versions: dict[str, str] = field(default_factory=dict[str, str])
    stalls_ms: dict[str, float] | None = None
    """p50, p99, max: how late the event loop came to a timer, at its worst."""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share (0.95) of the values lies: the nearest one, not a mean of two."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def spread(values: Sequence[float], shares: Iterable[float] = (0.5, 0.95)) -> dict[str, float]:
    """Return {"p50": …, "p95": …, "max": …} of seconds, in milliseconds."""
    found = {f"p{round(share * 100)}": round(percentile(values, share) * 1000, 4) for share in shares}
    return {**found, "max": round(max(values, default=0.0) * 1000, 4)}


def tenths(marks: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the seconds that the first and the last tenth of the steps took, by the times at which steps were done.

    Counted from the first step on, so that what comes before it doesn't count.
    """
    count = len(marks) // 10
    if count == 0:
        return None, None
    ordered = sorted(marks)
    return ordered[count] - ordered[0], ordered[-1] - ordered[-1 - count]


def latency(work: Workload, marks: Sequence[float], start: float) -> dict[str, float]:
    """Return the latency that a workload asks for, by the times at which its steps were done.

    `fan`: from the start of the run to each step's end. Others: the gaps between successive steps. Of `runs` it
    is the time from a run's start to its end, which isn't in `marks`: use `spread` for that.
    """
    ordered = sorted(marks)
    if work.name == "fan":
        return spread([mark - start for mark in ordered])
    return spread([after - before for before, after in pairwise(ordered)])


def cpu(pid: int | None = None) -> float:
    """Return the CPU seconds so far of this process with its ended children, or of another living process."""
    if pid is None:
        used = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        return sum(one.ru_utime + one.ru_stime for one in used)
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_rss_mb() -> float:
    """Return the largest resident size that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if platform.system() == "Darwin" else 1024), 1)


def pss_mb(pid: int) -> float | None:
    """Return the proportional set size of another process now; None where the system doesn't tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), None)
    return None if line is None else round(int(line.split()[1]) / 1024, 1)


def allocated(*paths: Path) -> int:
    """Return the bytes of allocated blocks of files, or of all files in folders; `database` names those of SQLite."""
    files = [file for path in paths for file in ((path,) if path.is_file() else path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_blocks * 512 for file in files)


def database(path: Path) -> list[Path]:
    """Return the files of a SQLite database that are there: itself, its log, its index of the log."""
    return [file for file in (path.with_name(path.name + end) for end in ("", "-wal", "-shm")) if file.exists()]


def load(module: str) -> Any:
    """Import a peer's module. The project's own environment, in which types are checked, hasn't got it."""
    return importlib.import_module(module)


def sqlite_versions() -> dict[str, str]:
    """Return the versions of Python and of the interpreter's SQLite; add the library's own."""
    return {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}


class Clock:
    """Times a run: `with Clock() as clock: …`, then `clock.start`, `clock.seconds` and `clock.cpu`.

    Give it the id of a peer's server, so that its CPU time counts too.
    """

    def __init__(self, *servers: int) -> None:
        """Name the processes whose CPU time counts besides ours."""
        self._servers = servers
        self.start = self.seconds = self.cpu = 0.0

    def _used(self) -> float:
        return cpu() + sum(cpu(pid) for pid in self._servers)

    def __enter__(self) -> Clock:
        """Start, with the garbage of the preparations collected: else that pause falls into some runs only."""
        gc.collect()
        self.cpu = self._used()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.start
        self.cpu = self._used() - self.cpu


def main(system: str, run: Callable[[Task], Report | list[Report]], promises: Sequence[str] = PROMISES) -> None:
    """Read the arguments, do one repetition and print its report; exits with 1 when the result was wrong.

    `run` may return several reports, of systems that it names itself.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("workload", choices=list(SIZES))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--promise", choices=promises, default=promises[0])
    parser.add_argument("--cap", type=float, help="seconds after which to stop and report what is done")
    parser.add_argument("--folder", type=Path, help="a fresh folder; default: a temporary one")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix=f"bench-{system}-"))
    folder.mkdir(parents=True, exist_ok=True)
    work = workload(given.workload, given.scale)
    try:
        made = run(Task(work, given.promise, given.cap, folder))
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    reports = made if isinstance(made, list) else [made]
    for report in reports:
        report.system = report.system or system
        report.workload, report.scale, report.promise = work.name, work.scale, given.promise
        report.planned_steps = work.planned_steps
        report.peak_rss_mb = report.peak_rss_mb or peak_rss_mb()
        emit(report)
    if not all(report.verified for report in reports):
        raise SystemExit(1)


def emit(report: Report) -> None:
    """Print a report as a line."""
    print(json.dumps(asdict(report)), flush=True)
