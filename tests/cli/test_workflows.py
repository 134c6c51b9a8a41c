"""`agentflow workflows`, and a `run` that names none."""

from __future__ import annotations

import sys

import pytest

from tests.cli.project import Project
from tests.cli.test_terminal import rest, terminal

TWO = """\
workflows:
  greet:
    description: Says hello.
    input: {name: string, loud: boolean?}
    entry_points: [{id: short, starts_at: say}]
    triggers: [{type: schedule, cron: "0 9 * * *"}]
    steps:
      - {id: say, type: set, values: {text: "hello {input.name}"}}
  plain:
    steps:
      - {id: a, type: set, values: {x: 1}}
"""


@pytest.fixture
def two(project: Project) -> Project:
    """A config with two workflows."""
    (project.folder / "agentflow.yaml").write_text(TWO, encoding="utf-8")
    return project


def test_workflows_are_listed_with_what_they_take_and_their_last_run(two: Project) -> None:
    before = two.json_of("workflows", "--json")["workflows"]
    assert [(each["id"], each["last_run"]) for each in before] == [("greet", None), ("plain", None)]
    assert two.run("run", "greet", "--input", "name=Ana").returncode == 0

    greet, plain = two.json_of("workflows", "--json")["workflows"]
    assert greet["input"]["required"] == ["name"]
    assert [point["id"] for point in greet["entry_points"]] == ["short"]
    assert [trigger["cron"] for trigger in greet["triggers"]] == ["0 9 * * *"]
    assert greet["last_run"]["state"] == "completed"
    assert plain["last_run"] is None

    head, first, second = (line.split("\t") for line in two.run("workflows").stdout.splitlines())
    assert head == ["WORKFLOW", "LAST RUN", "INPUT", "ENTRY POINTS", "TRIGGERS", "DOES"]
    assert first[1].startswith(f"completed {greet['last_run']['id']} ")
    assert [first[0], *first[2:]] == ["greet", "name loud?", "short", "schedule 0 9 * * *", "Says hello."]
    assert second == ["plain", "-", "-", "-", "-", ""]


def test_a_run_that_names_no_workflow_lists_a_command_for_each_where_it_cannot_ask(two: Project) -> None:
    done = two.run("run")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "error[AF-USAGE]: agentflow.yaml has 2 workflows: say which one to run"
    assert lines[2:] == ["  hint: agentflow run plain"]
    command = lines[1].removeprefix("  hint: agentflow ")
    assert two.run(*command.split()).returncode == 0


def test_a_run_of_the_only_workflow_needs_no_name(project: Project) -> None:
    (project.folder / "agentflow.yaml").write_text(TWO[: TWO.index("  plain:")], encoding="utf-8")
    assert project.run("run", "--input", "name=Ana").stdout == '{"text": "hello Ana"}\n'


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_terminal_a_run_offers_the_workflows_and_asks_for_the_input(two: Project) -> None:
    with terminal(two, "run") as child:
        child.expect("agentflow.yaml has 2 workflows:")
        child.expect("plain")
        child.send("\r")
        child.expect("name .*: ")
        child.send("Ana\r")
        child.expect("loud .*: ")
        child.send("\r")
        text = rest(child)
        assert child.exitstatus == 0, text
        assert text.rstrip().endswith('{"text": "hello Ana"}')


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_who_leaves_the_choice_starts_nothing(two: Project) -> None:
    with terminal(two, "run") as child:
        child.expect("plain")
        child.send("\x1b")
        assert "Nothing was started." in rest(child)
        assert child.exitstatus == 130
    assert two.json("runs", "list") == {"runs": [], "total": 0}
