"""What clients may read: workflows as they are configured, and runs as they are now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentflow.config import Config
from agentflow.definition.canonical import to_data
from agentflow.definition.graph import to_mermaid
from agentflow.errors import NotFoundError
from agentflow.principal import Principal
from agentflow.store.rows import RunQuery
from agentflow_mcp.controls import run_named
from agentflow_mcp.following import Follower
from agentflow_mcp.results import as_json

WORKFLOWS = "agentflow://workflows/"
RUNS = "agentflow://runs/"
NEWEST = 200
"""Runs among which an id is completed."""
JSON, MERMAID = "application/json", "text/vnd.mermaid"


class Listed(NamedTuple):
    """A resource of a list."""

    uri: str
    name: str
    title: str | None
    description: str | None


class Content(NamedTuple):
    """A part of a resource."""

    uri: str
    mime_type: str
    text: str


def listed(config: Config) -> list[Listed]:
    """Return the workflows, in the order of their names."""
    return [
        Listed(WORKFLOWS + name, name, each.label, each.description)
        for name, each in sorted(config.workflows.items())
        if each.mcp.expose is not False
    ]


async def read(follower: Follower, uri: str, principal: Principal) -> Sequence[Content]:
    """Return what stands at an address: a workflow's definition with its graph, or a run.

    Raises:
        NotFoundError: nothing does, or it is somebody else's.
    """
    config = follower.engine.config
    redactor = config.redactor
    if uri.startswith(RUNS):
        run = await run_named(follower.engine, uri.removeprefix(RUNS), principal)
        return [Content(uri, JSON, as_json(redactor.value(await follower.told_whole(run, principal))))]
    workflow = config.workflows.get(uri.removeprefix(WORKFLOWS)) if uri.startswith(WORKFLOWS) else None
    if workflow is None or workflow.mcp.expose is False:
        raise NotFoundError(f'there is no resource "{uri[:200]}"')
    return [
        Content(uri, JSON, as_json(redactor.value(to_data(workflow)))),
        Content(f"{uri}#graph", MERMAID, redactor.text(to_mermaid(workflow))),
    ]


def run_id_of(uri: str) -> str | None:
    """Return the id of the run, or of the wait, whose address it is."""
    return uri.removeprefix(RUNS) if uri.startswith(RUNS) else None


async def is_run(follower: Follower, run_id: str, principal: Principal) -> bool:
    """Tell whether there is such a run of the principal's."""
    try:
        await follower.engine.get(run_id, output=False, principal=principal)
    except NotFoundError:
        return False
    return True


async def is_there(follower: Follower, uri: str, principal: Principal) -> bool:
    """Tell whether there is something at an address that the principal sees."""
    run_id = run_id_of(uri)
    if run_id is not None:
        return await is_run(follower, run_id, principal)
    name = uri.removeprefix(WORKFLOWS) if uri.startswith(WORKFLOWS) else None
    workflow = follower.engine.config.workflows.get(name) if name is not None else None
    return workflow is not None and workflow.mcp.expose is not False


async def completed(follower: Follower, template: str, name: str, begun: str, principal: Principal) -> list[str]:
    """Return what a part of an address can be that begins with a text: names of workflows, ids of the newest runs."""
    config = follower.engine.config
    if (template, name) == (f"{WORKFLOWS}{{name}}", "name"):
        return [each.name for each in listed(config) if each.name.startswith(begun)]
    if (template, name) != (f"{RUNS}{{task_id}}", "task_id"):
        return []
    query = RunQuery(limit=NEWEST, agent=config.agent)
    return [run.id for run in await follower.engine.list(query, principal=principal) if run.id.startswith(begun)]
