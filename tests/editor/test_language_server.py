"""A YAML language server, as editors run it: what it offers and marks in a project that `agentflow init` has made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agentflow.cli.actions.init import files_of, init
from agentflow.cli.options import Common
from agentflow.cli.schema_file import MODELINE, SCHEMA
from agentflow.config.load import load_text
from agentflow.definition.config_file import ConfigFile
from agentflow.definition.field_names import written
from agentflow.definition.gates import Approve
from agentflow.definition.models import ForEachField, Model, RetryPolicy, Workflow
from agentflow.definition.parse_fields import Known
from agentflow.definition.schema import Draft, config_schema
from agentflow.definition.schema.parts import KEYWORDS
from agentflow.definition.skill_limits import NetworkLimits
from agentflow.definition.step_fields import COMMON, CONTAINER_ONLY
from agentflow.definition.triggers import KINDS, Schedule
from agentflow.errors import DefinitionError
from agentflow.steps import registry
from tests.builtin import builtin_types
from tests.editor.language_server import LanguageServer, Mark
from tests.node.tools import Node

STEPS = "workflows:\n  w:\n    steps:\n"
ONE = STEPS + "      - {id: a, type: set, value: 1}\n"


class Spot(NamedTuple):
    """A place in a text, marked by `|`, and what is to be offered there."""

    name: str
    text: str
    offered: frozenset[str]
    said: str
    """What is said of one of them: `name: text`."""
    values: bool = False
    """Whether values are offered, no fields."""


def of_model(model: type[Model], *there: str) -> frozenset[str]:
    return frozenset(written(name, info) for name, info in model.model_fields.items()) - {*there}


def of_step(kind: str, *there: str) -> frozenset[str]:
    """Return the fields that the loader takes in a step of a type, without those that are there."""
    spec = registry.find(kind)
    assert spec is not None
    only = frozenset[str]() if spec.bodies else CONTAINER_ONLY | {"max_parallel"}
    return frozenset(Known.of(spec).names) - only - {*there}


def item(text: str) -> str:
    return STEPS + "      - id: a\n" + "".join(f"        {line}\n" for line in text.splitlines())


ANY = frozenset({"id", "type", *COMMON}) - CONTAINER_ONLY - {"max_parallel"}
TYPES = frozenset(
    """
    string integer number boolean object array "null" any file
    string? integer? number? boolean? object? array? null? any? file?
    """.split()  # noqa: SIM905  18 quoted words help nobody
)
FEW = (
    Spot("the file", ONE + "|", of_model(ConfigFile, "workflows"), "limits: Limits of runs and of the process."),
    Spot("a script", item("type: script\n|"), of_step("script", "id", "type"), "run: Shell text."),
    Spot(
        "types",
        item("type: |"),
        frozenset(registry.BUILTIN),
        "script: Runs",
        values=True,
    ),
)
MORE = (
    Spot(
        "a workflow",
        "workflows:\n  w:\n    |\n    steps: []\n",
        (of_model(Workflow, "dialect", "steps") | {"input"}),
        "budget: What a run may use",
    ),
    Spot("a step without a type", item("|"), ANY - {"id"}, "type: What the step does."),
    Spot("a new step", STEPS + "      - |\n", ANY, "depends_on: Ids of siblings"),
    Spot(
        "a container",
        item("type: sequence\n|\nsteps: []"),
        of_step("sequence", "id", "type", "steps"),
        "finally: Of a container",
    ),
    Spot(
        "a step of a loop",
        item("type: for_each\nin: [1]\nsteps:\n  - id: b\n    type: set\n    |"),
        of_step("set", "id", "type"),
        "value: ",
    ),
    Spot(
        "a step of a case",
        item("type: switch\ncases:\n  - when: true\n    steps:\n      type: api_call\n      |"),
        of_step("api_call", "type"),
        "url: Address",
    ),
    Spot(
        "a case",
        item("type: switch\ncases:\n  - when: true\n    |"),
        frozenset({"steps"}),
        "steps: What the case runs.",
    ),
    Spot(
        "the items of a step",
        item("type: set\nvalue: 1\nfor_each:\n  |"),
        of_model(ForEachField),
        "item: Name under which",
    ),
    Spot(
        "a retry policy",
        item("type: script\nrun: ls\nretry:\n  |"),
        of_model(RetryPolicy),
        "backoff: How the pause grows",
    ),
    Spot(
        "an approval",
        item("type: script\nrun: ls\napprove:\n  message: Sure?\n  |"),
        of_model(Approve, "message"),
        "edit: Fields of the step",
    ),
    Spot(
        "a failure",
        item("type: script\nrun: ls\non_error: |"),
        frozenset({"fail", "continue", "retry", "suspend", "null"}),
        "fail: ",
        values=True,
    ),
    Spot(
        "the type of an input",
        "workflows:\n  w:\n    input:\n      region: |\n    steps: []\n",
        TYPES,
        "string: ",
        values=True,
    ),
    Spot(
        "the type of a field of an answer",
        item("type: wait_for_input\nmessage: m\nschema:\n  amount: |"),
        TYPES,
        "string: ",
        values=True,
    ),
    Spot(
        "a field of an answer",
        item("type: wait_for_input\nmessage: m\nschema:\n  amount:\n    type: number\n    |"),
        frozenset(KEYWORDS) - {"type"},
        "minimum: Least number.",
    ),
    Spot(
        "limits of a skill",
        "skills:\n  native:network:\n    |\n",
        of_model(NetworkLimits),
        "allow: Hosts",
    ),
    Spot(
        "a trigger",
        "workflows:\n  w:\n    triggers:\n      - type: schedule\n        |\n    steps: []\n",
        of_model(Schedule, "type"),
        "cron: Five fields",
    ),
    Spot(
        "types of triggers",
        "workflows:\n  w:\n    triggers:\n      - type: |\n    steps: []\n",
        frozenset(KINDS),
        "webhook: An HTTP call",
        values=True,
    ),
    Spot(
        "a connection",
        "connections:\n  crm:\n    type: basic\n    |\n",
        frozenset({"hosts", "username", "password"}),
        "password: Password of `basic`.",
    ),
)
WRONG = {
    "the file": "workflow: {}\n" + ONE,
    "a step": item("type: script\nrun: ls\ntime_out: 3"),
    "a type": item("type: skript\nrun: ls"),
    "a step of a loop": item("type: for_each\nin: [1]\nsteps:\n  - id: b\n    type: set\n    valu: 1"),
    "a retry policy": item("type: set\nvalue: 1\nretry:\n  max_attemps: 3"),
}
MORE_WRONG = {
    "a workflow": "workflows:\n  w:\n    stepz: []\n    steps:\n      - {id: a, type: set, value: 1}\n",
    "what only containers have": item("type: set\nvalue: 1\nfinally: []"),
    "what only loops have": item("type: set\nvalue: 1\nmax_parallel: 3"),
    "a choice": item("type: set\nvalue: 1\non_error: contine"),
    "a case": item("type: switch\ncases:\n  - when: true\n    then: 3\n    steps: {type: set, value: 1}"),
    "no id": STEPS + "      - type: set\n        value: 1\n",
    "no type": item("value: 1"),
    "no steps inside": item("type: sequence"),
    "a number": item("type: api_call\nurl: http://x\nredirects: many"),
    "a number that is too great": item("type: api_call\nurl: http://x\nredirects: 99"),
    "no list": item("type: set\nvalue: 1\ndepends_on: b"),
    "a skill": "skills:\n  native:shel: true\n" + ONE,
    "a limit of a skill": "skills:\n  native:shell:\n    program: [git]\n" + ONE,
    "limits": "limits:\n  max_paralel: 3\n" + ONE,
    "a setting": "durability: none\n" + ONE,
    "a trigger": ONE + '    triggers:\n      - type: schedule\n        cron: "0 9 * * 1"\n        zone: UTC\n',
    "a type of trigger": ONE + "    triggers:\n      - type: cron\n",
    "an input": ONE + "    input:\n      n: strin\n",
    "a tool": "tools:\n  crm:\n    comand: x\n    python: a:b\npython: {modules: [a]}\n" + ONE,
    "an approval": item("type: set\nvalue: 1\napprove:\n  mesage: x"),
    "the items of a step": item("type: set\nvalue: 1\nfor_each:\n  in: [1]\n  max: 3"),
    "what undoes a step": item("type: set\nvalue: 1\ncompensate:\n  type: set\n  vale: 3"),
    "one step of a branch": item("type: condition\nexpression: true\nif_true:\n  type: set\n  valu: 3"),
    "a time": item("type: set\nvalue: 1\ntimeout: [3]"),
}
HOVERS = {
    "a field of all steps": (item("type: set\nvalue: 1\nre|try: 3"), "How failed attempts are repeated."),
    "a field of a type": (item("type: api_call\nurl: http://x\nredi|rects: 3"), "How many redirects are followed"),
    "a field of a workflow": ("workflows:\n  w:\n    bud|get: {cost: 1}\n    steps: []\n", "What a run may use"),
    "a setting": ("limits:\n  host_par|allel: 3\n" + ONE, "How many steps execute at once in one process."),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("editor") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "all_types", builtin_types)
        assert init(Common(quiet=True), str(folder), "hello") == 0
    return folder


@pytest.fixture(scope="module")
def editor(node: Node) -> Iterator[LanguageServer]:
    with LanguageServer([*node.of("yaml-language-server", "bin/yaml-language-server"), "--stdio"]) as server:
        yield server


def place(project: Path, name: str, text: str) -> tuple[Path, str, int, int]:
    """Return a file of a project, its text, and the line and column of the `|` in it."""
    before, _, after = (f"{MODELINE}\n{text}").partition("|")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return project / f"{name}.yaml", before + after, line, column


def check_offers(editor: LanguageServer, project: Path, spot: Spot) -> None:
    file, text, line, column = place(project, spot.name, spot.text)
    editor.open(file, text)
    found = editor.completions(file, line, column)
    offered = {label for label, offer in found.items() if offer.field or spot.values}
    assert offered == spot.offered
    label, _, said = spot.said.partition(": ")
    assert found[label].said.startswith(said)
    assert all(found[name].said for name in offered) or spot.values, "each field is described"


def told(text: str) -> set[tuple[int, int]]:
    """Return where `agentflow validate` marks errors of a text, without what a config has to grant."""
    try:
        load_text(text, "agentflow.yaml")
    except DefinitionError as error:
        places = [problem.place for problem in error.problems if problem.severity == "error"]
        return {(at.line, at.column) for at in places if at is not None}
    return set()


def check_marks(editor: LanguageServer, project: Path, name: str, text: str) -> None:
    file, text, *_ = place(project, name, text)
    marks = editor.open(file, text)
    assert marks
    assert {(mark.line, mark.column) for mark in marks} == told(text), marks


@pytest.mark.parametrize("spot", FEW, ids=lambda spot: spot.name)
def test_exactly_the_fields_of_a_place_are_offered(editor: LanguageServer, project: Path, spot: Spot) -> None:
    check_offers(editor, project, spot)


@pytest.mark.slow
@pytest.mark.parametrize("spot", MORE, ids=lambda spot: spot.name)
def test_exactly_the_fields_of_further_places_are_offered(editor: LanguageServer, project: Path, spot: Spot) -> None:
    check_offers(editor, project, spot)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_marked_where_validate_marks_it(editor: LanguageServer, project: Path, name: str) -> None:
    check_marks(editor, project, name, WRONG[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE_WRONG)
def test_what_else_is_wrong_is_marked_where_validate_marks_it(editor: LanguageServer, project: Path, name: str) -> None:
    check_marks(editor, project, name, MORE_WRONG[name])


@pytest.mark.parametrize("name", HOVERS)
def test_what_a_field_is_stands_where_the_pointer_rests_on_it(editor: LanguageServer, project: Path, name: str) -> None:
    text, said = HOVERS[name]
    file, text, line, column = place(project, name, text)
    editor.open(file, text)
    assert said in editor.hover(file, line, column)


@pytest.mark.parametrize("template", ["hello", "approval", "agent"])
def test_nothing_is_marked_in_a_template(editor: LanguageServer, project: Path, template: str) -> None:
    assert editor.open(project / f"{template}.yaml", files_of(template)["agentflow.yaml"]) == []


@pytest.mark.slow
def test_editors_that_know_draft_7_only_offer_and_mark_the_same(editor: LanguageServer, tmp_path: Path) -> None:
    draft: Draft = "draft-07"
    (tmp_path / SCHEMA).parent.mkdir()
    (tmp_path / SCHEMA).write_text(json.dumps(config_schema(builtin_types(), draft=draft)), encoding="utf-8")
    for spot in (*FEW, *MORE):
        check_offers(editor, tmp_path, spot)
    for name, text in {**WRONG, **MORE_WRONG}.items():
        check_marks(editor, tmp_path, name, text)


def test_what_is_written_out_for_a_field_can_be_gone_on_with(editor: LanguageServer, project: Path) -> None:
    written = {
        (ONE + "|", "limits"): "limits:\n  max_parallel: ${1:64}",
        (item("|"), "depends_on"): "depends_on:\n  - ${1}",
        (item("|"), "retry"): "retry: ${1:3}",
        (item("type: sequence\n|"), "steps"): "steps: ",
        ("workflows:\n  w:\n    |\n", "triggers"): "triggers:\n  - type: ",
    }
    for number, ((text, label), begins) in enumerate(written.items()):
        file, text, line, column = place(project, f"written-{number}", text)
        editor.open(file, text)
        assert editor.completions(file, line, column)[label].text.startswith(begins)


def test_a_text_without_a_schema_is_only_read_as_yaml(editor: LanguageServer, tmp_path: Path) -> None:
    marks = editor.open(tmp_path / "other.yaml", "workflow: {}\na: [1\n")
    assert [type(mark) for mark in marks] == [Mark]
    assert "Property" not in marks[0].message
