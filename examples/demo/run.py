"""Runs the demo by the command line, as a user would: it asks on a terminal; without one a second process answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
AGENTFLOW = str(Path(sys.executable).with_name("agentflow"))
REPORT = HERE / ".agentflow" / "report.md"
PARKED = 75


def agentflow(*words: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run one command in the demo's folder, saying so first."""
    if not capture:
        print("$ agentflow", *words, file=sys.stderr, flush=True)
    here = None if sys.stdin.isatty() else subprocess.DEVNULL
    return subprocess.run(
        [AGENTFLOW, *words], cwd=HERE, stdin=here, stdout=subprocess.PIPE if capture else None, text=True, check=False
    )


def answer() -> int:
    """Answer the run's question from a second process, which carries the run on to its end."""
    print("\nNo terminal here, so a second process answers:", file=sys.stderr)
    listed = agentflow("waits", "list", "--run", "@last", "--json", capture=True).stdout
    waits: list[dict[str, Any]] = json.loads(listed)["waits"]
    answered = agentflow("waits", "answer", waits[0]["id"], "--set", "decision=keep").returncode
    return answered or agentflow("runs", "watch", "@last").returncode


def main() -> int:
    """Run the demo and return its exit code."""
    REPORT.unlink(missing_ok=True)
    code = agentflow("run", "report").returncode
    if code == PARKED and not (sys.stdin.isatty() and sys.stderr.isatty()):
        code = answer()
    if code == 0 and REPORT.exists():
        print(f"\n{REPORT.read_text(encoding='utf-8')}", end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
