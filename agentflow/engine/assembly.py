"""Puts a core together from a config, a store and what is injected."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, cast

from agentflow.clock import Clock
from agentflow.config import Config
from agentflow.engine.attempt.in_json import execute_in_json
from agentflow.engine.catalog import Catalog
from agentflow.engine.compiling import register
from agentflow.engine.connecting import book_of
from agentflow.engine.gate import Gate
from agentflow.engine.host.core import Core
from agentflow.engine.host.environment import Environment
from agentflow.engine.host.keys import Keys
from agentflow.engine.keyrings import WORD, keys_in_keyring
from agentflow.engine.read.defined import parse_stored
from agentflow.engine.runtime.base import Runtime
from agentflow.errors import DefinitionError, Problem
from agentflow.expressions import NamedValues, compile_value
from agentflow.ids import IdSource
from agentflow.requirements import Checker, ConnectionProvider, NoBook, Providers
from agentflow.sealing import VARIABLE, Sealer, keys_of, new_key
from agentflow.steps.own import OwnTypes
from agentflow.steps.services import ProcessServices
from agentflow.steps.tool_gates import gates_of
from agentflow.store.contract import Store
from agentflow.store.key_file import keys_in
from agentflow.store.rows import State


def build_core(
    config: Config,
    store: Store,
    clock: Clock,
    ids: IdSource,
    functions: Mapping[str, Callable[..., Any]],
    tools: Mapping[str, Any],
    agents: Mapping[str, Any],
    connections: Mapping[str, ConnectionProvider],
    runtime: Runtime | Literal["wire"] | None = None,
) -> Core:
    """Make a core for one engine."""
    services = services_of(config, functions, tools, agents)
    sealer = sealer_of(os.environ, store.key_file)
    book = cache(partial(book_of, config, store, sealer, clock.now))
    services.book = credentials = Providers(connections, book() if config.connections else NoBook())
    types = OwnTypes(config.folder, config.python_modules)
    env = Environment(
        clock=clock,
        ids=ids,
        types=types,
        services=services,
        env=config.env_values,
        public_env=public_env(config),
        checker=Checker(config.skills, python=bool(config.python_modules or functions or tools or agents)),
        keys=Keys(store),
        catalog=Catalog(partial(parse_stored, types), types, config.http.timeout),
        gate=Gate(config.limits, config.redactor),
        limits=config.limits,
        sealer=sealer,
        book=book,
        credentials=credentials,
        fed=config.fed,
        agent=config.agent,
        currency=config.currency,
        keeps=cast("Mapping[State, float]", config.retention.model_dump(exclude_none=True)),
    )
    core = Core(env, store, execute_in_json) if runtime == "wire" else Core(env, store, workers=runtime)
    for workflow in config.workflows.values():
        register(env, workflow, config)
    return core


def services_of(
    config: Config,
    functions: Mapping[str, Callable[..., Any]],
    tools: Mapping[str, Any],
    agents: Mapping[str, Any],
) -> ProcessServices:
    """Make what a process offers to steps; raises DefinitionError where its network rules aren't understood."""
    try:
        return ProcessServices(
            folder=config.folder,
            python_modules=config.python_modules,
            functions=functions,
            env_values=config.env_values,
            http=config.http.model_copy(update={"headers": _headers(config)}),
            skills=config.skills,
            tools={**config.tools, **tools},
            agents={**config.agents, **agents},
            credentials=config.connections,
            prices=config.model_prices,
            gates=gates_of(config.tools),
        )
    except ValueError as error:
        raise DefinitionError([Problem("AF-FIELD-VALUE", f"skills: {error}")]) from None


def sealer_of(environment: Mapping[str, str], file: Path | None) -> Sealer:
    """Return what seals secrets: by the environment's keys or the keyring's, else the file's, else a key of its own.

    Raises:
        AgentflowError: the environment's keys aren't any.
    """
    said = environment.get(VARIABLE)
    if said is not None and said.strip() == WORD:
        return Sealer(keys_in_keyring)
    if said:
        keys = keys_of(said)
        return Sealer(lambda: keys)
    if file is not None:
        return Sealer(partial(keys_in, file))
    return Sealer(lambda: keys_of(new_key()))


def public_env(config: Config) -> dict[str, str]:
    """Return the values of the config's `env` that aren't secret."""
    return {name: value for name, value in config.env_values.items() if name in config.env and config.env[name].public}


def _headers(config: Config) -> dict[str, str]:
    """Return the config's HTTP headers, their templates of `env` computed."""
    headers = compile_value(config.http.headers, frozenset({"env"}))
    rendered: dict[str, Any] = headers.render(NamedValues({"env": config.env_values}))
    return {name: str(value) for name, value in rendered.items()}
