"""How late the event loop comes to a timer while it is busy with `runs` and `dag10k`, strict; on a slowed disk too.

Prints milliseconds, each repetition in a process of its own, and what is asked of them; asserts nothing.

    python benchmarks/stalls.py [--repeat 3] [--scale 1] [--sync 0.02]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "systems"))

import anyio
from ours import repetition
from protocol import Task
from workloads import workload

from agentflow.testing import slow_disk

WORKLOADS = ("runs", "dag10k")
LIMITS = {"p99": 15.0, "max": 50.0}
"""Milliseconds that a loop may stall at strict durability."""


def one(name: str, scale: float, sync: float) -> None:
    """Do one repetition, and print what came of it as a line."""
    with tempfile.TemporaryDirectory(prefix="stalls-") as folder, slow_disk(sync) if sync else nullcontext() as disk:
        task = Task(workload(name, scale), "strict", None, Path(folder))
        report = anyio.run(repetition, task, list[Any](), lambda: None)
    syncs = {"syncs": disk.syncs, "on_loop": disk.on_loop} if disk is not None else {}
    print(json.dumps({"stalls": report.stalls_ms, "seconds": report.seconds, "verified": report.verified, **syncs}))


def measure(name: str, scale: float, sync: float) -> dict[str, Any]:
    """Do one repetition in a process of its own."""
    argv = [sys.executable, __file__, "--one", name, "--scale", str(scale), "--sync", str(sync)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(repeat: int, scale: float, sync: float) -> None:
    """Print the figures of all repetitions."""
    print(f"{'workload':10}{'sync':>8}{'p50':>8}{'p99':>8}{'longest':>9}{'seconds':>9}  (ms; p99 < 15, longest < 50)")
    for name in WORKLOADS:
        for slowed in (0.0, sync):
            for _ in range(repeat):
                found = measure(name, scale, slowed)
                late = found["stalls"]
                over = [f"{what} over {limit:g}" for what, limit in LIMITS.items() if late[what] >= limit]
                if not found["verified"]:
                    over.append("the results are wrong")
                if slowed:
                    over.append(f"{found['on_loop']} of {found['syncs']} syncs on the loop")
                figures = f"{late['p50']:8.2f}{late['p99']:8.2f}{late['max']:9.2f}{found['seconds']:9.2f}"
                disk = f"+{slowed * 1000:g} ms" if slowed else "disk"
                print(f"{name:10}{disk:>8}{figures}  {', '.join(over)}", flush=True)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--sync", type=float, default=0.02, help="seconds that each sync of the slowed disk takes longer"
    )
    parser.add_argument("--one", choices=WORKLOADS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.scale, given.sync)
    else:
        table(given.repeat, given.scale, given.sync)


if __name__ == "__main__":
    main()
