"""The official conformance suite against `agentflow serve`: its tools are workflows of a config file."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.tools import Node
from tests.surface_mcp.web import Web

FIXTURES = Path(__file__).parent / "judged"


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server for all legs of the suite."""
    folder = tmp_path_factory.mktemp("judged")
    for file in FIXTURES.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    made = Web(folder)
    yield made
    assert made.stop() == 0


def checks_of(node: Node, web: Web, folder: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the suite; return its exit code and all its checks."""
    command = node.of("@modelcontextprotocol/conformance", "dist/index.js")
    url = web.url.replace("127.0.0.1", "localhost")
    done = subprocess.run(
        [*command, "server", "--url", f"{url}/mcp", *words, "-o", str(folder)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    checks: list[dict[str, Any]] = []
    for file in sorted(folder.glob("*/checks.json")):
        found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
        checks += [{**check, "scenario": file.parent.name} for check in found]
    assert checks, done.stdout + done.stderr
    return done.returncode, checks


NOTED = {"server-sse-priming-event", "server-sse-retry-field"}
"""Warnings: streams of 2025-11-25 can't be resumed. What goes on is the run, and not the stream."""


def failed(checks: list[dict[str, Any]]) -> list[str]:
    """Return what failed, and why."""
    failures = [each for each in checks if each["status"] == "FAILURE"]
    return [f"{each['id']}: {each.get('errorMessage')}" for each in failures]


@pytest.mark.parametrize(
    ("words", "passed"),
    [
        (("--requirements", "2025-11-25"), 80),
        pytest.param(("--requirements", "2026-07-28"), 190, marks=pytest.mark.slow),
        (("--suite", "all"), 225),
    ],
)
def test_the_official_suite_finds_no_fault(
    node: Node, judged: Web, tmp_path: Path, words: tuple[str, str], passed: int
) -> None:
    code, checks = checks_of(node, judged, tmp_path, *words)
    assert failed(checks) == []
    assert {each["id"] for each in checks if each["status"] == "WARNING"} <= NOTED
    assert code == 0
    assert sum(each["status"] == "SUCCESS" for each in checks) >= passed  # none is left out
    if words != ("--requirements", "2025-11-25"):
        tasks = [each for each in checks if "-tasks-" in each["scenario"] and each["status"] == "SUCCESS"]
        assert len(tasks) >= 44
