"""Requirements: names of native skills and of connections."""

from __future__ import annotations

import pytest

from agentflow.definition.models import Requirement
from agentflow.definition.parse import parse_workflow, to_data
from agentflow.definition.requires import skill_fault
from agentflow.steps import connection, native, registry
from tests.definition.checking import check, problems_of


@pytest.mark.case("D-REQ-1")
def test_a_native_skill_has_its_namespace() -> None:
    requirement = native("shell")
    assert (requirement.skill, requirement.namespace, requirement.name) == ("native:shell", "native", "shell")
    assert requirement.is_native
    assert skill_fault(requirement.skill) is None


@pytest.mark.case("D-REQ-2")
def test_a_connection_keeps_its_permissions_in_a_round_trip() -> None:
    requirement = connection("google", "drive", permissions=["read", "write"])
    assert (requirement.skill, requirement.is_native) == ("google:drive", False)
    assert skill_fault(requirement.skill) is None
    step = {"id": "a", "type": "set", "value": 1, "requires": requirement.model_dump(mode="json", exclude_none=True)}
    workflow = parse_workflow({"id": "w", "steps": [step]}, registry.find).workflow
    assert workflow is not None
    assert workflow.steps[0].requires == (requirement,)
    again = parse_workflow(to_data(workflow), registry.find).workflow
    assert again is not None
    assert again.steps[0].requires[0].permissions == ("read", "write")


@pytest.mark.case("D-REQ-3")
@pytest.mark.parametrize("skill", ["shell", "native:teleporter", "native:", ":drive", "a b:c", ""])
def test_a_name_that_cannot_exist_is_told(skill: str) -> None:
    assert skill_fault(skill) is not None
    assert Requirement(skill=skill).skill == skill


def test_a_list_may_mix_names_and_mappings() -> None:
    step = {"id": "a", "type": "set", "value": 1, "requires": ["native:shell", {"skill": "google:drive"}]}
    parsed = parse_workflow({"id": "w", "steps": [step]}, registry.find)
    assert parsed.workflow is not None
    assert [requirement.skill for requirement in parsed.workflow.steps[0].requires] == ["native:shell", "google:drive"]
    assert parsed.pointer("a", "requires", 0, "skill") == "/steps/0/requires/0"
    assert parsed.pointer("a", "requires", 1, "skill") == "/steps/0/requires/1/skill"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *((f"native:{word}", "native:network") for word in ("http", "HTTP", "https", "net", "internet")),
        *((f"native:{word}", "native:shell") for word in ("bash", "sh", "command")),
        ("native:tools", "native:tool"),
        ("bash", "native:shell"),
        ("shel", "native:shell"),
    ],
)
def test_another_word_for_a_native_skill_names_the_skill(written: str, meant: str) -> None:
    (problem,) = check(f'- {{id: a, type: set, value: 1, requires: ["{written}"]}}\n')
    assert (problem.code, problem.label) == ("AF-SKILL-INVALID", f'did you mean "{meant}"?')


@pytest.mark.parametrize("written", ["native:http", "http", "internet"])
def test_a_config_that_grants_by_another_word_is_told_the_skill(written: str) -> None:
    (problem,) = problems_of(f"skills: ['{written}']\nworkflows: {{}}\n")
    assert (problem.code, problem.label) == ("AF-SKILL-UNKNOWN", 'did you mean "native:network"?')
