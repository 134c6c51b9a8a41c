"""What a message says, without a server: answers by a schema, inputs, and which workflow is meant."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow import Workflow
from agentflow.definition.models import EntryPoint, Trigger
from agentflow.steps.constructors import set_
from agentflow_a2a.card import skills
from agentflow_a2a.choosing import choose
from agentflow_a2a.reading import Said, as_answer, as_input, named, said
from agentflow_a2a.refusals import RefusedError

STRING = {"type": "string"}
ONE = {
    "type": "object",
    "properties": {"decision": {"enum": ["Keep", "drop"]}, "why": STRING},
    "required": ["decision"],
}
TWO = {"type": "object", "properties": {"a": STRING, "b": {"type": "integer"}}, "required": ["a", "b"]}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("anything", None, "anything"),
        ("yes", {"type": "boolean"}, True),
        (" 12 ", {"type": "integer"}, 12),
        ("KEEP", {"enum": ["Keep", "drop"]}, "Keep"),
        ("keep", ONE, {"decision": "Keep"}),
        ('{"decision": "drop"}', ONE, {"decision": "drop"}),
        ('{"a": "x", "b": 1}', TWO, {"a": "x", "b": 1}),
        ("[1, 2]", {"type": "array"}, [1, 2]),
        ("Ana, Bo", {"type": "array", "items": STRING}, ["Ana", "Bo"]),
        ("x", {"$ref": "#/$defs/d", "$defs": {"d": STRING}}, "x"),
    ],
)
def test_a_text_is_read_as_the_answer_that_the_schema_asks_for(text: str, schema: Any, value: Any) -> None:
    assert as_answer(Said(text, []), schema) == value


@pytest.mark.parametrize(
    ("text", "schema"), [("maybe", {"type": "boolean"}), ("x and 1", TWO), ("[x", {"type": "array"})]
)
def test_a_text_that_cannot_be_the_answer_says_what_it_should_be(text: str, schema: Any) -> None:
    with pytest.raises(ValueError, match=r"it must be JSON|neither yes nor no"):
        as_answer(Said(text, []), schema)


@pytest.mark.parametrize(
    ("content", "schema", "value"),
    [
        (Said("hi", []), None, {"text": "hi"}),
        (Said("", []), None, {}),
        (Said('{"a": 1}', []), None, {"a": 1}),
        (Said("hi", []), {"type": "object", "properties": {"q": STRING, "n": {"default": 1}}}, {"q": "hi"}),
        (Said("hi", []), {"type": "object", "properties": {"root": {"default": "."}}}, {}),
        (
            Said("hi", [{"n": 1}]),
            {"type": "object", "properties": {"q": STRING}, "required": ["q"]},
            {"n": 1, "q": "hi"},
        ),
        (Said("", [[1]]), {"type": "array"}, [1]),
    ],
)
def test_a_message_is_read_as_input(content: Said, schema: Any, value: Any) -> None:
    assert as_input(content, schema) == value


def test_an_answer_may_name_its_step_and_nothing_else_does() -> None:
    choice = named(Said("", [{"step": "a", "answer": 1}]))
    assert choice is not None
    assert (choice.step, choice.answer) == ("a", 1)
    assert named(Said("", [{"step": "a"}, {"step": "a", "answer": 1, "more": 2}, 3])) is None


def test_what_nobody_reads_is_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        said({"parts": [{"text": "x", "mediaType": "image/svg+xml"}]})
    assert refused.value.kind == "content_type"


def test_a_file_is_its_part_and_has_a_place_that_can_be_fetched() -> None:
    parts = [{"raw": "aGk=", "mediaType": "text/x", "filename": "a", "metadata": {"n": 1}}, {"url": "https://x/"}]
    files = said({"parts": parts}).files
    assert files == [{"raw": "aGk=", "mediaType": "text/x", "filename": "a"}, {"url": "https://x/"}]
    with pytest.raises(RefusedError, match=r"parts\[0\].url"):
        said({"parts": [{"url": "file:///etc/passwd"}]})


A, B = {"url": "https://a/"}, {"raw": "Yg=="}
FILE = {"type": "object", "format": "file"}
DOC = {"type": "object", "properties": {"q": STRING, "doc": FILE}, "required": ["q", "doc"]}
DOCS = {
    "type": "object",
    "properties": {"docs": {"type": "array", "items": {"$ref": "#/$defs/f"}}},
    "$defs": {"f": FILE},
}


@pytest.mark.parametrize(
    ("content", "schema", "value"),
    [
        (Said("hi", [], [A]), DOC, {"q": "hi", "doc": A}),
        (Said("", [{"q": "x"}], [A]), DOC, {"q": "x", "doc": A}),
        (Said("", [{"q": "x", "doc": B}], [A]), DOC, {"q": "x", "doc": B}),
        (Said("", [], [A, B]), DOCS, {"docs": [A, B]}),
        (Said("hi", []), DOC, {"q": "hi"}),
        (Said("hi", [], [A]), None, {"text": "hi"}),
    ],
)
def test_files_of_a_message_go_into_the_fields_that_take_some(content: Said, schema: Any, value: Any) -> None:
    assert as_input(content, schema) == value


@pytest.mark.parametrize(
    ("content", "schema", "value"),
    [
        (Said("", [], [A]), FILE, A),
        (Said("", [], [A, B]), {"type": "array", "items": FILE}, [A, B]),
        (Said("hi", [], [A]), DOC, {"q": "hi", "doc": A}),
        (Said("", [{"q": "x"}], [A]), DOC, {"q": "x", "doc": A}),
        (Said("", [], [A]), None, A),
        (Said("", [], [A, B]), None, [A, B]),
        (Said("hi", [], [A]), None, {"answer": "hi", "files": [A]}),
    ],
)
def test_files_of_a_message_answer_where_the_schema_takes_them(content: Said, schema: Any, value: Any) -> None:
    assert as_answer(content, schema) == value


@pytest.mark.parametrize(
    ("content", "schema"), [(Said("yes", [], [A]), {"type": "boolean"}), (Said("", [], [A, B]), DOC)]
)
def test_files_that_are_for_nothing_that_is_asked_for_are_told(content: Said, schema: Any) -> None:
    with pytest.raises(ValueError, match="of its files are for nothing"):
        as_answer(content, schema)


def test_only_workflows_that_take_files_get_some() -> None:
    plain = Workflow(id="plain", steps=[set_("a", value=1)])
    reads = Workflow(id="reads", steps=[set_("a", value="{run.message.parts[0].url}")])
    takes = Workflow(id="takes", input_schema=DOC, steps=[set_("a", value=1)])
    for flow, content in ((plain, Said("x", [], [A])), (takes, Said("x", [], [A, B]))):
        with pytest.raises(RefusedError) as refused:
            choose({flow.id: flow}, content)
        assert refused.value.kind == "content_type"
    assert choose({"reads": reads}, Said("", [], [A])).input == {}
    assert choose({"takes": takes}, Said("x", [], [A])).input == {"q": "x", "doc": A}
    named = choose({"takes": takes}, Said("", [{"workflow": "takes", "input": {"q": "x"}}], [A]))
    assert named.input == {"q": "x", "doc": A}
    modes = {skill["id"]: skill.get("inputModes") for skill in skills({"p": plain, "t": takes}, schemas=True)}
    assert modes == {"plain": None, "takes": ["text/plain", "application/json", "*/*"]}


def _flow(name: str, *triggers: Trigger) -> Workflow:
    entry = EntryPoint(id="start", triggers=triggers)
    return Workflow(id=name, steps=[set_("a", value=1)], entry_points=[entry] if triggers else [])


def test_triggers_say_what_a_message_starts() -> None:
    slash = Trigger.model_validate({"type": "slash", "name": "report", "aliases": ["r"]})
    tool = Trigger.model_validate({"type": "tool", "name": "measure", "description": "Measures."})
    flows = {flow.id: flow for flow in (_flow("a", slash), _flow("b", tool), _flow("c", Trigger(type="message")))}
    by_slash = choose(flows, Said("/r emea", []))
    assert (by_slash.workflow, by_slash.entry_point, by_slash.input) == ("a", "start", {"text": "emea"})
    by_skill = choose(flows, Said("", []), {}, {"skillId": "measure"})
    assert (by_skill.workflow, by_skill.entry_point) == ("b", "start")
    assert choose(flows, Said("hello", [])).workflow == "c"
    assert [skill["id"] for skill in skills(flows, schemas=True)] == ["a", "b", "c", "measure"]


def test_a_trigger_that_says_too_little_is_no_skill() -> None:
    flows = {"a": _flow("a", Trigger.model_validate({"type": "tool", "name": "half", "description": None}))}
    assert [skill["id"] for skill in skills(flows, schemas=True)] == ["a"]
    assert choose(flows, Said("x", [])).workflow == "a"
