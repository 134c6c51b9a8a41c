"""`validate`, `graph`, `schema`, `steps`, `explain`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.codes import CODES

BROKEN = """\
workflows:
  report:
    steps:
      - {id: fetch, type: set, value: 1}
      - id: send
        type: set
        value: "{steps.fetsh}"
        time_out: 30s
"""


def test_a_clean_config_is_counted_and_exits_0(project: Any) -> None:
    done = project.run("validate")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "ok: 5 workflows, 12 steps\n"


def test_every_problem_is_told_with_its_place_and_exits_65(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(BROKEN, encoding="utf-8")
    done = project.run("validate")
    assert done.returncode == 65
    assert "--> agentflow.yaml:7:" in done.stderr
    assert "--> agentflow.yaml:8:9" in done.stderr
    assert 'did you mean "timeout"?' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("2 errors in 1 file")
    run = project.run("run", "report")
    assert run.returncode == 65
    assert "--> agentflow.yaml:8:9" in run.stderr


def test_problems_come_as_json_github_and_sarif(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(BROKEN, encoding="utf-8")
    problems = json.loads(project.run("validate", "--format", "json").stdout)["problems"]
    assert {(p["line"], p["severity"]) for p in problems} == {(7, "error"), (8, "error")}
    github = project.run("validate", "--format", "github").stdout.splitlines()
    assert github[0].startswith("::error file=agentflow.yaml,line=7,col=")
    sarif = json.loads(project.run("validate", "--format", "sarif").stdout)
    assert len(sarif["runs"][0]["results"]) == 2
    assert project.run("validate", "--format", "xml").returncode == 2


def test_stdin_can_be_validated(project: Any) -> None:
    assert project.run("validate", "-", stdin="id: a\nsteps: [{id: x, type: set, value: 1}]\n").returncode == 0
    broken = project.run("validate", "-", stdin=BROKEN)
    assert broken.returncode == 65
    assert "--> <stdin>:8:9" in broken.stderr
    assert "time_out: 30s" in broken.stderr


def test_a_graph_comes_in_three_forms_and_is_the_same_every_time(project: Any) -> None:
    first = project.run("graph", "report")
    assert first.returncode == 0, first.stderr
    assert first.stdout == project.run("graph", "report", PYTHONHASHSEED="1").stdout
    assert "review" in first.stdout
    assert project.run("graph", "report", "--format", "dot").stdout.startswith("digraph")
    assert json.loads(project.run("graph", "report", "--format", "json").stdout)
    assert project.run("graph", "nope").returncode == 66


def test_the_schema_can_be_printed_and_written(project: Any) -> None:
    document = json.loads(project.run("schema").stdout)
    assert document["$schema"].startswith("https://json-schema.org/draft/2020-12")
    assert project.run("schema", "--draft", "07", "--write").returncode == 0
    written = json.loads((project.folder / ".agentflow" / "schema.json").read_text(encoding="utf-8"))
    assert "draft-07" in written["$schema"]
    assert json.loads(project.run("schema", "hello").stdout)["properties"]["name"]["default"] == "world"


def test_step_types_are_listed_and_explained(project: Any) -> None:
    rows = [line.split("\t") for line in project.run("steps").stdout.splitlines()]
    assert rows[0] == ["TYPE", "DOES", "NEEDS"]
    found = {row[0]: row[1] for row in rows[1:]}
    assert {"api_call", "wait_for_input", "for_each", "saga", "end"} <= set(found)
    assert all(found.values())
    one = project.run("steps", "wait_for_input").stdout
    assert "message\t" in one
    assert project.run("steps", "api_cal").stderr.splitlines()[1] == "  hint: did you mean api_call, tool_call?"


def test_step_types_of_the_configs_own_modules_are_listed(project: Any) -> None:
    (project.folder / "mine.py").write_text(
        "from pydantic import BaseModel\nfrom agentflow import Result, step_type\nprint('read')\n"
        "@step_type('shout', config=BaseModel)\n"
        "async def shout(config, ctx):\n    'Shouts.'\n    return Result(1)\n",
        encoding="utf-8",
    )
    (project.folder / "agentflow.yaml").write_text("python: {modules: [gone, mine]}\nworkflows: {}\n", encoding="utf-8")
    done = project.run("steps")
    assert ["shout", "Shouts.", ""] in [line.split("\t") for line in done.stdout.splitlines()]
    assert '! the step types of gone aren\'t known: there is no module "gone": looked in ' in done.stderr
    listed = json.loads(project.run("steps", "--json").stdout)["steps"]
    assert {"type": "shout", "summary": "Shouts.", "skills": []} in listed


def test_every_code_can_be_explained_offline(project: Any) -> None:
    done = project.run("explain", "af-wait-open")
    assert done.stdout.splitlines()[0] == f"AF-WAIT-OPEN: {CODES['AF-WAIT-OPEN'].means}"
    assert "exit code 75" in done.stdout
    assert project.run("explain", "AF-WAIT-OPN").returncode == 66
    assert "hint: a code stands in brackets in its message: AF-REF-STEP" in project.run("explain", "xylophone").stderr


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("AF-WAIT-OPN", "AF-WAIT-OPEN"),
        ("wait", "AF-WAIT-"),
        ("step-typ", "AF-STEP-TYPE"),
        ("xyzzy", None),
        ("AF-FOO", None),
        ("AF-123", None),
    ],
)
def test_an_unknown_code_names_near_ones_and_nothing_where_none_is(project: Any, wanted: str, hint: str | None) -> None:
    done = project.run("explain", wanted)
    assert done.returncode == 66
    assert ("did you mean" in done.stderr) is (hint is not None)
    assert hint is None or f"did you mean {hint}" in done.stderr
