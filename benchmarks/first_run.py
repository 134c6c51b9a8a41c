"""From nothing to a finished run, as a new user gets there: prints how long each part takes, and whether in a minute.

A fresh environment, `pip install` of this folder, `agentflow init`, `agentflow run`. Then, not as part of the minute:
each template is checked without a warning, and its own tests are run. It fails where one of these does, and not for the
time: how long an installation takes is the network's and the machine's doing, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMIT = 60.0
"""Seconds that the first finished run may take."""
TEMPLATES = ("hello", "approval", "agent")


def do(command: Sequence[str | Path], folder: Path) -> tuple[float, str]:
    """Run a command in a folder, and return how long it took and what it printed."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AGENTFLOW", "VIRTUAL_ENV"))
    }
    environ.pop("ANTHROPIC_API_KEY", None)
    begun = time.monotonic()
    done = subprocess.run([*command], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    took = time.monotonic() - begun
    if done.returncode:
        shown = " ".join(str(part) for part in command)
        sys.exit(f"first run: {shown} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return took, done.stdout


def main() -> None:
    """Go from nothing to a finished run, and tell how long it took."""
    with tempfile.TemporaryDirectory(prefix="first-run-") as made:
        folder = Path(made)
        tools = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        parts = {
            "python -m venv": ([sys.executable, "-m", "venv", folder / "venv"], folder),
            "pip install": (
                [tools / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT],
                folder,
            ),
            "agentflow init demo": ([tools / "agentflow", "init", "demo"], folder),
            "agentflow run": ([tools / "agentflow", "run", "--json"], folder / "demo"),
        }
        total, printed = 0.0, ""
        for name, (command, place) in parts.items():
            took, printed = do(command, place)
            total += took
            print(f"first run: {name:<20} {took:5.1f} s", flush=True)
        state = json.loads(printed)["state"]
        verdict = "within" if total <= LIMIT else "BEYOND"
        print(f"first run: {state} after {total:.1f} s, {verdict} the {LIMIT:.0f} s wanted", flush=True)
        if state != "completed":
            sys.exit("first run: it didn't complete")
        check_templates(folder, tools)


def check_templates(folder: Path, tools: Path) -> None:
    """Check that each template is told nothing about, and passes its own tests."""
    do([tools / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "pytest"], folder)
    for name in TEMPLATES:
        do([tools / "agentflow", "init", name, "--template", name], folder)
        do([tools / "agentflow", "validate", "--strict"], folder / name)
        took, printed = do([tools / "python", "-m", "pytest", "-q", "-W", "error"], folder / name)
        print(f"first run: template {name:<11} {took:5.1f} s  {printed.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
