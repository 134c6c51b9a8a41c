"""Commands that only look: they make nothing, and tell when nobody executes a run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

KINDS = """\
from pydantic import BaseModel
from agentflow.steps import step_type
from agentflow.steps.contract import Result


class Config(BaseModel):
    text: str


@step_type("shout", config=Config)
async def shout(config, ctx):
    \"\"\"Says it louder.\"\"\"
    return Result(config.text.upper())
"""


def hanging(project: Any, folder: Path) -> Any:
    """Start a run in a process of its own, and return it when it is in the middle of a step."""
    process = project.start("run", "slow")
    limit = time.monotonic() + 60
    while not (folder / "hanging").exists():
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def killed(project: Any, folder: Path) -> None:
    """Leave a run behind whose process was killed in the middle of a step."""
    process = hanging(project, folder)
    process.kill()
    process.communicate(timeout=60)


def test_the_list_says_which_run_no_process_executes_and_what_carries_it_on(project: Any, tmp_path: Path) -> None:
    killed(project, tmp_path)
    done = project.run("runs", "list")
    row = done.stdout.splitlines()[1].split("\t")
    assert row[1:4] == ["working", "slow", "no process runs it: hang"]
    assert done.stderr == f"! no process runs {row[0][-6:]}: agentflow runs watch {row[0][-6:]} carries it on\n"
    assert project.json("runs", "list")["runs"][0]["hosted"] is False


def test_show_says_that_no_process_executes_the_run(project: Any, tmp_path: Path) -> None:
    killed(project, tmp_path)
    lines = project.run("runs", "show").stdout.splitlines()
    short = lines[0].split()[1]
    assert lines[1] == f"! no process runs it: agentflow runs watch {short} carries it on"
    document = project.json("runs", "show")
    assert document["hosted"] is False
    assert {step["step"]: step["why"] for step in document["steps"]}["hang"] == "no process runs it"


KEYS = """
workflows:
  box:
    steps:
      - id: stage
        type: sequence
        concurrency: {key: deploy, limit: 1}
        steps: [{id: ask, type: wait_for_input, message: "Really?"}]
  quick:
    steps: [{id: a, type: set, value: 1, concurrency: {key: deploy, limit: 1}}]
"""


def test_show_says_who_holds_the_key_that_a_step_waits_for_and_what_frees_it(project: Any, tmp_path: Path) -> None:
    (tmp_path / "agentflow.yaml").write_text(KEYS, encoding="utf-8")
    project.run("run", "box", "-q")
    holder = project.run("runs", "list").stdout.splitlines()[1].split("\t")[0][-6:]
    waiting = project.start("run", "quick")
    limit = time.monotonic() + 60
    while "waits for" not in (shown := project.run("runs", "show").stdout):
        assert time.monotonic() < limit
    assert f"waits for `deploy` (1 of 1 held by run {holder}, step stage)" in shown
    assert shown.splitlines()[1] == (
        f"! run {holder} holds `deploy` and waits for an answer: agentflow runs show {holder};"
        f" agentflow runs cancel {holder} ends it"
    )
    project.run("runs", "pause", holder)
    assert f"is paused: agentflow runs unpause {holder} carries it on" in project.run("runs", "show").stdout
    project.run("runs", "cancel", holder)
    assert waiting.communicate(timeout=60) is not None
    assert waiting.returncode == 0


def test_a_run_that_is_executed_waits_or_has_ended_is_not_called_abandoned(project: Any, tmp_path: Path) -> None:
    project.run("run", "hello", "-q")
    project.run("run", "report", "-q")
    process = hanging(project, tmp_path)
    try:
        done = project.run("runs", "list")
        hosted = {run["workflow"]: run["hosted"] for run in project.json("runs", "list")["runs"]}
        assert "no process" not in done.stdout + done.stderr + project.run("runs", "show").stdout
        assert (hosted["slow"], hosted["hello"]) == (True, None)
    finally:
        (tmp_path / "go").write_text("", encoding="utf-8")
        process.communicate(timeout=60)
    assert "no process" not in project.run("runs", "list").stderr


@pytest.mark.parametrize(
    "arguments",
    [["runs", "list"], ["waits"], ["runs", "purge", "--older-than", "1d", "--yes"]],
    ids=" ".join,
)
def test_a_command_that_lists_makes_no_store(project: Any, tmp_path: Path, arguments: list[str]) -> None:
    done = project.run(*arguments, "--json")
    assert (done.returncode, bool(json.loads(done.stdout))) == (0, True), done.stderr
    assert not (tmp_path / ".agentflow").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "show"],
        ["runs", "watch"],
        ["runs", "cancel", "abcdef"],
        ["runs", "retry", "abcdef"],
        ["waits", "show", "abcdef"],
        ["waits", "answer", "abcdef", "--data", "1"],
    ],
    ids=" ".join,
)
def test_a_command_that_needs_a_run_says_there_is_no_store_and_makes_none(
    project: Any, tmp_path: Path, arguments: list[str]
) -> None:
    done = project.run(*arguments)
    kind = "wait" if arguments[0] == "waits" else "run"
    assert done.returncode == 66
    assert done.stderr.splitlines() == [
        f"error[AF-{kind.upper()}-UNKNOWN]: no store here yet, so there is no {kind}",
        f"  looked for {tmp_path / '.agentflow' / 'runs.db'}",
        "  hint: the first run makes it: agentflow run",
    ]
    assert not (tmp_path / ".agentflow").exists()


def test_a_store_named_by_a_url_is_found_and_not_made(project: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'there.db'}"
    assert project.run("runs", "show", "--store", url).returncode == 66
    assert not (tmp_path / "there.db").exists()
    assert project.run("run", "hello", "-q", "--store", url).returncode == 0
    assert len(project.json("runs", "list", "--store", url)["runs"]) == 1


def test_a_run_with_a_step_type_of_its_own_is_run_and_shown(project: Any, tmp_path: Path) -> None:
    (tmp_path / "kinds.py").write_text(KINDS, encoding="utf-8")
    config = "python: {modules: [kinds]}\nworkflows: {main: {steps: [{id: say, type: shout, text: hello}]}}\n"
    (tmp_path / "agentflow.yaml").write_text(config, encoding="utf-8")
    assert project.run("validate").returncode == 0
    done = project.run("run", "main")
    assert (done.returncode, done.stdout) == (0, '"HELLO"\n'), done.stderr
    assert "output  HELLO\n" in project.run("runs", "show").stdout
    assert project.run("steps", "shout").stdout.startswith("shout: Says it louder.\n")
