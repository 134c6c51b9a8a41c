"""`agentflow graph`: drawn in a terminal, Mermaid in a pipe, files by their suffix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.forks import Forker
from tests.cli.project import Project, make
from tests.cli.test_terminal import rest, terminal


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Project:
    """A project with the usual workflows."""
    return make(tmp_path_factory.mktemp("graph"), forker)


def test_a_pipe_gets_mermaid_and_text_on_demand(project: Project) -> None:
    assert project.run("graph", "report").stdout.startswith("flowchart LR")
    drawn = project.run("graph", "report", "--format", "text").stdout
    assert "review  wait_for_input [waits for a person]" in drawn
    assert "\x1b" not in drawn
    assert "◆" not in project.run("graph", "report", "--format", "text", PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize(
    ("name", "begin"),
    [("a/flow.svg", "<svg "), ("flow.mmd", "flowchart"), ("flow.dot", "digraph"), ("flow.json", "{"), ("f.txt", "●")],
)
def test_the_suffix_of_a_file_says_its_format(project: Project, name: str, begin: str) -> None:
    done = project.run("graph", "report", "-o", name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {name}\n")
    assert (project.folder / name).read_text(encoding="utf-8").startswith(begin)


def test_a_file_that_cannot_be_written_is_told(project: Project, tmp_path: Path) -> None:
    done = project.run("graph", "report", "-o", str(tmp_path))
    assert done.returncode == 65
    assert "can't write" in done.stderr


def test_an_unknown_format_lists_those_that_there_are(project: Project) -> None:
    done = project.run("graph", "report", "--format", "png")
    assert done.returncode == 2
    assert "text, svg, mermaid, dot, json" in done.stderr


def test_a_terminal_gets_a_drawing_in_its_width(project: Project) -> None:
    with terminal(project, "graph", "report", COLUMNS="60", NO_COLOR="1") as child:
        text = rest(child)
    assert child.exitstatus == 0
    assert "[waits for a person]" in text
    assert "\x1b" not in child.before
