"""What a workflow needs is found wherever it stands, and told at once, with the steps and what helps."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from agentflow.config.load import load_text
from agentflow.credentials import Credentials, NotConnected
from agentflow.engine import Engine
from agentflow.errors import InputError
from agentflow.principal import Principal

pytestmark = pytest.mark.anyio
CONFIG = """
skills: [native:network]
connections:
  {google: {client_id: x}, github: {client_id: x, on_missing: fail}, crm: {client_id: x}, desk: {client_id: x}}
tools: {crm: {url: "https://crm.example.com/mcp", connection: crm}}
agents: {desk: {url: "https://desk.example.com", connection: desk}}
workflows:
  main:
    steps:
      - id: files
        type: sequence
        steps:
          - {id: drive, type: api_call, url: "https://x.example.com", connection: "google:drive",
             requires: [{skill: "google:drive", permissions: [drive.readonly]}]}
        on_failure:
          - {id: clean, type: script, command: "true"}
      - {id: issue, type: api_call, url: "https://y.example.com", connection: github,
         compensate: {type: tool_call, tool_name: close, server: crm}}
      - {id: sub, type: workflow, workflow: other}
      - {id: sure, type: wait_for_input, message: "Sure?"}
  other:
    steps:
      - {id: ask, type: agent_run, agent: desk, prompt: hi}
      - {id: build, type: script, command: make}
"""
LINES = """\
missing skill native:shell: the config doesn't grant it; steps "clean", "other/build" fail
  fix: if you trust this config, add to it: skills: [native:shell]
missing connection google:drive (drive.readonly): nobody has signed in to "google"; \
step "drive" waits until it is connected
  fix: agentflow connections login google
missing connection github: nobody has signed in to "github"; step "issue" fails
  fix: agentflow connections login github
missing connection crm: nobody has signed in to "crm"; step "issue/compensate" waits until it is connected
  fix: agentflow connections login crm
missing connection desk: nobody has signed in to "desk"; step "other/ask" waits until it is connected
  fix: agentflow connections login desk
will ask for an answer: step "sure\""""


async def test_all_that_is_missing_is_told_at_once_wherever_it_stands() -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG), host="none") as engine:
        needs = await engine.preflight("main")
    told = "\n".join(needs.lines())
    assert told == LINES


async def test_a_strict_workflow_is_refused_with_all_that_it_lacks_and_starts_when_it_is_there() -> None:
    class All:
        async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
            if principal.owner == "bob":
                raise NotConnected(name, "not connected", scopes=scopes)
            return Credentials(name)

    given: dict[str, Any] = dict.fromkeys(("google", "github", "crm", "desk"), All())
    strict = CONFIG.replace("  main:\n", "  main:\n    preflight: strict\n")
    strict = strict.replace("[native:network]", "[native:network, native:shell]")
    async with Engine.open(":memory:", config=load_text(strict), connections=given, host="none") as engine:
        with pytest.raises(InputError) as refused:
            await engine.start("main", principal=Principal("bob"))
        assert refused.value.code == "AF-SKILL-MISSING"
        assert refused.value.what == "Missing skills: google:drive (drive.readonly), github, crm, desk"
        assert await engine.start("main", principal=Principal("ann"))
