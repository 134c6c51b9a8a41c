"""Answers what is asked most without the SDK in between: calls of workflows that end at once, and tasks.

What the SDK would answer is answered in the same bytes. A run that goes on is followed by the SDK's way: the call finds
it there. Whatever isn't in plain form, and whatever has failed at the protocol, goes that way from the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import mcp.types as types
from mcp.server import Server
from mcp.shared.inbound import X_MCP_HEADER_KEY
from mcp.types import CLIENT_CAPABILITIES_META_KEY, SERVER_INFO_META_KEY
from mcp.types.methods import validate_client_request
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider
from pydantic import ValidationError
from starlette.types import Scope, Send

from agentflow.engine import Run
from agentflow.errors import AgentflowError
from agentflow.server.who import principal_of
from agentflow_mcp.caller import Caller
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import plain
from agentflow_mcp.protocol.client import BEGUN, Abilities, abilities
from agentflow_mcp.protocol.shapes import plain_of
from agentflow_mcp.protocol.tasks import task_body

CLIENTS: Final = 256
"""How many clients are known by what they say of themselves."""
LONGEST: Final = 4096
"""Characters that one may say of itself to be kept."""
_write = json.JSONEncoder(separators=(",", ":")).encode


class Direct:
    """Stands before the SDK."""

    def __init__(self, server: Server[dict[str, Any]], desk: Desk) -> None:
        """Answer for a server; `desk` carries calls out."""
        self._desk = desk
        self._stamp = {SERVER_INFO_META_KEY: server.server_info_stamp}
        self._clients: dict[str, Abilities | None] = {}
        self._mirrors: dict[str, tuple[object, bool]] = {}

    async def answer(self, scope: Scope, body: bytes, send: Send) -> bool:
        """Answer a request that was posted; False: the SDK has to."""
        call = plain.read(scope["headers"], body)
        can = self._abilities(call.client) if call is not None else None
        if call is None or can is None or _is_traced():
            return False
        caller = Caller(principal_of(scope), key=call.key, **can._asdict())
        if call.method == "tasks/get":
            result = await self._task(call.name, caller)
        else:
            result = await self._called(call, caller, scope)
        if result is None:
            return False
        result["_meta"] = {**result.get("_meta", {}), **self._stamp}
        text = _write({"jsonrpc": "2.0", "id": call.id, "result": result}).encode()
        headers = [(b"content-length", b"%d" % len(text)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})
        return True

    async def _called(self, call: plain.Call, caller: Caller, scope: Scope) -> dict[str, Any] | None:
        desk, name = self._desk, call.name
        if not desk.starts(name) or self._is_mirrored(name) or (desk.mode(name) == "task" and not caller.tasks):
            return None
        found = await desk.begin(name, call.arguments, caller)
        if isinstance(found, Run):
            if not found.ended:
                scope["state"][BEGUN] = found
                return None
            found = await desk.call(name, call.arguments, caller, found)
        return plain_of(found)

    async def _task(self, task_id: str, caller: Caller) -> dict[str, Any] | None:
        if not caller.tasks:
            return None
        try:
            return {"resultType": "complete", **await task_body(self._desk, task_id, caller)}
        except AgentflowError:  # it is read once more, and the error told in the protocol's words
            return None

    def _is_mirrored(self, name: str) -> bool:
        """Tell whether arguments of a tool stand in headers, too, which have to say the same."""
        schema = self._desk.schema(name)
        known = self._mirrors.get(name)
        if known is None or known[0] is not schema:
            known = self._mirrors[name] = schema, X_MCP_HEADER_KEY in json.dumps(schema)
        return known[1]

    def _abilities(self, client: Mapping[str, Any]) -> Abilities | None:
        """Return what a client can; None: the SDK doesn't take what it says of itself."""
        said = _write(client)
        if said not in self._clients:
            if len(said) > LONGEST:
                return None
            if len(self._clients) >= CLIENTS:
                del self._clients[next(iter(self._clients))]
            self._clients[said] = _declared(client)
        return self._clients[said]


def _declared(client: Mapping[str, Any]) -> Abilities | None:
    """Let the SDK read what a client says of itself."""
    try:
        validate_client_request("tools/call", plain.MODERN, {"name": "any", "_meta": client})
        declared = types.ClientCapabilities.model_validate(client.get(CLIENT_CAPABILITIES_META_KEY), by_name=False)
    except ValidationError:
        return None
    return abilities(declared, plain.MODERN)


def _is_traced() -> bool:
    """Tell whether spans are recorded: the SDK makes them."""
    return not isinstance(get_tracer_provider(), ProxyTracerProvider)
