"""The README's recording shows what its example does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RECORDING = ROOT / "docs" / "assets" / "run.svg"


def _record(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs" / "record.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_recording_shows_the_readmes_example() -> None:
    done = _record("--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_recording_of_something_else_is_noticed(tmp_path: Path) -> None:
    svg = RECORDING.read_text(encoding="utf-8")
    other = tmp_path / "run.svg"
    other.write_text(svg.replace("Send the report?", "Send it?").replace("prefers-color-scheme", "x"), encoding="utf-8")
    done = _record("--check", "--file", str(other))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "run.svg: it doesn't show: Send the report?; make recording",
        "run.svg: its desc isn't that of docs/record.py; make recording",
        "run.svg: it has no colours for dark pages; make recording",
    ]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_the_recording_can_be_made_anew_from_a_real_run(tmp_path: Path) -> None:
    done = _record("--file", str(tmp_path / "run.svg"))
    assert (done.returncode, done.stderr) == (0, "")
