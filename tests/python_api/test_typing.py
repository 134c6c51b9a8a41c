"""Two strict type checkers accept right uses of the Python API, and refuse wrong ones at exactly their lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RIGHT = HERE / "right_uses.py"
WRONG = (HERE / "wrong_uses.txt").read_text(encoding="utf-8")
"""A module that type checkers refuse where it says so; as text, since everything else here has to be right."""
REFUSED = [number for number, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# refused")]


def run(*command: str) -> str:
    return subprocess.run([*command], capture_output=True, text=True, check=False, cwd=HERE.parent.parent).stdout


def basedpyright(*files: Path) -> dict[str, list[int]]:
    """Return the lines at which it reports errors, by file."""
    told = json.loads(
        run(sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, *map(str, files))
    )
    found: dict[str, list[int]] = {file.name: [] for file in files}
    for each in told["generalDiagnostics"]:
        found[Path(each["file"]).name].append(each["range"]["start"]["line"] + 1)
    return {name: sorted(set(lines)) for name, lines in found.items()}


def mypy(folder: Path, *files: Path) -> dict[str, list[int]]:
    """Return the lines at which it reports errors, by file."""
    options = ("--strict", "--follow-imports=silent", "--no-error-summary", "--output=json", "--cache-dir", str(folder))
    told = run(sys.executable, "-m", "mypy", *options, *map(str, files))
    found: dict[str, list[int]] = {file.name: [] for file in files}
    for each in map(json.loads, told.splitlines()):
        if each["severity"] == "error":
            found[Path(each["file"]).name].append(each["line"])
    return {name: sorted(set(lines)) for name, lines in found.items()}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("uses") / "wrong_uses.py"
    file.write_text(WRONG, encoding="utf-8")
    return file


@pytest.mark.slow
def test_basedpyright_accepts_right_uses_and_refuses_wrong_ones_at_their_lines(wrong: Path) -> None:
    assert len(REFUSED) >= 20
    assert basedpyright(RIGHT, wrong) == {"right_uses.py": [], "wrong_uses.py": REFUSED}


@pytest.mark.slow
def test_mypy_accepts_right_uses_and_refuses_wrong_ones_at_their_lines(wrong: Path, tmp_path: Path) -> None:
    assert mypy(tmp_path, RIGHT, wrong) == {"right_uses.py": [], "wrong_uses.py": REFUSED}
