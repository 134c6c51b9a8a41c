"""The layout that the design fixes: what the wheel holds, how long things may get, what no file mentions."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trees import statements

ROOT = Path(__file__).parent.parent
TOP = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "a2a",
    "agentflow",
    "benchmarks",
    "constraints.txt",
    "docs",
    "examples",
    "mcp_server",
    "pyproject.toml",
    "tests",
    "typings",
}
CODE = ("agentflow", "a2a", "mcp_server", "tests", "benchmarks", "examples", "docs")

LONG_FILES: dict[str, str] = {}
"""Files of more than 400 lines, with the reason. Shorten the list, don't lengthen it; 600 is the end."""
LONG_FUNCTIONS: dict[str, str] = {}
"""`file:function` of more than 50 lines, with the reason."""
FORBIDDEN = re.compile(
    "|".join((r"\.\./" + "shared", "/" + r"work/\w", "pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.org"))
)


def _files(*suffixes: str) -> Iterator[Path]:
    for name in (*CODE, *sorted(TOP - set(CODE))):
        path = ROOT / name
        for file in sorted(_below(path)) if path.is_dir() else [path]:
            if file.suffix in suffixes and file.is_file() and not file.name.startswith("."):
                yield file


def _below(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        left = {"__pycache__", "node_modules"}  # neither in git, as what benchmarks leave behind
        left |= {"results"} if folder == str(ROOT / "benchmarks") else set()
        folders[:] = [name for name in folders if name not in left and not name.startswith(".")]
        yield from (Path(folder, name) for name in names)


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_the_top_level_holds_only_what_the_design_names() -> None:
    here = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert here - {"build", "dist", "uv.lock", "node_modules"} <= TOP


def test_the_source_folders_of_the_surfaces_are_no_packages() -> None:
    for folder in ("a2a", "mcp_server"):
        assert not (ROOT / folder / "__init__.py").exists()
    for shadow in ("a2a", "mcp", "mcp_server"):
        assert not (ROOT / "tests" / shadow).exists(), "it would shadow an SDK; use tests/surface_*"


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_wheel_ships_our_packages_and_no_name_of_others(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"agentflow", "agentflow_a2a", "agentflow_mcp"}
    assert wheel.name.startswith("agentflow_workflows-")
    assert "agentflow/py.typed" in names
    assert {f"agentflow/templates/hello/{name}" for name in ("agentflow.yaml", "gitignore", "steps.py")} <= {*names}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_files_keep_to_their_budget() -> None:
    long = {_name(f): n for f in _files(".py") if (n := len(f.read_text(encoding="utf-8").splitlines())) > 400}
    over = [f"{name}: {n} lines" for name, n in long.items() if n > 600 or name not in LONG_FILES]
    assert not over, "\n".join(over)
    assert LONG_FILES.keys() <= long.keys(), "short enough now: take it off the list"


def test_functions_keep_to_their_budget() -> None:
    long: dict[str, int] = {}
    for file in _files(".py"):
        for node in statements(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node, clean=False) else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > 50:
                    long[f"{_name(file)}:{node.name}"] = lines
    over = [f"{name}: {n} lines" for name, n in long.items() if name not in LONG_FUNCTIONS]
    assert not over, "\n".join(over)
    assert LONG_FUNCTIONS.keys() <= long.keys(), "short enough now: take it off the list"


@pytest.mark.parametrize("stub", ["raise NotImplementedError", "TODO", "FIXME", "XXX"])
def test_nothing_is_left_unfinished(stub: str) -> None:
    word = re.compile(rf"\b{stub}\b")
    found = [_name(f) for f in _files(".py") if f != Path(__file__) and word.search(f.read_text(encoding="utf-8"))]
    assert not found


def test_no_file_mentions_places_that_users_do_not_have() -> None:
    suffixes = ("", ".cfg", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml")
    found = {
        f"{_name(file)}:{number}": line.strip()
        for file in _files(*suffixes)
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN.search(line)
    }
    assert not found


def test_pins_name_no_hosts() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][^\s;]*( ; .+)?", line) for line in lines)
