"""distri's files load unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.definition.models import Checkpointing, Step, Workflow
from agentflow.definition.parse import Parsed, definition_hash, parse_workflow, to_data
from agentflow.definition.source import load_document
from agentflow.steps import registry


def parse(data: Any) -> Parsed:
    document = load_document(json.dumps(data, indent=2), "flow.json")
    return parse_workflow(document.data, registry.find, place=document.place)


def sound(data: Any) -> Workflow:
    parsed = parse(data)
    assert parsed.problems == []
    assert parsed.workflow is not None
    return parsed.workflow


def step_of(kind: dict[str, Any], **fields: Any) -> Step:
    workflow = sound({"id": "w", "steps": [{"id": "s", "label": "S", "kind": kind, **fields}]})
    again = parse_workflow(to_data(workflow), registry.find)
    assert again.workflow == workflow
    assert workflow.dialect == "distri"
    return workflow.steps[0]


@pytest.mark.case("D-SER-1")
def test_a_tool_call_keeps_its_tool_and_input() -> None:
    step = step_of({"type": "tool_call", "tool_name": "search", "input": {"q": "{input.q}"}, "agent_id": "x"})
    assert (step.type, step.config) == ("tool_call", {"tool_name": "search", "input": {"q": "{input.q}"}})


@pytest.mark.case("D-SER-9")
def test_a_tool_call_without_input_is_accepted() -> None:
    assert step_of({"type": "tool_call", "tool_name": "search"}).config == {"tool_name": "search"}


def test_a_steps_input_becomes_its_values() -> None:
    step = step_of({"type": "tool_call", "tool_name": "search", "input": {}}, input={"q": "{input.q}"})
    assert (step.with_, step.config) == ({"q": "{input.q}"}, {"tool_name": "search"})


@pytest.mark.case("D-SER-2")
def test_a_script_keeps_its_fields() -> None:
    step = step_of(
        {
            "type": "script",
            "command": "make build",
            "args": ["-j", "2"],
            "cwd": "/src",
            "timeout_secs": 300,
            "env": {"CI": "1"},
            "output_format": "json",
            "shell": "bash",
        }
    )
    assert step.timeout == 300.0
    assert step.config == {
        "run": "make build -j 2",
        "cwd": "/src",
        "env": {"CI": "1"},
        "output_format": "json",
        "shell": "bash",
    }


@pytest.mark.case("D-SER-3")
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (None, Checkpointing()),
        ({"type": "internal"}, Checkpointing()),
        ({"type": "internal", "ttl_secs": 3600}, Checkpointing(ttl_secs=3600)),
        ({"type": "external", "tool_name": "save"}, Checkpointing(type="external", tool_name="save")),
    ],
)
def test_the_checkpoint_setting_is_kept(written: Any, kept: Checkpointing) -> None:
    data: dict[str, Any] = {"id": "w", "steps": []}
    workflow = sound({**data, "checkpoint": written} if written else data)
    assert workflow.checkpoint == kept
    again = parse_workflow(to_data(workflow), registry.find).workflow
    assert again is not None
    assert again.checkpoint == kept


@pytest.mark.case("D-SER-4")
def test_an_agent_run_survives_the_round_trip() -> None:
    step = step_of(
        {
            "type": "agent_run",
            "agent_id": "writer",
            "prompt": "Write {input.topic}",
            "tools": ["search"],
            "skills": ["seo"],
            "model": "large",
            "max_iterations": 5,
        }
    )
    assert step.config == {
        "agent": "writer",
        "prompt": "Write {input.topic}",
        "tools": ["search"],
        "skills": ["seo"],
        "model": "large",
        "max_iterations": 5,
    }


RUN: dict[str, Any] = {
    "id": "old",
    "steps": [
        {
            "id": "a",
            "label": "A",
            "kind": {"type": "checkpoint", "message": "hello"},
            "depends_on": [],
            "execution": "sequential",
            "status": "completed",
            "result": {"x": 1},
            "error": None,
            "started_at": "2026-01-01T00:00:00Z",
            "completed_at": None,
        }
    ],
    "status": "running",
    "current_step": 1,
    "context": {"steps": {"a": {"x": 1}}},
    "notes": [],
    "step_runs": [],
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}


@pytest.mark.case("D-SER-5")
def test_run_fields_of_old_files_are_ignored() -> None:
    workflow = sound(RUN)
    assert workflow.steps[0].requires == ()
    assert workflow.checkpoint == Checkpointing()
    plain = {"id": "old", "steps": [{"id": "a", "label": "A", "kind": {"type": "checkpoint", "message": "hello"}}]}
    assert definition_hash(workflow) == definition_hash(sound(plain))


@pytest.mark.case("D-SER-6")
def test_a_minimal_definition_is_enough() -> None:
    workflow = sound({"id": "w", "steps": [{"id": "a", "label": "A", "kind": {"type": "checkpoint", "message": "x"}}]})
    assert (workflow.id, workflow.steps[0].id, workflow.steps[0].depends_on) == ("w", "a", ())


GRADING: dict[str, Any] = {
    "id": "grading",
    "checkpoint": {"type": "external", "tool_name": "save"},
    "steps": [
        {
            "id": "detect",
            "label": "Detect",
            "kind": {"type": "tool_call", "tool_name": "detect", "input": {}},
            "depends_on": [],
            "execution": "parallel",
            "skip_if": "{input.activity_id}",
            "requires": [{"skill": "google:drive", "permissions": ["read"]}],
        },
        {
            "id": "review",
            "label": "Review",
            "kind": {
                "type": "wait_for_input",
                "message": "Approve?",
                "schema": {"type": "object", "properties": {"approved": {"type": "boolean"}}},
            },
            "depends_on": ["detect"],
        },
    ],
    "entry_points": [
        {
            "id": "full",
            "label": "Full",
            "starts_at": "detect",
            "preset_results": {},
            "required_inputs": ["doc"],
            "triggers": [{"type": "slash", "name": "/grade", "aliases": [], "channels": [], "args": []}],
        },
        {"id": "late", "label": "Late", "description": None, "starts_at": "review", "preset_results": {"detect": 1}},
    ],
}


@pytest.mark.case("D-SER-7")
def test_entry_points_conditions_and_schemas_survive_the_round_trip() -> None:
    workflow = sound(GRADING)
    assert parse_workflow(to_data(workflow), registry.find).workflow == workflow
    detect, review = workflow.steps
    assert (detect.skip_if, detect.requires[0].permissions) == ("{input.activity_id}", ("read",))
    assert review.config["schema"]["properties"] == {"approved": {"type": "boolean"}}
    assert [entry.id for entry in workflow.entry_points] == ["full", "late"]
    assert workflow.entry_points[1].preset_results == {"detect": 1}


@pytest.mark.case("D-SER-8")
def test_replies_survive_the_round_trip() -> None:
    full = {
        "type": "reply",
        "text": "Choose",
        "buttons": [[{"kind": "url", "label": "Open", "url": "https://example.com"}]],
        "buttons_from": "{steps.list.items}",
        "button_template": {"kind": "callback", "label": "{item.name}", "callback_data": "wf:open:{item.id}"},
    }
    assert step_of(full).config == {name: value for name, value in full.items() if name != "type"}
    assert step_of({"type": "reply", "text": "Hello"}).config == {"text": "Hello"}


def test_branches_of_a_condition_are_kinds() -> None:
    step = step_of(
        {
            "type": "condition",
            "expression": "{input.ok}",
            "if_true": {"type": "script", "command": "echo", "args": ["{input.x}"], "timeout_secs": 5},
            "if_false": {"type": "agent_run", "agent_id": "a", "prompt": "x"},
        }
    )
    branch = step.bodies["if_true"].steps[0]
    assert (branch.id, branch.type, branch.timeout) == ("if_true", "script", 5.0)
    assert branch.config == {"command": "echo", "args": ["{input.x}"]}
    assert step.bodies["if_false"].steps[0].config["agent"] == "a"


def test_an_agent_file_gives_its_definition_what_that_lacks() -> None:
    schema = {"type": "object", "properties": {"doc": {"type": "string"}}}
    parsed = parse(
        {
            "agent_type": "workflow_agent",
            "name": "grader",
            "description": "Grades",
            "version": "0.1.0",
            "input_schema": schema,
            "triggers": [{"type": "manual"}],
            "channels": {},
            "connections": [],
            "definition": GRADING,
        }
    )
    assert parsed.problems == []
    workflow = parsed.workflow
    assert workflow is not None
    assert (workflow.id, workflow.description, workflow.input_schema) == ("grading", "Grades", schema)
    assert workflow.triggers[0].type == "manual"
    assert parsed.pointer("", "input_schema", "properties", "doc") == "/input_schema/properties/doc"
    assert parsed.pointer("review", "message") == "/definition/steps/1/kind/message"
    assert parsed.pointer("detect", "skip_if") == "/definition/steps/0/skip_if"


def test_unknown_fields_are_warnings() -> None:
    data = {
        "id": "w",
        "colour": "red",
        "steps": [
            {"id": "a", "label": "A", "shape": 1, "kind": {"type": "checkpoint", "message": "x", "size": 2}},
            {"id": "b", "label": "B", "kind": {"type": "wait_for_input", "message": "x"}, "depends_on": None},
        ],
        "entry_points": [{"id": "e", "label": "E", "starts_at": "a", "icon": "x"}],
    }
    parsed = parse(data)
    assert parsed.workflow is not None
    assert {(problem.code, problem.severity) for problem in parsed.problems} == {("AF-FIELD-UNKNOWN", "warning")}
    assert len(parsed.problems) == 4
    assert parsed.workflow.steps[0].config == {"message": "x"}
    assert parsed.workflow.entry_points[0].starts_at == "a"


def test_errors_in_a_kind_stand_at_their_place() -> None:
    parsed = parse(
        {"id": "w", "steps": [{"id": "a", "label": "A", "kind": {"type": "api_call", "method": "FOO", "url": "x"}}]}
    )
    [problem] = parsed.problems
    assert problem.pointer == "/steps/0/kind/method"
    assert problem.place is not None
    assert problem.place.line == 9


def test_ids_with_other_characters_have_encoded_addresses() -> None:
    parsed = parse(
        {"id": "w", "steps": [{"id": "a.b c", "label": "A", "kind": {"type": "checkpoint", "message": "x"}}]}
    )
    assert parsed.pointer("a%2Eb%20c") == parsed.pointer("a.b c") == "/steps/0"
