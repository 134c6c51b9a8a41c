"""The command line shows no secret: not of an input, and not in an error of the config."""

from __future__ import annotations

import json

import pytest

from tests.cli.project import Project

SECRET = "sk-ABCDEFGH-0123456789"
FLOW = """
env: [TOKEN]
workflows:
  main:
    input: {note: string}
    steps:
      - {id: ask, type: wait_for_input, message: "{input.note}"}
"""


@pytest.fixture
def folder(project: Project) -> Project:
    """Return a project with a secret."""
    (project.folder / "agentflow.yaml").write_text(FLOW, "utf-8")
    (project.folder / ".env").write_text(f"TOKEN={SECRET}\n", "utf-8")
    return project


def test_an_input_is_shown_without_the_secret_that_it_holds_and_kept_with_it(folder: Project) -> None:
    done = folder.run("run", "main", "--input", f"note=with {SECRET}")
    shown = folder.run("runs", "show", "@last")
    assert "with ***" in shown.stdout
    assert "ABCDEFGH" not in shown.stdout + shown.stderr + done.stderr
    assert f"with {SECRET}" in json.dumps(folder.json("runs", "show", "@last"))
    waits = folder.run("waits", "list")
    assert "with ***" in waits.stdout
    assert "ABCDEFGH" not in waits.stdout


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_the_line_that_an_error_of_the_config_shows_is_without_secrets(
    folder: Project, options: tuple[str, ...]
) -> None:
    text = (
        f"env: [TOKEN]\nworkflows:\n  main: {{steps: [{{id: a, type: sett, value: '{SECRET}'}}, {{id: {SECRET}}}]}}\n"
    )
    (folder.folder / "agentflow.yaml").write_text(text, "utf-8")
    for command in (("validate",), ("run", "main"), ("graph", "main")):
        wrong = folder.run(*command, *(options if command[0] != "graph" else ()))
        assert wrong.returncode == 65
        assert "sett" in wrong.stdout + wrong.stderr
        assert "ABCDEFGH" not in wrong.stdout + wrong.stderr


def test_a_secret_that_is_too_short_is_refused_before_anything_runs(folder: Project) -> None:
    (folder.folder / ".env").write_text("TOKEN=12\n", "utf-8")
    refused = folder.run("run", "main", "--input", "note=x")
    assert refused.returncode == 65
    assert 'error[AF-SECRET-SHORT]: the value of "TOKEN" is too short for a secret' in refused.stderr
    assert "--> agentflow.yaml:2:7" in refused.stderr
    assert "{name: TOKEN, public: true}" in refused.stderr
    assert json.loads(folder.run("validate", "--json").stdout)["problems"][0]["code"] == "AF-SECRET-SHORT"
