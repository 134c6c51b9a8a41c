"""Completion in real shells: names of workflows, ids of runs and waits, steps; it reads files, and checks nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest

from agentflow.codes import door
from tests.cli.forks import Forker
from tests.cli.project import Project, make

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell of Unix")
BIN = str(Path(sys.executable).parent)
START = {
    "bash": ["--norc", "--noprofile"],
    "zsh": ["-f"],
    "fish": ["--no-config"],
}
SETUP = {
    "bash": 'PS1="ready> "; bind "set enable-bracketed-paste off"; eval "$(agentflow --show-completion bash)"',
    "zsh": 'PS1="ready> "; autoload -U compinit; compinit -D -u; eval "$(agentflow --show-completion zsh)"',
    "fish": 'function fish_prompt; echo "ready> "; end; agentflow --show-completion fish | source',
}
SLOW = [pytest.param(shell, marks=pytest.mark.slow) for shell in ("zsh", "fish")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Project:
    """A project with a run that waits, and a workflow with an error."""
    project = make(tmp_path_factory.mktemp("completion"), forker)
    assert project.run("run", "report", "--no-ask").returncode == door("AF-WAIT-OPEN").exit_code
    with (project.folder / "agentflow.yaml").open("a", encoding="utf-8") as file:
        file.write("  unfinished: {steps: [{id: zeta, type: not-yet, steps: [{id: inner, type: set}]}]}\n")
    return project


def _completed(project: Project, *words: str, **environ: str) -> list[str]:
    env = {**project.environ, "COMP_WORDS": " ".join(("agentflow", *words)), "COMP_CWORD": str(len(words))}
    env |= {"_AGENTFLOW_COMPLETE": "complete_bash", **environ}
    done = subprocess.run(
        [str(Path(BIN) / "agentflow")], cwd=project.folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def _ids(project: Project, *command: str) -> list[str]:
    document: dict[str, Any] = json.loads(project.run(*command, "--json").stdout)
    return [each["id"] for each in document[command[0]]]


def test_names_and_ids_are_offered_even_while_the_config_has_errors(project: Project) -> None:
    assert "unfinished" in _completed(project, "run", "")
    assert _completed(project, "run", "rep") == ["report"]
    last, run = _completed(project, "runs", "show", "")
    assert last == "@last"
    assert _ids(project, "runs", "list")[0].endswith(run)
    [wait] = _completed(project, "waits", "answer", "")
    assert _ids(project, "waits")[0].endswith(wait)
    assert {"review", "zeta", "zeta/inner"} <= set(_completed(project, "runs", "retry", "@last", "--from", ""))
    assert _completed(project, "graph", "--format", "s") == ["svg"]


def test_the_config_and_the_store_of_the_line_are_looked_into(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("workflows: {elsewhere: {steps: [{id: a, type: set, value: 1}]}}\n", encoding="utf-8")
    assert _completed(project, "run", "-f", str(other), "") == ["elsewhere"]
    assert _completed(project, "runs", "show", "--store", str(tmp_path / "none.db"), "") == ["@last"]


def test_nothing_is_said_where_nothing_can_be_read(project: Project, tmp_path: Path) -> None:
    (tmp_path / "agentflow.yaml").write_text("workflows: [", encoding="utf-8")
    config = str(tmp_path / "agentflow.yaml")
    assert _completed(project, "run", "-f", config, "") == []
    assert _completed(project, "runs", "show", "-f", config, "--step", "") == []
    assert _completed(project, "waits", "show", "-f", config, "") == []


_LOADED = """
import json, os, sys
from agentflow.cli.app import execute
try:
    execute([])
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        ("agentflow ", ("yaml", "pydantic", "anyio", "apsw", "agentflow.config")),
        (
            "agentflow run ",
            ("pydantic", "anyio", "apsw", "agentflow.config.load", "agentflow.steps.registry", "agentflow.engine"),
        ),
        (
            "agentflow runs show ",
            ("pydantic", "agentflow.config.load", "agentflow.definition.models", "agentflow.engine.engine"),
        ),
        (
            "agentflow waits show ",
            ("pydantic", "agentflow.config.load", "agentflow.definition.models", "agentflow.engine.engine"),
        ),
    ],
)
def test_completion_loads_only_what_it_reads(project: Project, words: str, unused: tuple[str, ...]) -> None:
    env = {**project.environ, "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    env["_AGENTFLOW_COMPLETE"] = "complete_bash"
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], cwd=project.folder, env=env, capture_output=True, text=True, check=False
    )
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert [name for name in loaded if name in unused or name.startswith(tuple(f"{each}." for each in unused))] == []
    assert done.stdout


@pytest.mark.parametrize("shell", ["bash", *SLOW])
def test_a_real_shell_completes(project: Project, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} isn't installed")
    env = {**project.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "xterm"}
    spawn: Any = pexpect.spawn
    child = spawn(
        shell, START[shell], cwd=str(project.folder), env=env, encoding="utf-8", timeout=60, dimensions=(40, 200)
    )
    try:
        child.sendline(SETUP[shell])
        child.sendline("echo set''up")
        child.expect("setup")
        run = _completed(project, "runs", "show", "")[1]
        for typed, whole in (("run unfin", "unfinished"), ("runs sho", "show"), (f"runs show {run[:4]}", run)):
            child.send(f"agentflow {typed}\t")
            child.expect(whole[len(typed.split()[-1]) :])
            child.send("\x15")
    finally:
        child.close(force=True)
