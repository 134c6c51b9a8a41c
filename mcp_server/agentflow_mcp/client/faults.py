"""What goes wrong with a server, as a step's failure."""

from __future__ import annotations

from typing import Any, cast

from mcp.shared.exceptions import MCPError
from mcp.types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, PARSE_ERROR, REQUEST_TIMEOUT
from pydantic import ValidationError

from agentflow.data import is_object
from agentflow.errors import StepError, denial_in
from agentflow.redaction import current
from agentflow.steps.failing import shorten
from agentflow_mcp.client.http import DENIED, UNREACHABLE
from agentflow_mcp.client.settings import Server

LONGEST_TAIL = 1000
_REFUSED = frozenset({400, 401, 403, 405, 406, 415})
"""Answers of HTTP that are the same next time."""


def from_opening(server: Server, error: BaseException, tail: str) -> StepError:
    """Return why a server can't be used."""
    found = _innermost(error)
    if isinstance(found, StepError):
        return found
    if (refusal := _denied(found)) is not None:
        return refusal
    if isinstance(found, FileNotFoundError | PermissionError | NotADirectoryError):
        return StepError(
            f'server "{server.name}" can\'t be started: {(found.strerror or "error").lower()}: {server.command}',
            code="AF-TOOL-CONNECTION", kind="network", retryable=False,
            hint=_program(server),
        )  # fmt: skip
    if isinstance(found, TimeoutError):
        what = "it didn't answer in time"
    elif isinstance(found, MCPError):
        what = "it ended" if found.code == CONNECTION_CLOSED else found.message
    else:
        what = f"{type(found).__name__}: {found}"
    return lost(server, what, tail, retryable=_status(found) not in _REFUSED, status=_status(found))


def _program(server: Server) -> str:
    name, *words = (server.command or "").split()
    if words:
        return f"`command` is the program alone: {server.name}: {{command: {name}, args: [{', '.join(words)}]}}"
    return f"its program is `command` of {server.name} in the config's tools"


def lost(server: Server, what: str, tail: str = "", *, retryable: bool = True, status: int | None = None) -> StepError:
    """Return the failure of what needs a connection that isn't there; `status`: of the answer, where there was one."""
    verb = "reached" if server.url is not None else "used"
    return StepError(
        shorten(f'server "{server.name}" can\'t be {verb}: {what}'),
        code="AF-TOOL-CONNECTION", kind="network", retryable=retryable,
        why=f"it wrote: {current().tail(tail, LONGEST_TAIL)}" if tail else None,
        data=None if status is None else {"status": status},
    )  # fmt: skip


def is_lost(error: BaseException) -> bool:
    """Tell whether an error is the connection's, not the call's."""
    return isinstance(error, MCPError) and error.code in (CONNECTION_CLOSED, UNREACHABLE)


def is_unknown_session(error: BaseException) -> bool:
    """Tell whether the server doesn't know our session any more, and has done nothing."""
    return isinstance(error, MCPError) and _status(error) == 404


def session_is_over(error: BaseException) -> bool:
    """Tell whether nothing more can be asked on the connection."""
    return is_unknown_session(error) or (isinstance(error, MCPError) and error.code == CONNECTION_CLOSED)


def from_call(server: Server, tool: str, error: BaseException, tail: str) -> StepError:
    """Return what a call has come to that has no result."""
    if isinstance(error, StepError):
        return error
    if (refusal := _denied(error)) is not None:
        return refusal
    if isinstance(error, ValidationError):
        return result_unfit(tool, "its answer isn't one of the protocol")
    if isinstance(error, RuntimeError):  # of the SDK: a result that doesn't fit the tool's output schema
        return result_unfit(tool, str(error).partition("\n")[0])
    if not isinstance(error, MCPError):
        return StepError(shorten(f'Tool "{tool}": {type(error).__name__}: {error}'), code="AF-TOOL-FAILED")
    if is_lost(error):
        what = "the connection was lost while the tool was called" if error.code == CONNECTION_CLOSED else error.message
        return lost(server, what, tail, retryable=_status(error) not in _REFUSED, status=_status(error))
    if error.code == PARSE_ERROR:
        return result_unfit(tool, error.message)
    text = shorten(f'Tool "{tool}": {error.message}')
    if error.code == REQUEST_TIMEOUT:
        return StepError(text, code="AF-TIMEOUT", kind="timeout")
    if error.code in (INVALID_PARAMS, METHOD_NOT_FOUND):
        return StepError(text, code="AF-TOOL-ARGUMENTS", kind="invalid", retryable=False)
    return StepError(text, code="AF-TOOL-FAILED", kind="exception")


def result_unfit(tool: str, why: str) -> StepError:
    """Return the failure of a result that isn't what its server promises."""
    return StepError(
        shorten(f'The result of tool "{tool}" can\'t be used: {why}'),
        code="AF-TOOL-RESULT", kind="invalid", retryable=False,
    )  # fmt: skip


def _denied(error: BaseException) -> StepError | None:
    """Return the refusal by our own network rules that an error stands for."""
    data: Any = error.data if isinstance(error, MCPError) else None
    told: Any = data.get(DENIED) if is_object(data) else None
    if not is_object(told):
        return denial_in(error)
    why, hint = told.get("why"), told.get("hint")
    return StepError(
        str(told.get("what")), code="AF-NETWORK-DENIED", kind="network", retryable=False,
        why=why if isinstance(why, str) else None, hint=hint if isinstance(hint, str) else None,
    )  # fmt: skip


def _status(error: BaseException) -> int | None:
    data: Any = error.data if isinstance(error, MCPError) else None
    return data.get("http") if is_object(data) else None


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
