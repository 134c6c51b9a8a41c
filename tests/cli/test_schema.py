"""`agentflow schema`: what editors check a config by, where it is written, and who tells that it is out of date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentflow import __version__
from agentflow.cli.schema_file import MODELINE, SCHEMA, problem
from agentflow.codes import door
from tests.cli.project import Project

CONFIG = "workflows: {w: {input: {n: integer}, steps: [{id: a, type: set, value: 1}]}}\n"


def write(project: Project, text: str = f"{MODELINE}\n{CONFIG}") -> None:
    (project.folder / "agentflow.yaml").write_text(text, encoding="utf-8")


def read(project: Project, name: str = SCHEMA) -> dict[str, Any]:
    return json.loads((project.folder / name).read_text(encoding="utf-8"))


def age(project: Project, version: str = "0.0.9") -> None:
    path = project.folder / SCHEMA
    path.write_text(path.read_text(encoding="utf-8").replace(__version__, version, 1), encoding="utf-8")


def told(project: Project) -> list[tuple[Any, ...]]:
    problems: list[dict[str, Any]] = project.json_of("validate", "--json")["problems"]
    return [(one["code"], one["severity"], one["message"], one["hint"], one["line"], one["column"]) for one in problems]


@pytest.fixture
def project(project: Project) -> Project:
    write(project)
    return project


def test_it_is_written_beside_the_config_where_its_first_line_says(project: Project) -> None:
    done = project.run("schema", "--write")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {SCHEMA}\n")
    assert read(project)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    (project.folder / "below").mkdir()
    write(project, f"# yaml-language-server: $schema=editors/flows.json\n{CONFIG}")
    assert project.run("schema", "--write", "--draft", "7").stderr == "wrote editors/flows.json\n"
    assert read(project, "editors/flows.json")["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_another_file_may_be_named_and_a_config_without_the_line_is_told_it(project: Project) -> None:
    write(project, CONFIG)
    done = project.run("schema", "--write", "docs/flows.json")
    assert done.stderr.splitlines() == [
        "wrote docs/flows.json",
        "editors find it by this first line of agentflow.yaml:",
        "  # yaml-language-server: $schema=docs/flows.json",
    ]
    write(project, f"{done.stderr.splitlines()[-1].strip()}\n{CONFIG}")
    assert told(project) == []


def test_it_has_the_step_types_of_the_configs_own_modules(project: Project) -> None:
    (project.folder / "mine.py").write_text(
        "from pydantic import BaseModel\nfrom agentflow import Result, step_type\n"
        "class Shout(BaseModel):\n    text: str\n"
        "@step_type('shout_out', config=Shout)\nasync def shout(config, ctx):\n    'Shouts.'\n    return Result(1)\n",
        encoding="utf-8",
    )
    write(project, f"python: {{modules: [mine]}}\n{CONFIG}")
    branches = json.loads(project.run("schema").stdout)["$defs"]["Step"]["allOf"]
    kinds: Mapping[str, Any] = {each["if"]["properties"]["type"]["const"]: each["then"] for each in branches}
    assert "text" in kinds["shout_out"]["properties"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--draft", "4"], "2020-12 or 7"),
        (["w", "--write"], "agentflow schema w > input.json"),
    ],
)
def test_wrong_use_is_told(project: Project, arguments: list[str], says: str) -> None:
    done = project.run("schema", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (project.folder / SCHEMA).exists()


def test_the_input_of_a_workflow_is_printed(project: Project) -> None:
    assert json.loads(project.run("schema", "w").stdout)["properties"] == {"n": {"type": "integer"}}
    write(project, "workflows: {w: {steps: [{id: a, type: set, value: 1}]}}\n")
    assert project.run("schema", "w").returncode == door("AF-SCHEMA-NONE").exit_code


def test_validate_tells_that_it_is_missing_or_of_another_version(project: Project) -> None:
    missing = f"editors find no schema at {SCHEMA}"
    assert told(project) == [("AF-SCHEMA-STALE", "warning", missing, "agentflow schema --write", 1, 25)]
    project.run("schema", "--write")
    assert told(project) == []
    age(project)
    old = f"editors use the schema of agentflow 0.0.9, and this is {__version__}"
    assert told(project) == [("AF-SCHEMA-STALE", "warning", old, "agentflow schema --write", 1, 25)]
    assert project.run("validate").returncode == 0
    assert project.run("validate", "--strict").returncode == door("AF-CONFIG-INVALID").exit_code


def test_doctor_tells_it_too(project: Project) -> None:
    def found() -> list[Any]:
        return project.json_of("doctor", "--only", "editor", "--json")["checks"]

    assert [one["state"] for one in found()] == ["warning"]
    assert [one["fix"] for one in found()] == ["agentflow schema --write"]
    project.run("schema", "--write")
    assert [one["state"] for one in found()] == ["ok"]


@pytest.mark.parametrize("line", ["# yaml-language-server: $schema=https://example.com/s.json", "# nothing", "a: 1"])
def test_a_schema_elsewhere_or_of_somebody_elses_making_is_none_of_our_business(tmp_path: Path, line: str) -> None:
    file = tmp_path / "agentflow.yaml"
    assert problem(file, f"{line}\n{CONFIG}", "agentflow.yaml") is None
    (tmp_path / "theirs.json").write_text("{}", encoding="utf-8")
    assert problem(file, f"# yaml-language-server: $schema=theirs.json\n{CONFIG}", "agentflow.yaml") is None
    assert problem(file, f"{CONFIG}{MODELINE}\n", "agentflow.yaml") is None, "editors read it at the top only"
