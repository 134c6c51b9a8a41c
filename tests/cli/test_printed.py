"""Every command that is printed can be pasted: it is read by a shell's rules, and does what it is for."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.project import Project

COMMAND = re.compile(r"(?:^|(?<=[\s`(\"]))agentflow [a-z][^\n`]*")
WAITING: tuple[tuple[str, ...], ...] = (
    ("run",),
    ("run", "nothing"),
    ("run", "report"),
    ("run", "report", "--input", "regoin=emea"),
    ("waits",),
    ("waits", "show", "@last"),
    ("waits", "answer", "@last"),
    ("waits", "answer", "@last", "--set", "decision=perhaps"),
    ("waits", "show", "zzzzzz"),
    ("runs", "show", "@last"),
    ("runs", "list"),
    ("runs", "pause", "@last"),
    ("runs", "show", "@last"),
)
ENDED: tuple[tuple[str, ...], ...] = (
    ("runs", "list"),
    ("run", "failing"),
    ("runs", "show", "@last"),
    ("runs", "watch", "@last"),
    ("waits", "answer", "@last", "--data", "1"),
    ("workflows",),
    ("validate", "nothing.yaml"),
    ("explain", "AF-WAIT-INVALD"),
    ("doctor",),
    ("graph", "report"),
    ("runs", "usage"),
)
EVENT: tuple[tuple[str, ...], ...] = (
    ("run", "event"),
    ("waits",),
    ("waits", "show", "@last"),
    ("runs", "show", "@last"),
)
BRIEF: tuple[tuple[str, ...], ...] = (("run", "report"), ("waits", "show", "@last"))
FINE = frozenset({0, 1, 75, 124})
"""Done; the run failed, as it does; parked: the run waits for the next answer; watched for as long as was said."""

ASKS = re.compile(r"say which one to run|needs a yes|not a terminal|isn't a terminal")
"""It would ask on a terminal."""


def printed(project: Project, *arguments: str) -> list[str]:
    """Return the commands that a command prints."""
    done = project.run(*arguments)
    return [found.strip() for line in (done.stdout + done.stderr).splitlines() for found in COMMAND.findall(line)]


def works(project: Project, text: str, folder: Path) -> bool:
    """Tell whether a command works in a copy of a project: as it stands, or before what is said of it."""
    words = [word.rstrip(",;:)") for word in shlex.split(text)]
    for end in range(len(words), 1, -1):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(project.folder, folder)
        (folder / "answer.json").write_text('{"decision": "approve"}', encoding="utf-8")
        (folder / "go").touch()
        brief = ["--timeout", "300ms"] if words[1:3] == ["runs", "watch"] else []
        done = Project(folder, project.forker).run(*words[1:end], *brief)
        if done.returncode in FINE or ASKS.search(done.stderr):
            return True
    return False


@pytest.mark.parametrize(
    ("steps", "least"),
    [
        pytest.param(BRIEF, 1, id="brief"),
        pytest.param(EVENT, 2, id="event"),
        pytest.param(WAITING, 9, id="waiting", marks=pytest.mark.slow),
        pytest.param(ENDED, 3, id="ended", marks=pytest.mark.slow),
    ],
)
def test_a_printed_command_works_when_it_is_pasted(
    project: Project, tmp_path_factory: pytest.TempPathFactory, steps: tuple[tuple[str, ...], ...], least: int
) -> None:
    copy = tmp_path_factory.mktemp("pasted") / "copy"
    tried: dict[str, bool] = {}
    for step in steps:
        for text in printed(project, *step):
            if text not in tried:
                tried[text] = works(project, text, copy)
    assert [text for text, worked in tried.items() if not worked] == []
    assert len(tried) >= least, tried
