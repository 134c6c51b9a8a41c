"""The JSON Schema of the config file says what the loader says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

from agentflow.config.load import load_text
from agentflow.definition.field_names import written
from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.definition.models import Model
from agentflow.definition.schema import Draft, config_schema
from agentflow.definition.schema.examples import EXAMPLES
from agentflow.definition.yaml_loader import load_yaml
from agentflow.errors import DefinitionError
from agentflow.explain import FOLDER, parse
from agentflow.steps import registry
from tests.builtin import builtin_types

ROOT = Path(__file__).parents[2]
DRAFTS: list[Draft] = ["2020-12", "draft-07"]
SHORT = {"retry", "requires", "for_each", "steps", "defaults", "compensate", "on_success", "on_failure", "finally"}
"""Fields that have a short form, which is widened before a model sees it."""
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


@cache
def made(draft: Draft = "2020-12") -> dict[str, Any]:
    return config_schema(builtin_types(), draft=draft)


def make(draft: Draft, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator | jsonschema_rs.Draft7Validator:
    if draft == "2020-12":
        return jsonschema_rs.Draft202012Validator(schema)
    return jsonschema_rs.Draft7Validator(schema)


@cache
def validator(draft: Draft) -> jsonschema_rs.Draft202012Validator | jsonschema_rs.Draft7Validator:
    return make(draft, made(draft))


def errors(value: Any, draft: Draft) -> list[str]:
    return ["/".join(map(str, error.instance_path)) for error in validator(draft).iter_errors(value)]


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_sound_config_fits(draft: Draft) -> None:
    jsonschema_rs.meta.validate(made(draft))
    assert errors(SOUND, draft) == []
    assert errors({"workflows": [{"id": "w", "steps": []}]}, draft) == []


@pytest.mark.parametrize("draft", DRAFTS)
def test_what_the_loader_takes_without_a_word_fits(draft: Draft) -> None:
    texts = [(str(file), file.read_text(encoding="utf-8")) for file in (ROOT / "examples").rglob("*.yaml")]
    pages = [(file.name, parse(file.read_text(encoding="utf-8")).example("Right")) for file in FOLDER.glob("*.md")]
    fitting = 0
    for name, text in (*texts, *pages):
        if text is None:
            continue
        try:
            load_text(text, "agentflow.yaml")
        except DefinitionError:
            continue
        assert errors(load_yaml(text, name), draft) == [], name
        fitting += 1
    assert fitting > 50


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_file_of_one_workflow_is_known_by_its_steps(draft: Draft) -> None:
    assert errors({"id": "w", "steps": [{"id": "a", "type": "set", "value": 1}]}, draft) == []
    assert errors({"steps": [], "stepz": 1}, draft) == [""]


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


def _fields(schema: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every field that the schema describes; `True` only lets one stand that is described elsewhere."""
    if isinstance(schema, list):
        for number, item in enumerate(cast("list[Any]", schema)):
            yield from _fields(item, f"{where}/{number}")
    elif isinstance(schema, dict):
        for name, item in cast("dict[str, Any]", schema).items():
            if name in ("examples", "default", "const", "enum", "if"):
                continue
            if name == "properties":
                for field, told in cast("dict[str, Any]", item).items():
                    if isinstance(told, dict):
                        yield f"{where}/{field}", cast("dict[str, Any]", told)
                        yield from _fields(told, f"{where}/{field}")
            else:
                yield from _fields(item, f"{where}/{name}")


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_field_says_what_it_is_and_shows_an_example(draft: Draft) -> None:
    fields = [*_fields(made(draft))]
    assert len(fields) > 300
    assert [where for where, field in fields if not field.get("description")] == []
    assert [where for where, field in fields if not field.get("examples")] == []


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_example_and_default_is_accepted_by_its_own_field(draft: Draft) -> None:
    schema = made(draft)
    fields = [*_fields(schema)]
    of_all = {"properties": {str(number): field for number, (_, field) in enumerate(fields)}}
    named = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    check = make(draft, {**of_all, **named})
    shown = [[*field["examples"], *([field["default"]] if "default" in field else [])] for _, field in fields]
    wrong: list[str] = []
    for turn in range(max(map(len, shown))):
        values = {str(number): each[turn] for number, each in enumerate(shown) if turn < len(each)}
        wrong += [fields[int(error.instance_path[0])][0] for error in check.iter_errors(values)]
    assert wrong == []


def test_every_example_is_accepted_by_the_model_of_its_field() -> None:
    models = {spec.config.__name__: spec.config for spec in builtin_types()}
    models |= {model.__name__: model for model in _models(Model)}
    for name, fields in EXAMPLES.items():
        known = {written(field, info) for field, info in models[name].model_fields.items()}
        assert fields.keys() <= known, name
        wrong = _refused(models[name], fields)
        assert [field for field in wrong if field not in SHORT and "{" not in str(fields[field])] == [], name


def _refused(model: type[BaseModel], fields: Mapping[str, Any]) -> set[str]:
    """Return the fields of which a model says that their own values are wrong."""
    try:
        model.model_validate(fields)
    except ValidationError as error:
        return {str(one["loc"][0]) for one in error.errors() if one["loc"] and one["type"] != "missing"}
    return set()


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in model.__subclasses__():
        yield below
        yield from _models(below)


def test_defaults_are_those_of_the_models() -> None:
    schema = made()
    defs = schema["$defs"]
    assert defs["RetryPolicy"]["properties"]["max_attempts"]["default"] == 3
    assert defs["Limits"]["properties"]["max_parallel"]["default"] == 64
    branches = {branch["if"]["properties"]["type"]["const"]: branch["then"] for branch in defs["Step"]["allOf"]}
    assert branches["api_call"]["properties"]["redirects"]["default"] == 0
    assert "default" not in defs["Step"]["properties"]["retry"], "nothing isn't worth showing"


def test_fields_have_descriptions_and_types_their_branch() -> None:
    schema = made()
    step = schema["$defs"]["Step"]
    assert step["properties"]["depends_on"]["description"].startswith("Ids of siblings")
    branches = {branch["if"]["properties"]["type"]["const"]: branch["then"] for branch in step["allOf"]}
    assert set(branches) >= set(registry.BUILTIN)
    assert branches["script"]["properties"]["run"]["description"].startswith("Shell text.")
    assert schema["$defs"]["ConfigFile"]["properties"]["durability"]["description"]
    assert schema["$defs"]["ConfigFile"]["properties"]["limits"]["description"] == "Limits of runs and of the process."
    assert "$defs" not in made("draft-07")


def test_a_text_of_another_format_is_told_with_one_that_fits() -> None:
    validator = make_validator({"type": "object", "properties": {"day": {"type": "string", "format": "date"}}})
    assert errors_of(validator, {"day": "24.12.2026"}) == ['day: "24.12.2026" is not a "date", such as 2026-01-31']
