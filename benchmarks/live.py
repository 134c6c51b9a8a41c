"""What the live view costs: a fan-out on a terminal, with the view and with -q, in turn. Exits 1 beyond the limit.

Runs alternate, so that a busy machine slows both; the fastest of each are compared.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from verdict import AT_MOST, Ratio, conclude

LIMIT = 1.3
CONFIG = """\
python: {modules: [work]}
workflows:
  fan:
    input: {n: integer}
    steps:
      - {id: list, type: python, function: "work:items", input: {n: "{input.n}"}}
      - {id: each, for_each: "{steps.list}", type: python, function: "work:one", input: {n: "{item}"}}
    output: ok
"""
WORK = """\
import asyncio


def items(n):
    return list(range(n))


async def one(n):
    await asyncio.sleep(0.02)
    return n
"""


def seconds(folder: Path, items: int, *flags: str) -> float:
    """Run the fan-out on a terminal of its own; returns how long it took."""
    terminal, end = pty.openpty()
    command = [str(Path(sys.executable).with_name("agentflow")), "run", "fan", "-i", f"n={items}", *flags]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=end,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
    ) as running:
        os.close(end)
        seen = b""
        try:
            while chunk := os.read(terminal, 65536):
                seen = seen[-65536:] + chunk
        except OSError:  # a terminal whose other end is closed
            pass
        os.close(terminal)
    took = time.perf_counter() - began
    if running.returncode != 0 or b'"ok"' not in seen:
        raise SystemExit(f"{' '.join(command)} failed: {seen.decode(errors='replace')}")
    return took


def measure(items: int, rounds: int) -> list[Ratio]:
    """Measure; prints the times."""
    live: list[float] = []
    quiet: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
        (folder / "work.py").write_text(WORK, encoding="utf-8")
        for _ in range(rounds):
            live.append(seconds(folder, items))
            quiet.append(seconds(folder, items, "-q"))
    ratios = [one / other for one, other in zip(live, quiet, strict=True)]
    print(f"{items} items of 20 ms, live view: {min(live):.2f} s, -q: {min(quiet):.2f} s")
    name = f"a fan-out of {items} items with the live view / with -q"
    return [Ratio(name, min(live) / min(quiet), AT_MOST, LIMIT, (min(ratios), max(ratios)))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    conclude(measure(given.items, given.rounds))
