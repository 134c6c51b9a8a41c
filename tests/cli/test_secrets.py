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


LONG = "sk-" + "-".join(f"ABCDEFGH{number}" for number in range(8))
"""A secret that a cut goes through, wherever it is shown shortened."""
CUT = {
    "a wrong value": f"{{id: a, type: set, value: 1, timeout: '{'x' * 20} {LONG}'}}",
    "an unknown field": f"{{id: a, type: set, value: 1, '{'x' * 40} {LONG}': 1}}",
    "an unknown choice": f"{{id: a, type: set, value: 1, on_error: '{'x' * 20} {LONG}'}}",
    "an unknown step": f'{{id: a, type: set, value: "{{steps.{"x" * 20}{LONG}}}"}}',
    "no reference": f'{{id: a, type: set, value: "{{input.{"x" * 50}{LONG}[}}"}}',
    "a schema": f"{{id: a, type: wait_for_input, message: m, schema: {{type: '{'x' * 160} {LONG}'}}}}",
    "a part of a schema": f"{{id: a, type: wait_for_input, message: m, schema: {{$ref: '#/{'x' * 150}{LONG}'}}}}",
    "what is looped over": f"{{id: a, type: set, value: 1, for_each: '{'x' * 20} {LONG}'}}",
    "a long line": f"{{id: a, type: sett, value: '{'x' * 100} {LONG}'}}",
    "the beginning of a long line": f"{{value: '{LONG} {'x' * 100}', id: a, type: sett}}",
    "what is marked": f"{{id: a, type: '{'x' * 60}{LONG}{'x' * 100}'}}",
}


@pytest.mark.parametrize("step", CUT.values(), ids=list(CUT))
def test_no_part_of_a_secret_is_left_where_a_message_shortens_a_text(folder: Project, step: str) -> None:
    (folder.folder / ".env").write_text(f"TOKEN={LONG}\n", "utf-8")
    (folder.folder / "agentflow.yaml").write_text(f"env: [TOKEN]\nworkflows:\n  main: {{steps: [{step}]}}\n", "utf-8")
    wrong = folder.run("validate")
    assert wrong.returncode == 65
    assert "ABCD" not in wrong.stderr
    assert "ABCD" not in folder.run("validate", "--format", "json").stdout


def test_no_part_of_a_secret_is_left_in_a_graph_or_in_what_is_wrong_with_an_answer(folder: Project) -> None:
    (folder.folder / ".env").write_text(f"TOKEN={LONG}\n", "utf-8")
    wait = f"{{id: a, type: wait_for_input, message: m, label: '{'x' * 40} {LONG}', schema: {{const: '{LONG}'}}}}"
    (folder.folder / "agentflow.yaml").write_text(f"env: [TOKEN]\nworkflows:\n  main: {{steps: [{wait}]}}\n", "utf-8")
    for form in ("mermaid", "dot", "json"):
        drawn = folder.run("graph", "main", "--format", form)
        assert drawn.returncode == 0, drawn.stderr
        assert "ABCD" not in drawn.stdout
    folder.run("run", "main")
    for answer in ('"other"', f'"{"x" * 150} {LONG}"'):
        refused = folder.run("waits", "answer", "@last", "--data", answer)
        assert refused.returncode == 65
        assert "ABCD" not in refused.stdout + refused.stderr
