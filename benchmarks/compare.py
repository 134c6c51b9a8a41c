"""Measures two revisions of agentflow in turn, side by side, and prints the ratios: above 1 the working tree is faster.

    python benchmarks/compare.py REV [--rounds 5] [--workloads chain fan runs]

Pairs of repetitions, each in a process of its own and in alternating order, so that a busy machine slows both. Ratios
are medians over the pairs, of the time that the workload took, and of the processor time of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
WORKLOADS = ("chain", "fan", "runs", "dag10k", "ctx")


class Took(NamedTuple):
    """One repetition: seconds of the workload, and of the processor."""

    seconds: float
    processor: float


@contextmanager
def revision(name: str) -> Generator[Path]:
    """Check a revision out beside the working tree, and take it away again."""
    folder = Path(tempfile.mkdtemp(prefix="agentflow-"))
    tree = folder / "tree"
    git = ["git", "-C", str(HERE.parent), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(tree), name], check=True)
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def repetition(tree: Path, workload: str, scale: float, place: Path) -> Took:
    """Run a workload with the package of a tree; the script is always that of the working tree."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
    script = HERE / "systems" / "ours.py"
    environ = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, str(script), workload, "--scale", str(scale), "--cap", "120", "--folder", str(folder)]
    before = os.times()
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    after = os.times()
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"system"')]
    if done.returncode or not reports or not all(report["verified"] for report in reports):
        raise SystemExit(f"{workload} in {tree}: {done.stderr.strip() or 'wrong result'}")
    processor = after.children_user - before.children_user + after.children_system - before.children_system
    return Took(sum(report["seconds"] for report in reports), processor)


def compare(old: Path, new: Path, workload: str, rounds: int, place: Path) -> str:
    """Return the line of a workload."""
    scale = {"chain": 30.0, "fan": 50.0, "runs": 2.0}.get(workload, 1.0)  # else it is over before much can be told
    pairs: list[tuple[Took, Took]] = []
    for turn in range(rounds + 1):  # the first one fills caches
        if turn % 2:
            second = repetition(new, workload, scale, place)
            pairs.append((repetition(old, workload, scale, place), second))
        else:
            first = repetition(old, workload, scale, place)
            pairs.append((first, repetition(new, workload, scale, place)))
    told = [f"{workload:8}"]
    for name, field in (("time", "seconds"), ("processor", "processor")):
        ratios = sorted(getattr(a, field) / getattr(b, field) for a, b in pairs[1:])
        told.append(f"{name} {statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    return "  ".join(told)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("revision", help="what the working tree is compared with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--folder", type=Path, help="where databases are made; default: benchmarks/results")
    given = parser.parse_args(arguments)
    place = given.folder or HERE / "results"
    place.mkdir(parents=True, exist_ok=True)
    with revision(given.revision) as old:
        for workload in given.workloads:
            print(compare(old, HERE.parent, workload, given.rounds, place), flush=True)


if __name__ == "__main__":
    main()
