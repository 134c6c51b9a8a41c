"""`agentflow init`: each template is valid, has tests that pass, and runs."""

from __future__ import annotations

import errno
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentflow.cli.actions.init import TEMPLATES, init
from agentflow.cli.options import Common
from agentflow.cli.schema_file import MODELINE, SCHEMA
from agentflow.codes import door
from agentflow.errors import InputError
from tests.cli.forks import Forker
from tests.cli.project import LIMIT, Project, clean_environ
from tests.cli.test_terminal import rest, terminal

ASKS = {"hello": None, "approval": "pay", "agent": "post"}
"""Template → the step of its run that waits for somebody."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> dict[str, Project]:
    """A project of each template."""
    folder = tmp_path_factory.mktemp("init")
    for name in TEMPLATES:
        assert Project(folder, forker).run("init", name, "--template", name).returncode == 0
    return {name: Project(folder / name, forker) for name in TEMPLATES}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_validates_without_a_warning(made: dict[str, Project], template: str) -> None:
    checked = made[template].json_of("validate", "--strict", "--json")
    assert (checked["ok"], checked["problems"], checked["needs"]) == (True, [], {})


@pytest.mark.slow
def test_the_tests_of_the_templates_pass(made: dict[str, Project]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib"]
    folder = next(iter(made.values())).folder.parent
    done = subprocess.run(
        [*command, *TEMPLATES],
        cwd=folder,
        env=clean_environ(),
        timeout=LIMIT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{2 * len(TEMPLATES)} passed" in done.stdout


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_run_of_a_template_completes_or_asks_and_completes_then(made: dict[str, Project], template: str) -> None:
    environ, step = {"ANTHROPIC_API_KEY": ""}, ASKS[template]
    done = made[template].run("run", "--json", **environ)
    if step is not None:
        assert done.returncode == door("AF-WAIT-OPEN").exit_code, done.stderr
        assert [wait["step"] for wait in json.loads(done.stdout)["waits"]] == [step]
        done = made[template].run("run", "--json", "--answer", f'{step}={{"decision": "approve"}}', **environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "completed"


def test_the_commands_of_a_readme_work(made: dict[str, Project]) -> None:
    lines = (made["hello"].folder / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("    agentflow")]
    assert len(commands) == 4
    assert [made["hello"].run(*command).returncode for command in commands] == [0, 0, 0, 0]


@pytest.mark.parametrize("template", TEMPLATES)
def test_editors_find_the_schema_that_the_config_names(made: dict[str, Project], template: str) -> None:
    folder = made[template].folder
    first = (folder / "agentflow.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == MODELINE
    assert "workflows" in json.loads((folder / SCHEMA).read_text(encoding="utf-8"))["$defs"]["ConfigFile"]["properties"]
    assert 5 <= len((folder / "README.md").read_text(encoding="utf-8").splitlines()) <= 15


def test_init_replaces_no_file_and_writes_nothing_then(tmp_path: Path, forker: Forker) -> None:
    (tmp_path / "steps.py").write_text("mine", encoding="utf-8")
    done = Project(tmp_path, forker).run("init")
    assert done.returncode == door("AF-INIT-EXISTS").exit_code
    assert done.stderr.startswith("error[AF-INIT-EXISTS]: there is steps.py already in ")
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("steps.py", "mine")]


def test_a_template_that_is_not_there_is_wrong_use(tmp_path: Path, forker: Forker) -> None:
    done = Project(tmp_path, forker).run("init", "--template", "nope")
    assert done.returncode == 2
    assert "one of: hello, approval, agent" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_terminal_the_template_is_chosen_and_the_next_commands_work(tmp_path: Path, forker: Forker) -> None:
    with terminal(Project(tmp_path, forker), "init", "demo") as child:
        child.expect("approves first .*approval")
        child.send("approval\r")
        text = rest(child)
        assert child.exitstatus == 0, text
        assert "cd demo" in text
        assert "agentflow run" in text
    with terminal(Project(tmp_path / "demo", forker), "run") as child:
        child.expect("Pay 120 euros back to Ana")
        child.expect("approve")
        child.send("\x1b")
        assert "agentflow waits answer" in rest(child)
        assert child.exitstatus == door("AF-WAIT-OPEN").exit_code


def test_a_folder_that_looks_like_an_option_or_has_no_name_is_told_well(tmp_path: Path, forker: Forker) -> None:
    here = Project(tmp_path, forker)
    made = here.run("init", "--template", "hello", "--", "-dash")
    assert "cd ./-dash" in made.stderr
    nameless = here.run("init", "", "--template", "hello")
    assert (nameless.returncode, [each.name for each in tmp_path.iterdir()]) == (2, ["-dash"])


def test_nothing_is_left_where_a_project_cannot_be_written_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Any = Path.open

    def opened(path: Path, mode: str = "r", **kwargs: Any) -> object:
        if (path.name, mode) == ("steps.py", "x"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(InputError, match="no space left on device") as told:
        init(Common(), str(tmp_path), "hello")
    assert told.value.why == "nothing was left there"
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []
