"""`make demo` ends well, with a terminal and without one."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Return the demo's driver in a small repository of its own."""
    folder = tmp_path / "examples" / "demo"
    shutil.copytree(ROOT / "examples" / "demo", folder, ignore=shutil.ignore_patterns(".agentflow", "__pycache__"))
    for name, lines in (("one.py", 10), ("two.py", 20), ("three.py", 500)):
        file = tmp_path / "agentflow" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("pass\n" * lines, encoding="utf-8")
    return folder / "run.py"


def _expected(decision: str) -> dict[str, object]:
    longest = {"file": "agentflow/three.py", "lines": 500}
    verdict = "agentflow/three.py is longer than 400 lines"
    return {"files": 3, "lines": 530, "longest": longest, "verdict": verdict, "decision": decision, "note": None}


def test_without_a_terminal_a_second_process_answers(demo: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(demo)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == _expected("keep")
    assert "waits answer" in done.stderr
    assert "busy" in done.stderr or "2 attempts" in done.stderr, "the retry is seen"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_terminal_it_asks(demo: Path) -> None:
    pexpect: Any = importlib.import_module("pexpect")  # untyped
    child = pexpect.spawn(sys.executable, [str(demo)], encoding="utf-8", timeout=60, dimensions=(40, 120))
    child.expect("Keep the report")
    child.expect("decision")
    child.expect("drop")
    child.sendline("drop")
    child.expect("note")
    child.sendline("")
    child.expect("completed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert '"decision"' in child.before
