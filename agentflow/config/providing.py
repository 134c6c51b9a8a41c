"""Checks of what the config says of tools, agents and connections: their templates of `env`, and their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentflow.config.result import Config
from agentflow.data import is_array, is_object
from agentflow.definition.connection_fields import name_fault
from agentflow.definition.faults import Faults
from agentflow.definition.gates import CALLED
from agentflow.definition.pointers import join
from agentflow.expressions import ExpressionError, compile_value

_ENV = frozenset({"env"})
_LITERAL = ("description", "input_schema", "python", "approve")
_OF_SERVERS = ("headers", "connection")
_OF_PROGRAMS = ("args", "env", "cwd")


def check_providers(config: Config, faults: Faults) -> None:
    """Check entries that speak to something else: each problem is told where it stands."""
    for number, variable in enumerate(config.env.values()):
        connection = variable.connection
        if connection is not None and not {connection, connection.partition(":")[0]} & config.connections.keys():
            label = faults.tally.meant(connection, config.connections)
            what = f'the config has no connection "{connection}"'
            faults.add("AF-CONNECTION-UNKNOWN", what, f"/env/{number}/connection", label=label)
    for name in config.connections:
        wrong = name_fault(name)
        if wrong is not None:
            faults.add("AF-FIELD-VALUE", wrong, join("/connections", name), key=True)
    for name, text in config.http.headers.items():
        _check_text(text, join("/http/headers", name), config, faults)
    for kind, entries in (("tools", config.tools), ("agents", config.agents), ("connections", config.connections)):
        for name, entry in entries.items():
            for field, value in entry.items():
                if field not in _LITERAL:
                    for pointer, text in _texts(value, join("", kind, name, field)):
                        _check_text(text, pointer, config, faults)
            _check_connection(entry, join("", kind, name), config, faults)
    for name, entry in config.tools.items():
        _check_fields(entry, join("/tools", name), faults)
        if entry.get("approve") is not None:
            _check_gate(entry["approve"], join("/tools", name, "approve"), faults)


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif is_object(value):
        for key, each in value.items():
            yield from _texts(each, join(pointer, key))
    elif is_array(value):
        for number, each in enumerate(value):
            yield from _texts(each, join(pointer, number))


def _check_text(text: str, pointer: str, config: Config, faults: Faults) -> None:
    try:
        references = compile_value(text, _ENV).references
    except ExpressionError as error:
        faults.add(error.code, error.what, pointer, hint=error.hint)
        return
    for reference in references:
        name = str(reference.path[0]) if reference.path else ""
        if name in config.env and config.env[name].connection:
            hint = f"connection: {config.env[name].connection}, beside it or in a step"
            what = f'"{name}" is a token of the run\'s owner: it can only stand in steps'
            faults.add("AF-SECRET-PLACE", what, pointer, hint=hint)
        if name not in config.env:
            label = faults.tally.meant(name, config.env)
            hint = None if label else f"env: [{', '.join((*config.env, name))}]"
            faults.add("AF-REF-ENV", f'"env" of the config doesn\'t list "{name}"', pointer, label=label, hint=hint)


def _check_connection(entry: Any, pointer: str, config: Config, faults: Faults) -> None:
    connection = entry.get("connection")
    known = config.connections
    if isinstance(connection, str) and connection not in known and connection.partition(":")[0] not in known:
        what = f'the config has no connection "{connection}"'
        label = faults.tally.meant(connection, config.connections)
        faults.add("AF-CONNECTION-UNKNOWN", what, f"{pointer}/connection", label=label)


def _check_gate(gate: Any, pointer: str, faults: Faults) -> None:
    """Check what a tool's approval asks, when, and what may be changed."""
    from agentflow.definition.check.schemas import schema_problems  # noqa: PLC0415  few tools are approved
    from agentflow.expressions import compile_condition  # noqa: PLC0415  as above

    for field, compiled in (("message", compile_value), ("if_", compile_condition)):
        if gate.get(field) is not None:
            try:
                compiled(gate[field], CALLED)
            except ExpressionError as error:
                faults.add(error.code, error.what, join(pointer, field.rstrip("_")), hint=error.hint)
    for name, schema in gate.get("edit", {}).items():
        for path, message, label, hint in schema_problems(schema):
            faults.add("AF-SCHEMA-INVALID", message, join(pointer, "edit", name, *path), label=label, hint=hint)


def _check_fields(entry: Any, pointer: str, faults: Faults) -> None:
    """Refuse fields that mean nothing beside the one that says what an entry is."""
    kind = next((field for field in ("python", "command", "url") if field in entry), "python")
    of_others = {"python": (*_OF_SERVERS, *_OF_PROGRAMS), "command": _OF_SERVERS, "url": _OF_PROGRAMS}[kind]
    for field in of_others:
        if field in entry:
            what = f'"{field}" means nothing beside "{kind}"'
            faults.add("AF-FIELD-VALUE", what, f"{pointer}/{field}", key=True)
