"""Configs made in Python are checked like files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentflow.config import Config, EnvVar, config_from
from agentflow.definition import check
from agentflow.definition.check import check_workflow
from agentflow.definition.config_file import Limits
from agentflow.definition.models import Step, Workflow
from agentflow.errors import DefinitionError, Problem


def simple(name: str = "w", value: object = 1) -> Workflow:
    return Workflow(id=name, steps=(Step(id="a", type="set", config={"value": value}),))


def test_workflows_and_fields_make_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0k3n")
    config = config_from(
        [simple()], env=["TOKEN"], skills=["native:shell"], python_modules=["flows"], limits={"max_parallel": 2}
    )
    assert list(config.workflows) == ["w"]
    assert config.env == {"TOKEN": EnvVar("TOKEN")}
    assert config.env_values == {"TOKEN": "t0k3n"}
    assert config.skills == {"native:shell": {}, "native:python": {}}
    assert config.limits.max_parallel == 2
    assert config.place("w", "a") is None


def test_the_fields_of_a_steps_type_are_checked() -> None:
    wrong = Workflow(id="w", steps=(Step(id="a", type="script", config={"rum": "ls"}),))
    with pytest.raises(DefinitionError) as caught:
        config_from([wrong], skills=["native:shell"])
    [problem] = caught.value.problems
    assert problem.message == 'step "a" (script) has no field "rum"'


def test_two_workflows_of_one_name_are_an_error() -> None:
    with pytest.raises(DefinitionError, match='two workflows have the id "w"'):
        config_from([simple(), simple(value=2)])


def test_a_base_gives_what_is_not_said_again() -> None:
    base = config_from([simple("old")], name="base", skills=["native:shell"])
    config = config_from([*base.workflows.values(), simple("new")], base=base, durability="relaxed")
    assert (config.name, list(config.workflows), config.durability) == ("base", ["old", "new"], "relaxed")
    assert config.skills == {"native:shell": {}}
    assert config.parsed["old"] is base.parsed["old"]
    assert (base.durability, list(base.workflows)) == ("strict", ["old"])


def test_an_empty_config_is_a_config() -> None:
    assert config_from().workflows == {}
    assert Config().skills == {}


def told(**fields: Any) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        config_from([simple()], **fields)
    return [f"{problem.message} | {problem.label or problem.hint}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"http": {"base_urll": "https://x.org"}}, ['"http" of the config has no field "base_urll"', '"base_url"']),
        ({"http": {"timeout": "soon"}}, ['"http.timeout" of the config', "soon"]),
        ({"http": 3}, ['"http" of the config must be a mapping, not 3']),
        ({"limits": {"max_paralel": 2}}, ['"limits" of the config has no field "max_paralel"', '"max_parallel"']),
        ({"limits": {"max_parallel": 0}}, ['"limits.max_parallel" of the config must be at least 1, not 0']),
        ({"defaults": {"retry": {"max_atempts": 2}}}, ['has no field "max_atempts"', '"max_attempts"']),
        ({"defaults": {"retry": {"on": ["htpp"]}}}, ['repeat on "htpp"', '"http"']),
        ({"skills": ["native:shel"]}, ['there is no native skill "native:shel"', '"native:shell"']),
        ({"skills": {"shell": {}}}, ['there is no native skill "shell"', '"native:shell"']),
        ({"skills": "native:shell"}, ['"skills" of the config must be a list or a mapping', "[native:shell]"]),
        ({"skills": [3]}, ['"skills[0]" of the config must be text, not 3']),
        ({"skils": ["native:shell"]}, ['the config has no field "skils"', '"skills"']),
        ({"documents": {}}, ['the config has no field "documents"']),
        ({"python": {"modules": ["m"]}}, ['the config has no field "python"', '"python_modules"']),
        ({"python_modules": "m"}, ['"python_modules" of the config must be a list', "[m]"]),
        ({"python_modules": ["no module"]}, ['"python_modules[0]" of the config', "no module"]),
        ({"env": ["NO NAME"]}, ["NO NAME", "environment variable"]),
        ({"env": {"PIN": {"publc": True}}}, ['"env[0]" of the config has no field "publc"', '"public"']),
        ({"env": ["A", "A"]}, ['"env" lists "A" twice']),
        ({"durability": "lax"}, ['"durability" of the config must be one of strict, relaxed', "lax"]),
        ({"store": "redis://x"}, ["redis"]),
        ({"tools": {"t": {"pyton": "m:f"}}}, ['"tools.t" of the config has no field "pyton"', '"python"']),
        ({"tools": {"t": {"python": "m:f"}}}, ['tool "t" uses the Python module "m", which isn\'t listed']),
        ({"agents": {"a": {}}}, ["agents.a", "exactly one of python and url"]),
        ({"folder": 3}, ['"folder" of the config']),
    ],
)
def test_a_wrong_field_is_named_with_the_nearest(fields: dict[str, Any], said: list[str]) -> None:
    [problem] = told(**fields)
    for part in said:
        assert part in problem


def test_all_wrong_fields_are_told_at_once_with_those_of_the_workflows() -> None:
    broken = Workflow(id="w", steps=(Step(id="a", type="script", config={"rum": "ls"}),))
    with pytest.raises(DefinitionError) as caught:
        config_from([broken], skills=["native:shel"], limits={"max_paralel": 2}, nmae="x")
    text = str([problem.message for problem in caught.value.problems])
    assert all(name in text for name in ("native:shel", "max_paralel", "nmae", "rum"))


def test_what_a_config_holds_is_a_field_of_another(tmp_path: Path) -> None:
    base = config_from(
        env={"A": EnvVar("A", public=True, default="1")}, folder=tmp_path,
        skills={"native:shell": {"programs": ["git"]}},
        python_modules=["m"], tools={"t": {"python": "m:f"}}, defaults={"retry": 3}, http={"timeout": "5s"},
        env_values={"A": "2"}, limits=Limits(max_parallel=3), durability="relaxed", name="n", description="d",
    )  # fmt: skip
    names = ("env", "skills", "folder", "python_modules", "tools", "defaults", "http", "env_values", "limits",
             "durability", "name", "description", "store", "agents", "connections", "file")  # fmt: skip
    assert base.defaults.retry is not None
    assert base.defaults.retry.max_attempts == 3
    assert config_from(**{name: getattr(base, name) for name in names}) == base


def calling(name: str, values: dict[str, object]) -> Workflow:
    config = {"workflow": "child", "input": values}
    return Workflow(id=name, steps=(Step(id="call", type="workflow", config=config),))


def child(**inputs: str) -> Workflow:
    properties = {name: {"type": kind} for name, kind in inputs.items()}
    schema = {"type": "object", "properties": properties, "required": list(inputs)}
    return Workflow(id="child", input_schema=schema, steps=(Step(id="a", type="set", config={"value": 1}),))


def test_of_a_base_only_what_calls_a_changed_workflow_is_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    caller = calling("caller", {"n": 1})
    others = [simple(f"other{number}") for number in range(20)]
    base = config_from([child(n="integer"), caller, *others])
    seen: list[str] = []

    def counted(workflow: Workflow, *rest: Any, **more: Any) -> list[Problem]:
        seen.append(workflow.id)
        return check_workflow(workflow, *rest, **more)

    monkeypatch.setattr(check, "check_workflow", counted)
    config_from([*base.workflows.values(), simple("new")], base=base)
    assert seen == ["new"]
    seen.clear()
    with pytest.raises(DefinitionError, match='workflow "child" needs input "m"'):
        config_from([child(m="integer", n="integer"), caller, *others], base=base)
    assert seen == ["child", "caller"]
    with pytest.raises(DefinitionError, match='calls an unknown workflow "child"'):
        config_from([caller, *others], base=base)
