"""Constructors give the same steps as YAML does."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from agentflow import steps
from agentflow.definition.models import Body, ForEachField, Requirement, RetryPolicy, Step, Workflow
from agentflow.definition.parse import parse_workflow, to_data
from agentflow.errors import DefinitionError
from agentflow.steps import (
    agent_run,
    api_call,
    artifact,
    checkpoint,
    condition,
    connection,
    delay,
    end,
    external_tool_call,
    for_each,
    native,
    parallel,
    poll,
    publish,
    python,
    recur,
    registry,
    reply,
    respond,
    saga,
    schedule,
    script,
    sequence,
    set_,
    step,
    switch,
    tool_call,
    until,
    wait_for_event,
    wait_for_input,
    while_,
    workflow,
)

# One step of every type, and what stands for it in YAML.
ONE = set_("one", value=1)
TWO = set_("two", value=2)
ONE_YAML: dict[str, Any] = {"id": "one", "type": "set", "value": 1}
TWO_YAML: dict[str, Any] = {"id": "two", "type": "set", "value": 2}
BUTTON = {"kind": "callback", "label": "{item}", "callback_data": "wf:{item}"}

PAIRS: dict[str, tuple[Step, dict[str, Any]]] = {
    "api_call": (
        api_call("s", url="/v1", method="POST", body={"a": [1]}, expect=[200, "404"], requires=[native("network")]),
        {"url": "/v1", "method": "POST", "body": {"a": [1]}, "expect": [200, "404"], "requires": ["native:network"]},
    ),
    "tool_call": (tool_call("s", tool_name="t", input={"q": "x"}), {"tool_name": "t", "input": {"q": "x"}}),
    "agent_run": (
        agent_run("s", agent="a", prompt="Hi", tools=("x",), max_iterations=3),
        {"agent": "a", "prompt": "Hi", "tools": ["x"], "max_iterations": 3},
    ),
    "script": (
        script("s", command="ls", args=("-l",), env={"A": "1"}, requires=native("shell")),
        {"command": "ls", "args": ["-l"], "env": {"A": "1"}, "requires": [{"skill": "native:shell"}]},
    ),
    "python": (
        python("s", function="steps:load", with_={"path": "{input.path}"}),
        {"function": "steps:load", "with": {"path": "{input.path}"}},
    ),
    "set": (set_("s", values={"a": None}), {"values": {"a": None}}),
    "condition": (
        condition("s", expression="input.x > 1", if_true=ONE, if_false=[TWO]),
        {"expression": "input.x > 1", "if_true": ONE_YAML, "if_false": [TWO_YAML]},
    ),
    "switch": (
        switch("s", cases=[("input.x == 1", ONE), (True, [TWO])], default=[ONE]),
        {
            "cases": [{"when": "input.x == 1", "steps": ONE_YAML}, {"when": True, "steps": [TWO_YAML]}],
            "default": [ONE_YAML],
        },
    ),
    "parallel": (parallel("s", steps=[ONE, TWO], max_parallel=2), {"steps": [ONE_YAML, TWO_YAML], "max_parallel": 2}),
    "sequence": (sequence("s", steps=(ONE,), finally_=[TWO]), {"steps": [ONE_YAML], "finally": [TWO_YAML]}),
    "for_each": (
        for_each("s", in_=["a", "b"], item="name", steps=[ONE], max_parallel=1),
        {"in": ["a", "b"], "item": "name", "steps": [ONE_YAML], "max_parallel": 1},
    ),
    "while": (
        while_("s", condition="index < 2", max_iterations=3, steps=[ONE]),
        {"condition": "index < 2", "max_iterations": 3, "steps": [ONE_YAML]},
    ),
    "until": (
        until("s", condition="index == 2", max_iterations=3, steps=[ONE]),
        {"condition": "index == 2", "max_iterations": 3, "steps": [ONE_YAML]},
    ),
    "saga": (
        saga("s", steps=[set_("pay", value=1, compensate=TWO), set_("ship", value=2, compensate=[ONE])]),
        {
            "steps": [
                {"id": "pay", "type": "set", "value": 1, "compensate": TWO_YAML},
                {"id": "ship", "type": "set", "value": 2, "compensate": [ONE_YAML]},
            ]
        },
    ),
    "workflow": (workflow("s", workflow="other", input={"a": 1}), {"workflow": "other", "input": {"a": 1}}),
    "wait_for_input": (
        wait_for_input("s", message="?", schema={"type": "string"}, default=None, timeout="1h"),
        {"message": "?", "schema": {"type": "string"}, "default": None, "timeout": "1h"},
    ),
    "wait_for_event": (
        wait_for_event("s", topic="t", filter={"id": "{input.id}"}, since="5m"),
        {"topic": "t", "filter": {"id": "{input.id}"}, "since": "5m"},
    ),
    "external_tool_call": (external_tool_call("s", tool_name="t"), {"tool_name": "t"}),
    "delay": (delay("s", for_="5s"), {"for": "5s"}),
    "schedule": (schedule("s", after="1h", steps=[ONE]), {"after": "1h", "steps": [ONE_YAML]}),
    "recur": (
        recur("s", cron="0 9 * * 1", timezone="Europe/Vienna", max=3, steps=[ONE]),
        {"cron": "0 9 * * 1", "timezone": "Europe/Vienna", "max": 3, "steps": [ONE_YAML]},
    ),
    "poll": (
        poll("s", body=api_call("body", url="/x"), until="steps.body.status == 200", interval="5s"),
        {"body": {"type": "api_call", "url": "/x"}, "until": "steps.body.status == 200", "interval": "5s"},
    ),
    "publish": (publish("s", topic="t", data=None), {"topic": "t", "data": None}),
    "reply": (
        reply("s", text="Hi", buttons=[[BUTTON]], buttons_from="{input.list}", button_template=BUTTON),
        {"text": "Hi", "buttons": [[BUTTON]], "buttons_from": "{input.list}", "button_template": BUTTON},
    ),
    "respond": (respond("s", body="ok", status=201), {"body": "ok", "status": 201}),
    "checkpoint": (checkpoint("s", message="here"), {"message": "here"}),
    "artifact": (artifact("s", bytes="aGk=", filename="a.txt"), {"bytes": "aGk=", "filename": "a.txt"}),
    "end": (end("s", state="rejected", message="no"), {"state": "rejected", "message": "no"}),
}

# Parameters whose names differ from YAML's, because Python forbids or means something else by the word.
RENAMED = {"for": "for_", "in": "in_"}
IN_PYTHON = {"switch": {"on"}}
"""Parameters that YAML doesn't have: they are written as conditions."""


def constructor(name: str) -> Callable[..., Step]:
    found: Any = getattr(steps, f"{name}_" if name in ("set", "while") else name)
    return found


def test_there_is_a_constructor_for_every_built_in_type() -> None:
    assert PAIRS.keys() == registry.BUILTIN.keys()
    for name in registry.BUILTIN:
        assert callable(constructor(name))


@pytest.mark.parametrize("name", registry.BUILTIN)
def test_a_constructor_has_the_fields_of_its_type(name: str) -> None:
    spec = registry.find(name)
    assert spec is not None
    fields = {field.alias or key for key, field in spec.config.model_fields.items()}
    bodies = {body.name for body in spec.bodies}
    parameters = inspect.signature(constructor(name)).parameters
    given = {key for key, value in parameters.items() if value.kind is inspect.Parameter.KEYWORD_ONLY}
    assert given - IN_PYTHON.get(name, set()) == {RENAMED.get(field, field) for field in fields | bodies}


@pytest.mark.parametrize("name", registry.BUILTIN)
def test_a_constructor_gives_the_step_that_yaml_gives(name: str) -> None:
    built, written = PAIRS[name]
    data = {"steps": [{"id": "s", "type": name, **written}]}
    parsed = parse_workflow(data, id="w", types=registry.find)
    assert parsed.problems == []
    assert parsed.workflow == Workflow(id="w", steps=(built,))


@pytest.mark.parametrize("name", registry.BUILTIN)
def test_a_built_step_survives_being_written_and_read(name: str) -> None:
    original = Workflow(id="w", steps=(PAIRS[name][0],))
    parsed = parse_workflow(to_data(original), id="w", types=registry.find)
    assert parsed.problems == []
    assert parsed.workflow == original


def test_common_fields_become_the_step_s_own() -> None:
    built = set_(
        "s",
        value=1,
        label="S",
        depends_on="a",
        depends_on_any=["b", "c"],
        with_={"x": "{input.x}"},
        if_="input.x",
        skip_if="!{input.y}",
        retry={"max_attempts": 2, "backoff": "fixed", "base": "1s"},
        timeout=timedelta(minutes=5),
        delay=timedelta(seconds=3),
        at=datetime(2026, 3, 1, 9, tzinfo=UTC),
        for_each="{input.items}",
        update={"found": "{steps.s}"},
        at_most_once=True,
    )
    assert built == Step.model_validate(
        {
            "id": "s",
            "type": "set",
            "config": {"value": 1},
            "label": "S",
            "depends_on": ["a"],
            "depends_on_any": ["b", "c"],
            "with": {"x": "{input.x}"},
            "if": "input.x",
            "skip_if": "!{input.y}",
            "retry": RetryPolicy(max_attempts=2, backoff="fixed", base=1.0),
            "timeout": 300.0,
            "delay": "PT3S",
            "at": "2026-03-01T09:00:00Z",
            "for_each": {"in": "{input.items}"},
            "update": {"found": "{steps.s}"},
            "at_most_once": True,
        }
    )


def test_for_each_as_a_field_takes_its_short_and_its_long_form() -> None:
    assert set_("s", value=1, for_each=[1, 2]).for_each == ForEachField.model_validate({"in": [1, 2]})
    long = {"in": "{input.a}", "max_parallel": 2}
    assert set_("s", value=1, for_each=long).for_each == ForEachField.model_validate(long)


def test_retry_takes_its_short_forms() -> None:
    assert set_("s", value=1, retry=5).retry == RetryPolicy(max_attempts=5)
    assert set_("s", value=1, retry=False).retry == RetryPolicy(max_attempts=1)


def test_one_nested_step_is_single_and_a_list_is_not() -> None:
    built = condition("c", expression=True, if_true=ONE, if_false=[ONE])
    assert built.bodies == {"if_true": Body(steps=(ONE,), single=True), "if_false": Body(steps=(ONE,))}


def test_the_cases_of_a_switch_are_numbered_bodies() -> None:
    built = switch("s", cases=[("input.a", ONE), ("input.b", [TWO])])
    assert built.config == {"cases": ["input.a", "input.b"]}
    assert list(built.bodies) == ["case[0]", "case[1]"]


def test_a_step_of_your_own_type_is_built_by_its_name() -> None:
    built = step("s", "shout", {"text": "hi"}, {"label": "Shout"})
    assert built == Step(id="s", type="shout", label="Shout", config={"text": "hi"})


def test_a_python_function_is_named_by_its_module() -> None:
    assert python("s", function=inspect.cleandoc).config == {"function": "inspect:cleandoc"}


def test_a_pydantic_model_gives_the_schema_of_an_answer() -> None:
    class Answer(BaseModel):
        approved: bool

    assert wait_for_input("s", message="?", schema=Answer).config["schema"] == Answer.model_json_schema()


@pytest.mark.case("D-REQ-1")
def test_a_native_skill_is_named_and_known_as_such() -> None:
    requirement = native("shell")
    assert requirement == Requirement(skill="native:shell")
    assert (requirement.is_native, requirement.namespace, requirement.name) == (True, "native", "shell")


@pytest.mark.case("D-REQ-2")
def test_a_connection_keeps_its_permissions_through_json() -> None:
    requirement = connection("google", "drive", permissions=["read", "write"])
    assert (requirement.skill, requirement.is_native) == ("google:drive", False)
    assert requirement.permissions == ("read", "write")
    assert Requirement.model_validate_json(requirement.model_dump_json()) == requirement


def test_a_value_that_is_no_json_is_refused_and_the_step_named() -> None:
    with pytest.raises(DefinitionError, match='step "s" holds a value that has no JSON form') as caught:
        set_("s", value=object())
    assert caught.value.code == "AF-STEP-INVALID"


def test_all_wrong_common_fields_are_told_at_once() -> None:
    wrong: dict[str, Any] = {"timeout": "soon", "max_parallel": 0, "tmeout": 1}
    with pytest.raises(DefinitionError) as caught:
        set_("s", value=1, **wrong)
    assert [problem.pointer for problem in caught.value.problems] == ["/timeout", "/max_parallel", "/tmeout"]


def test_a_step_type_s_module_does_not_hide_its_constructor() -> None:
    module = importlib.import_module("agentflow.steps.delay")
    assert module is sys.modules["agentflow.steps.delay"]
    assert getattr(steps, "delay") is delay  # noqa: B009  reads it anew
    assert delay is not module


def test_every_exported_name_is_there_and_no_other() -> None:
    for name in steps.__all__:
        assert getattr(steps, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        getattr(steps, "nope")  # noqa: B009  the name doesn't exist


def test_an_object_that_is_no_data_is_named_by_its_class() -> None:
    one = set_("a", value=1)
    wrong: list[tuple[Any, str]] = [
        ({"a": one}, "a mapping"),
        (object(), "an object of object"),
    ]
    for given, said in wrong:
        with pytest.raises(DefinitionError) as caught:
            Workflow(id="w", steps=given)
        assert str(caught.value) == f'"steps" of workflow "w" must be a list, not {said}'
