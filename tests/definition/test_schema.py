"""The JSON Schema of the config file says what the loader says."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from agentflow.definition.schema import Draft, config_schema
from agentflow.steps import registry

DRAFTS: list[Draft] = ["2020-12", "draft-07"]
SOUND: dict[str, Any] = {
    "name": "demo",
    "include": "flows/*.yaml",
    "env": ["TOKEN", {"name": "REGION", "public": True}],
    "skills": {"native:network": {"allow": ["example.com"]}},
    "limits": {"event_size": "64KiB", "max_parallel": 3},
    "defaults": {"retry": 3, "timeout": "30s"},
    "tools": {"crm": {"command": "crm-mcp", "args": ["--x"]}, "f": {"python": "steps:f"}},
    "workflows": {
        "w": {
            "input": {"url": "string", "n": {"type": "integer", "default": 3}},
            "entry_points": [{"id": "e", "triggers": [{"type": "webhook", "path": "/in", "response": "ack"}]}],
            "steps": [
                {"id": "a", "type": "script", "run": "ls", "timeout": "3s", "retry": 3, "requires": "native:shell"},
                {"id": "b", "type": "api_call", "url": "{input.url}", "redirects": "{input.n}", "expect": 200},
                {"id": "c", "type": "switch", "cases": [{"when": True, "steps": {"type": "set", "value": 1}}]},
                {"id": "d", "type": "for_each", "in": "{input.x}", "steps": [{"id": "x", "type": "set", "value": 1}]},
                {
                    "id": "e",
                    "type": "set",
                    "value": 1,
                    "for_each": "{input.x}",
                    "compensate": {"type": "set", "value": 2},
                },
            ],
        }
    },
}


def errors(value: Any, draft: Draft) -> list[str]:
    make = jsonschema_rs.Draft202012Validator if draft == "2020-12" else jsonschema_rs.Draft7Validator
    validator = make(config_schema(registry.all_types(), draft=draft))
    return ["/".join(map(str, error.instance_path)) for error in validator.iter_errors(value)]


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_sound_config_fits(draft: Draft) -> None:
    jsonschema_rs.meta.validate(config_schema(registry.all_types(), draft=draft))
    assert errors(SOUND, draft) == []
    assert errors({"workflows": [{"id": "w", "steps": []}]}, draft) == []


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(
    ("step", "at"),
    [
        ({"id": "a", "type": "script", "run": "ls", "time_out": 3}, ""),
        ({"id": "a", "type": "nope"}, "/type"),
        ({"type": "set", "value": 1}, ""),
        ({"id": "a", "type": "api_call"}, ""),
        ({"id": "a", "type": "set", "value": 1, "finally": []}, ""),
        ({"id": "a", "type": "sequence", "steps": [{"type": "set"}]}, "/steps/0"),
        ({"id": "a", "type": "set", "retry": {"max_attemps": 3}}, "/retry"),
    ],
)
def test_a_wrong_step_is_marked_where_it_stands(step: dict[str, Any], at: str, draft: Draft) -> None:
    assert f"workflows/w/steps/0{at}" in errors({"workflows": {"w": {"steps": [step]}}}, draft)


@pytest.mark.parametrize("draft", DRAFTS)
def test_an_unknown_key_is_marked(draft: Draft) -> None:
    assert errors({"workflow": {}}, draft) == [""]


def test_fields_have_descriptions_and_types_their_branch() -> None:
    schema = config_schema(registry.all_types())
    step = schema["$defs"]["Step"]
    assert step["properties"]["depends_on"]["description"].startswith("Ids of siblings")
    branches = {branch["if"]["properties"]["type"]["const"]: branch["then"] for branch in step["allOf"]}
    assert set(branches) >= set(registry.BUILTIN)
    assert branches["script"]["properties"]["run"]["description"].startswith("Shell text.")
    assert schema["properties"]["durability"]["description"]
    assert "$defs" not in config_schema(registry.all_types(), draft="draft-07")
