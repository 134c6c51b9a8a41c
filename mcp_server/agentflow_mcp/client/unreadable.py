"""Messages that the SDK can't read: who sent one, or waits for it, hears of it all the same."""

from __future__ import annotations

import json
from typing import Any, Literal

import mcp.types as types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from agentflow.data import is_object


def error_for(error: ValidationError, kind: Literal["request", "answer"], why: str) -> SessionMessage | None:
    """Return the error that stands for a message that can't be read, or answers it.

    Args:
        error: why it can't be read.
        kind: what the message has to be.
        why: what the error says.

    Returns:
        The error; None where the message isn't of that kind, or nobody can tell whose it is.
    """
    given: Any = error.errors(include_url=False, include_context=False)[0]["input"]
    try:
        found = json.loads(given, parse_int=lambda digits: int(digits[:20])) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return None
    if not is_object(found) or ("method" in found) != (kind == "request") or not isinstance(found.get("id"), int | str):
        return None
    data = types.ErrorData(code=types.PARSE_ERROR, message=why)
    return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=found["id"], error=data))
