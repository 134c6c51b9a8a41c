"""Configs made in Python are checked like files."""

from __future__ import annotations

import pytest

from agentflow.config import Config, EnvVar, config_from
from agentflow.definition.models import Step, Workflow
from agentflow.errors import DefinitionError


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
