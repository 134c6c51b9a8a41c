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
        ("x", {"$ref": "#/$defs/d", "$defs": {"d": STRING}}, "x"),
    ],
)
def test_a_text_is_read_as_the_answer_that_the_schema_asks_for(text: str, schema: Any, value: Any) -> None:
    assert as_answer(Said(text, []), schema) == value


@pytest.mark.parametrize(
    ("text", "schema"), [("maybe", {"type": "boolean"}), ("x and 1", TWO), ("x", {"type": "array"})]
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


@pytest.mark.parametrize("part", [{"raw": "aGk="}, {"url": "https://x/"}, {"text": "x", "mediaType": "image/svg+xml"}])
def test_what_nobody_reads_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        said({"parts": [part]})
    assert refused.value.kind == "content_type"


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
