"""Several files make one config."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow.config import load_config
from agentflow.errors import DefinitionError, Problem

ONE = "steps: [{id: a, type: set, value: 1}]"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def refused() -> list[Problem]:
    with pytest.raises(DefinitionError) as caught:
        load_config()
    return list(caught.value.problems)


@pytest.mark.case("W-Y-1")
def test_includes_bring_the_workflows_of_other_files() -> None:
    write("agentflow.yaml", "include: [flows/*.yaml, grader.json]\nworkflows:\n  main:\n    " + ONE)
    write("flows/a.yaml", "workflows:\n  one:\n    " + ONE + "\n  two:\n    " + ONE)
    write("flows/b.yaml", ONE)
    write("grader.json", '{"id": "grade", "steps": [{"id": "a", "kind": {"type": "checkpoint", "message": "x"}}]}')
    config = load_config()
    assert set(config.workflows) == {"main", "one", "two", "b", "grade"}
    assert config.workflows["grade"].dialect == "distri"
    place = config.place("two", "a")
    assert place is not None
    assert (place.file, place.line) == ("flows/a.yaml", 5)


@pytest.mark.case("W-Y-1")
def test_files_that_include_each_other_are_an_error() -> None:
    write("agentflow.yaml", "include: a.yaml\nworkflows: {}")
    write("a.yaml", "include: [b.yaml]")
    write("b.yaml", "include: a.yaml\nworkflows: {}")
    [problem] = refused()
    assert problem.code == "AF-INCLUDE-CYCLE"
    assert problem.message == "files include each other: a.yaml -> b.yaml -> a.yaml"
    assert problem.place is not None
    assert (problem.place.file, problem.place.line, problem.place.column) == ("b.yaml", 1, 10)


def test_a_file_that_includes_itself_is_an_error() -> None:
    write("agentflow.yaml", "include: agentflow.yaml\nworkflows: {}")
    [problem] = refused()
    assert problem.message == "files include each other: agentflow.yaml -> agentflow.yaml"


def test_a_glob_leaves_out_the_file_that_has_it() -> None:
    write("agentflow.yaml", "include: '*.yaml'\nworkflows: {}")
    write("b.yaml", ONE)
    assert list(load_config().workflows) == ["b"]


def test_a_file_included_on_two_ways_is_read_once() -> None:
    write("agentflow.yaml", "include: [a.yaml, b.yaml]")
    write("a.yaml", "include: c.yaml")
    write("b.yaml", "include: c.yaml")
    write("c.yaml", ONE)
    assert list(load_config().workflows) == ["c"]


@pytest.mark.case("W-Y-1")
def test_two_workflows_of_one_name_are_an_error() -> None:
    write("agentflow.yaml", "include: b.yaml\nworkflows:\n  b:\n    " + ONE)
    write("b.yaml", ONE)
    [problem] = refused()
    assert (problem.code, problem.message) == ("AF-WORKFLOW-DUPLICATE", 'two workflows have the id "b"')
    assert problem.label == "the first one is at agentflow.yaml:3:3"
    assert problem.place is not None
    assert problem.place.file == "b.yaml"


def test_a_file_that_is_not_there_is_an_error() -> None:
    write("agentflow.yaml", "workflows: {}\ninclude: [nope.yaml]")
    [problem] = refused()
    assert (problem.code, problem.message) == ("AF-INCLUDE-MISSING", 'there is no file "nope.yaml"')
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (2, 11)


def test_a_glob_without_files_is_a_warning() -> None:
    write("agentflow.yaml", "workflows: {}\ninclude: [flows/*.yaml]")
    [warning] = load_config().warnings
    assert (warning.code, warning.severity) == ("AF-INCLUDE-MISSING", "warning")


def test_only_the_main_file_may_grant_anything() -> None:
    write("agentflow.yaml", "include: b.yaml")
    write("b.yaml", "skills: [native:shell]\nworkflows: {}")
    [problem] = refused()
    assert problem.message == 'the included file "b.yaml" has no field "skills"'


def test_problems_of_several_files_come_file_by_file() -> None:
    write("agentflow.yaml", "include: [b.yaml]\nworkflows:\n  w:\n    steps: [{id: a, type: nope}]")
    write("b.yaml", "steps: [{id: a, type: nope}, {id: b, type: nope}]")
    places = [problem.place for problem in refused()]
    assert [place.file for place in places if place] == ["agentflow.yaml", "b.yaml", "b.yaml"]
