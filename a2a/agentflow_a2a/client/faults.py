"""What goes wrong between two agents, and how a step tells of it. Pure."""

from __future__ import annotations

from typing import Literal

from agentflow.errors import StepError

Kind = Literal["unreachable", "denied", "not_found", "over", "unsupported", "invalid", "refused"]
"""`unreachable`: it may answer later. `over`: its task has ended. The others stay as they are."""


class RemoteError(Exception):
    """An agent can't be reached, or has refused a request."""

    def __init__(self, kind: Kind, message: str) -> None:
        """Make one.

        Args:
            kind: what it is.
            message: what the agent, or the network, has said.
        """
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message


def failed(agent: str, error: RemoteError) -> StepError:
    """Return the failure of a step whose agent can't be reached, or has refused."""
    if error.kind == "unreachable":
        return StepError(
            f'agent "{agent}" can\'t be reached', code="AF-AGENT-UNREACHABLE", kind="network", why=error.message
        )
    if error.kind == "denied":
        return StepError(
            f'agent "{agent}" doesn\'t let us in', code="AF-AGENT-DENIED", kind="http", retryable=False,
            why=error.message, hint="check its token_env or headers in the config",
        )  # fmt: skip
    if error.kind == "not_found":
        return StepError(
            f'agent "{agent}" doesn\'t know its task any more', code="AF-AGENT-LOST", kind="http", why=error.message
        )
    return StepError(
        f'agent "{agent}" has refused a request', code="AF-AGENT-REFUSED", kind="http", retryable=False,
        why=error.message,
    )  # fmt: skip


def stopped(agent: str, state: str, message: str, *, retryable: bool = True) -> StepError:
    """Return the failure of a step whose agent's task has ended without a result."""
    why = message or None
    if state == "canceled":
        return StepError(
            f'the task of agent "{agent}" was canceled', code="AF-AGENT-CANCELED", kind="wait", retryable=False, why=why
        )
    if state == "rejected":
        return StepError(
            f'agent "{agent}" has rejected it', code="AF-AGENT-REJECTED", kind="invalid", retryable=False, why=why
        )
    return StepError(f'agent "{agent}" has failed', code="AF-AGENT-FAILED", retryable=retryable, why=why)
