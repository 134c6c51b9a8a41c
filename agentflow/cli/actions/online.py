"""`validate --online`: asks the servers of the config's tools and agents what they have, and checks the calls of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from agentflow.config import Config
from agentflow.definition.check.tools import check_tools
from agentflow.definition.pointers import join
from agentflow.engine.assembly import services_of
from agentflow.errors import Problem, StepError
from agentflow.redaction import use
from agentflow.steps.remote import RemoteAgent, RemoteTools

Tools = dict[str | None, Mapping[str, Mapping[str, Any]]]


def check_online(config: Config) -> list[Problem]:
    """Return what is wrong with calls of tools, and with agents, elsewhere; a server that isn't there is a warning."""
    if not config.tools and not config.agents:
        return []
    found: Tools = {}
    problems: dict[str, Problem] = {}
    anyio.run(_ask, config, found, problems)
    every = [problem for _, problem in sorted(problems.items())]
    problems = {name: problem for name, problem in problems.items() if problem.pointer.startswith("/tools")}
    for name, workflow in config.workflows.items():
        document = config.documents.get(config.sources.get(name, ""))
        place = document.place if document is not None else None
        every += check_tools(workflow, found, sorted(problems), pointers=config.parsed.get(name), place=place)
    return every


async def _ask(config: Config, found: Tools, problems: dict[str, Problem]) -> None:
    use(config.redactor)
    services = services_of(config, {}, {}, {})
    try:
        functions: dict[str, Mapping[str, Any]] = {}
        for name in services.tool_functions:
            try:
                functions[name] = await services.tool_functions.schema(name)
            except StepError as error:
                problems[name] = _problem(config, name, error)
        found[None] = functions
        async with anyio.create_task_group() as group:
            for name, server in services.servers.items():
                if isinstance(server, RemoteTools):
                    group.start_soon(_list, config, name, server, found, problems)
            for name, agent in services.agents.items():
                if isinstance(agent, RemoteAgent):
                    group.start_soon(_look, config, name, agent, problems)
    finally:
        await services.aclose()


async def _list(config: Config, name: str, server: RemoteTools, found: Tools, problems: dict[str, Problem]) -> None:
    try:
        listed = await server.listed()
    except StepError as error:
        problems[name] = _problem(config, name, error)
        return
    found[name] = {tool: dict(each["input_schema"]) for tool, each in listed.items()}


async def _look(config: Config, name: str, agent: RemoteAgent, problems: dict[str, Problem]) -> None:
    try:
        await agent.check()
    except StepError as error:
        problems[f"/agents/{name}"] = _problem(config, name, error, "agents")


def _problem(config: Config, name: str, error: StepError, section: str = "tools") -> Problem:
    pointer = join("", section, name)
    document = next(iter(config.documents.values()), None)
    place = document.place(pointer, key=True) if document is not None else None
    message = config.redactor.text(
        f"{error.what}; what is called there isn't checked" if section == "tools" else error.what
    )
    hint = error.hint or error.why
    hint = None if hint is None else config.redactor.text(hint)
    return Problem(error.code, message, pointer, place, None, hint, "warning")
