"""What the protocol refuses, and how errors of the engine are told in its words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from agentflow.errors import AgentflowError, ConflictError, InputError, NotFoundError

Kind = Literal[
    "task_not_found",
    "task_not_cancelable",
    "push_not_supported",
    "unsupported",
    "content_type",
    "no_extended_card",
    "invalid_params",
    "version",
    "internal",
]


class RefusedError(Exception):
    """A request that the protocol has an error for."""

    def __init__(self, kind: Kind, message: str, *, fields: Mapping[str, str] | None = None, code: str = "") -> None:
        """Make one.

        Args:
            kind: which of the protocol's errors it is.
            message: what is wrong, for people.
            fields: what is wrong with which field of the request.
            code: our own stable code, where there is one.
        """
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.fields = dict(fields or {})
        self.code = code


def not_found(task_id: str) -> RefusedError:
    """Return the error of a task that isn't there, or isn't the caller's: nobody can tell which."""
    return RefusedError("task_not_found", f'no task "{task_id}"')


def invalid(field: str, message: str) -> RefusedError:
    """Return the error of a field of the request."""
    return RefusedError("invalid_params", f"{field}: {message}", fields={field: message})


def refusal(error: AgentflowError) -> RefusedError:
    """Return an error of the engine in the protocol's words."""
    message = said(error)
    if isinstance(error, InputError):
        problems: Any = error.data.get("problems")
        fields = {"message.parts": "; ".join(map(str, problems)) if problems else message}
        return RefusedError("invalid_params", message, fields=fields, code=error.code)
    if isinstance(error, NotFoundError):
        return RefusedError("task_not_found", message, code=error.code)
    if isinstance(error, ConflictError):
        return RefusedError("unsupported", message, code=error.code)
    return RefusedError("internal", message, code=error.code)


def said(error: AgentflowError) -> str:
    """Return what an error says, in one text."""
    return f"{error.what}: {error.why}" if error.why else error.what
