"""The agent's card: who it is, where it is reached, and a skill for each workflow and each tool trigger. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentflow import __version__
from agentflow.definition.models import Workflow
from agentflow.definition.triggers import Tool
from agentflow.server.surface import Agent
from agentflow_a2a.files import takes_files
from agentflow_a2a.reading import ACCEPTED
from agentflow_a2a.told import TASKS, Json
from agentflow_a2a.triggers import triggers

_OUTPUT = ("text/plain", "application/json")
_SECURITY: Mapping[str, Any] = {
    "securitySchemes": {"bearer": {"httpAuthSecurityScheme": {"scheme": "bearer"}}},
    "securityRequirements": [{"schemes": {"bearer": {}}}],
}


def card(agent: Agent, *, extended: bool = False) -> Json:
    """Return an agent's card, in the protocol's JSON.

    Where who asks has to bring a token, schemas stand on the extended card only, and that isn't for everybody.
    """
    config, tokens = agent.engine.config, agent.tokens
    description = config.description or f"Runs workflows: {', '.join(config.workflows)}."
    extension = {
        "uri": TASKS,
        "description": "Each wait of a run is a task of its own. Metadata under this URI tells a task's place in the "
        "tree of tasks (parentTaskId, rootTaskId, depth, step, kind, schema) and its generation, which grows by one "
        "with each change: streams go on after it with Last-Event-ID. A data part {step, answer} answers one of "
        "several waits; metadata skillId names the skill to start.",
    }
    return {
        "name": config.name,
        "description": description,
        "version": __version__,
        "supportedInterfaces": _interfaces(agent),
        "capabilities": {
            "streaming": True,
            "pushNotifications": config.push.enabled,
            "extendedAgentCard": tokens,
            "extensions": [extension],
        },
        "defaultInputModes": list(ACCEPTED),
        "defaultOutputModes": list(_OUTPUT),
        "skills": skills(config.workflows, schemas=extended or not tokens),
        **(_SECURITY if tokens else {}),
    }


def _interfaces(agent: Agent) -> list[Json]:
    ways = [("JSONRPC", f"{agent.url}/a2a"), ("HTTP+JSON", f"{agent.url}/a2a/rest")]
    if agent.grpc is not None:
        ways.append(("GRPC", agent.grpc.url))
    found: list[Json] = [
        {"url": url, "protocolBinding": binding, "protocolVersion": version}
        for version in ("1.0", "0.3")
        for binding, url in ways
    ]
    if not agent.tenant:
        return found
    # One port for several agents: a call says which it means, and in 0.3 it has no way to.
    kept = [each for each in found if (each["protocolBinding"], each["protocolVersion"]) != ("GRPC", "0.3")]
    return [{**each, "tenant": agent.tenant} if each["protocolBinding"] == "GRPC" else each for each in kept]


def skills(workflows: Mapping[str, Workflow], *, schemas: bool) -> list[Json]:
    """Return a skill for each workflow, and one for each of their tool triggers."""
    found: list[Json] = []
    for workflow in workflows.values():
        schema = workflow.input_schema if schemas else None
        told = _told(workflow.description or workflow.label or workflow.id, schema)
        found.append(_skill(workflow.id, workflow.label, told, ["workflow"], workflow))
    for workflow, entry, tool in triggers(workflows, Tool):
        if tool.name not in workflows:
            schema = tool.input_schema or workflow.input_schema if schemas else None
            told = _told(tool.description or entry.label or tool.name, schema)
            found.append(_skill(tool.name, entry.label, told, ["workflow", workflow.id], workflow))
    return found


def _told(description: str, schema: Mapping[str, Any] | None) -> str:
    if schema is None:
        return description
    return f"{description}\nInput (JSON Schema): {json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}"


def _skill(name: str, label: str | None, told: str, tags: list[str], workflow: Workflow) -> Json:
    tags = list(dict.fromkeys((*tags, *workflow.tags)))
    skill: Json = {"id": name, "name": label or name, "description": told, "tags": tags}
    if workflow.examples:
        skill["examples"] = list(workflow.examples)
    if takes_files(workflow):
        skill["inputModes"] = [*ACCEPTED, "*/*"]
    return skill
