"""What steps need, and what is missing."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from agentflow.codes import CODES
from agentflow.definition.models import Requirement
from agentflow.principal import Principal
from agentflow.requirements import Checker, is_valid, message, missing_error
from agentflow.steps.building import connection, native


class _Google:
    """A provider with one connected service."""

    def __init__(self, scopes: Collection[str]) -> None:
        self._scopes = scopes

    def granted(self, service: str, principal: Principal) -> Collection[str] | None:
        return self._scopes if service == "drive" else None


@pytest.mark.case("D-REQ-1")
def test_a_native_skill_has_its_namespace_and_name() -> None:
    shell = native("shell")
    assert (shell.skill, shell.is_native, shell.namespace, shell.name) == ("native:shell", True, "native", "shell")
    assert is_valid(shell)


@pytest.mark.case("D-REQ-2")
def test_a_connection_keeps_its_permissions_through_json() -> None:
    drive = connection("google", "drive", permissions=["drive.read"])
    assert (drive.skill, drive.is_native, drive.permissions) == ("google:drive", False, ("drive.read",))
    assert is_valid(drive)
    assert Requirement.model_validate_json(drive.model_dump_json()) == drive


@pytest.mark.case("D-REQ-3")
@pytest.mark.parametrize("skill", ["shell", "native:teleporter", "", ":", "native:", ":drive", "a b:c", "a:b:c"])
def test_a_skill_that_cannot_exist_is_invalid(skill: str) -> None:
    assert not is_valid(Requirement(skill=skill))


@pytest.mark.parametrize("skill", ["shell", "browser", "network", "agent", "tool", "python"])
def test_all_native_skills_are_valid(skill: str) -> None:
    assert is_valid(native(skill))


@pytest.mark.case("D-REQ-8")
def test_a_step_without_requirements_lacks_nothing() -> None:
    assert Checker().missing() == []
    assert Checker().available_skills() == ()


@pytest.mark.case("D-REQ-8")
def test_available_skills_are_the_configured_ones() -> None:
    assert Checker(["native:network", "shell"]).available_skills() == ("native:shell", "native:network")
    assert Checker({"native:network": {"private": True}}).available_skills() == ("native:network",)
    assert Checker({"shell": False}).available_skills() == ()


def test_functions_and_listed_modules_grant_python() -> None:
    assert Checker(python=True).missing(type_skills=["native:python"]) == []
    assert Checker().missing(type_skills=["native:python"]) == ["native:python"]


def test_the_message_names_everything_that_is_missing_once() -> None:
    needs = [native("shell"), connection("google", "drive"), native("shell")]
    missing = Checker(["native:network"]).missing(needs, ("native:shell", "native:network"))
    assert missing == ["native:shell", "google:drive"]
    assert message(missing) == "Missing skills: native:shell, google:drive"


@pytest.mark.case("D-REQ-9")
def test_a_connection_with_all_scopes_lacks_nothing() -> None:
    checker = Checker(connections={"google": _Google({"drive.read", "drive.write"})})
    assert checker.missing([connection("google", "drive", permissions=["drive.read"])]) == []


@pytest.mark.case("D-REQ-9")
def test_a_missing_scope_is_named() -> None:
    checker = Checker(connections={"google": _Google({"drive.read"})})
    missing = checker.missing([connection("google", "drive", permissions=["drive.read", "drive.write"])])
    assert message(missing) == "Missing skills: google:drive (drive.write)"


def test_a_connection_is_missing_without_a_provider_or_when_not_connected() -> None:
    assert Checker().missing([connection("google", "drive")]) == ["google:drive"]
    assert Checker(connections={"google": _Google(())}).missing([connection("google", "mail")]) == ["google:mail"]


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        (["native:shell"], "if you trust this config, add to it: skills: [native:shell]"),
        (["native:python"], "list the module in the config: python: {modules: [...]}"),
        (["google:drive"], "connect it first, with the permissions that are named"),
    ],
)
def test_the_failure_is_never_retried_and_says_what_to_do(missing: list[str], hint: str) -> None:
    error = missing_error(missing)
    assert (error.code, error.kind, error.retryable, error.hint) == ("AF-SKILL-MISSING", "skill", False, hint)
    assert error.code in CODES
