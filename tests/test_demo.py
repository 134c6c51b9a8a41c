"""`make demo` asks on a terminal; that it is answered by a second process without one is shown in `test_examples`."""

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


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_terminal_the_demo_asks_and_prints_the_report(demo: Path) -> None:
    pexpect: Any = importlib.import_module("pexpect")  # untyped
    child = pexpect.spawn(sys.executable, [str(demo)], encoding="utf-8", timeout=60, dimensions=(40, 120))
    child.expect("Keep a report")
    child.expect("drop")
    child.send("\r")
    child.expect("title")
    child.send("\r")
    child.expect("top")
    child.send("\r")
    child.expect("completed")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert '"decision": "keep"' in child.before
    assert "# Code of this repository" in child.before


def test_served_to_an_a2a_client_the_demo_asks_it_and_gives_it_the_report(demo: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(demo.with_name("by_a2a.py"))], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decision"] == "keep"
    assert [line for line in done.stderr.splitlines() if line.startswith("← ")] == [
        "← TASK_STATE_INPUT_REQUIRED",
        "← TASK_STATE_COMPLETED",
    ]


def test_started_by_an_mcp_client_the_demo_asks_it_and_gives_it_the_report(demo: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(demo.with_name("by_mcp.py"))], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decision"] == "keep"
    said = done.stderr.splitlines()
    assert [line[0] for line in said if line[0] in "→?!←"] == ["→", "?", "!", "←"]
    assert said[-1] == "← completed"
