"""Two projects whose runs are in one store: each shows those of both, and executes its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.forks import Forker
from tests.cli.project import CONFIG, Project, make
from tests.cli.test_reading import killed

TOLD = 'it is of agent "one", and goes on with the config that has this name: -f FILE'


@pytest.fixture
def pair(tmp_path: Path, forker: Forker) -> tuple[Project, Project]:
    """Return the projects of two agents."""
    made: list[Project] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(make(tmp_path / name, forker))
        text = f"name: {name}\nstore: ../runs.db\n{CONFIG.replace('hello {input.name}', f'{name} says hello')}"
        (made[-1].folder / "agentflow.yaml").write_text(text, encoding="utf-8")
    return made[0], made[1]


def test_each_runs_its_own_workflow_of_the_same_id(pair: tuple[Project, Project]) -> None:
    outputs = [project.json_of("run", "hello", "--idempotency-key", "k", "--json")["output"] for project in pair]
    assert outputs == [{"text": "one says hello"}, {"text": "two says hello"}]


def test_a_list_tells_the_agents_where_there_are_several(pair: tuple[Project, Project]) -> None:
    one, two = pair
    one.json_of("run", "hello", "--json")
    assert "AGENT" not in two.run("runs", "list").stdout
    two.json_of("run", "hello", "--json")
    lines = [line.split("\t") for line in one.run("runs", "list").stdout.splitlines()]
    assert [line[-1] for line in lines] == ["AGENT", "two", "one"]
    assert {run["agent"] for run in one.json("runs", "list")["runs"]} == {"one", "two"}


def test_an_answer_from_another_agents_folder_is_kept_for_the_runs_own(pair: tuple[Project, Project]) -> None:
    one, two = pair
    parked = one.run("run", "report", "--json")
    assert parked.returncode == 75, parked.stderr
    told = two.run("runs", "show", "@last")
    assert ("agent: one" in told.stdout, f"! {TOLD}" in told.stdout) == (True, True)
    (wait,) = two.json("waits", "list")["waits"]
    answered = two.run("waits", "answer", wait["id"], "--set", "decision=approve")
    assert (answered.returncode, TOLD in answered.stdout) == (0, True)
    assert two.json("runs", "show", "@last")["state"] == "input-required"
    watched = one.json_of("runs", "watch", "@last", "--json")
    assert (watched["state"], watched["output"]["decision"]) == ("completed", "approve")


@pytest.mark.parametrize(("command", "after"), [("cancel", ("canceled", False)), ("pause", ("input-required", True))])
def test_a_command_from_another_agents_folder_is_kept_for_the_runs_own(
    pair: tuple[Project, Project], command: str, after: tuple[str, bool]
) -> None:
    one, two = pair
    one.run("run", "report", "--json")
    kept = two.run("runs", command, "@last")
    assert kept.returncode == 0, kept.stderr
    assert _state(two) == ("input-required", False)
    one.run("runs", "watch", "@last", "--no-wait", "--json")
    assert _state(one) == after


def _state(project: Project) -> tuple[str, bool]:
    run = project.json("runs", "show", "@last")
    return run["state"], run["paused"]


def test_a_killed_run_is_gone_on_with_by_its_own_agent(pair: tuple[Project, Project]) -> None:
    one, two = pair
    killed(one, one.folder)
    for project in pair:
        (project.folder / "go").touch()
    listed = two.run("runs", "list")
    assert "no process runs" in listed.stderr + listed.stdout
    assert f"no process runs it: {TOLD}" in two.run("runs", "show", "@last").stdout
    watched = two.run("runs", "watch", "@last", "--timeout", "1s")
    assert (watched.returncode, f"! {TOLD}" in watched.stderr, (two.folder / "hanging").exists()) == (124, True, False)
    assert one.json_of("runs", "watch", "@last", "--json")["output"] == {"done": True}
