"""What steps need, and what is missing."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from agentflow.codes import CODES
from agentflow.config import load_text
from agentflow.credentials import Credentials, NotConnected, OnMissing
from agentflow.definition.models import Requirement
from agentflow.principal import LOCAL, Principal
from agentflow.requirements import Checker, Providers, Want, is_valid, message, missing_error, preflight_of
from agentflow.steps.building import connection, native

pytestmark = pytest.mark.anyio


class _Google:
    """A provider, and a book, with some scopes."""

    def __init__(self, scopes: Collection[str]) -> None:
        self._scopes = scopes

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        lacks = [scope for scope in scopes if scope not in self._scopes]
        if lacks:
            raise NotConnected(name, "scopes", scopes=lacks)
        return Credentials(name)

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        return credentials

    async def lack(self, name: str, principal: Principal, scopes: Collection[str]) -> NotConnected | None:
        return None

    def manner(self, name: str) -> tuple[OnMissing, float]:
        return "ask", 60.0


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
    missing = Checker(["native:network"]).missing(("native:shell", "native:network", "native:python", "native:shell"))
    assert missing == ["native:shell", "native:python"]
    assert message(missing) == "Missing skills: native:shell, native:python"


@pytest.mark.case("D-REQ-9")
async def test_a_connection_with_all_scopes_lacks_nothing_and_a_missing_scope_is_named() -> None:
    book = Providers({"google": _Google({"drive.read"})}, _Google(()))
    need = Want("connection", "google:drive", ("fetch",), ("drive.read",))
    assert (await preflight_of([need], Checker(), book, LOCAL)).missing == ()
    need = Want("connection", "google:drive", ("fetch",), ("drive.read", "drive.write"))
    found = await preflight_of([need], Checker(), book, LOCAL)
    assert found.missing == ("google:drive (drive.write)",)
    assert message(found.missing) == "Missing skills: google:drive (drive.write)"


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


def test_tools_and_agents_are_granted_by_being_named_unless_the_config_takes_that_away() -> None:
    both = ("native:tool", "native:agent")
    assert Checker().missing(both) == []
    assert Checker({"native:agent": {"allow": ["writer"]}}).missing(both) == []
    assert Checker({"native:agent": False}).missing(both) == ["native:agent"]
    config = load_text("""
skills: {native:agent: false}
agents: {writer: {url: "https://writer.example"}}
workflows:
  main: {steps: [{id: ask, type: agent_run, agent: writer, prompt: hello}]}
""")
    assert Checker(config.skills).missing(both) == ["native:agent"]
    (warning,) = config.warnings
    assert warning.message == 'step "ask" needs native:agent, which the config doesn\'t grant'
    assert warning.hint is not None
    assert '`"native:agent": false`' in warning.hint
