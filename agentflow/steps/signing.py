"""Asks services in the name of a connection: once more where they refuse it, and then somebody has to sign in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from agentflow.credentials import Credentials, NotConnected, Outgoing
from agentflow.errors import StepError
from agentflow.steps.contract import Context

T = TypeVar("T")
REFUSALS: Final = frozenset({401, 403})
"""Statuses by which a service refuses credentials."""


def refuses(error: StepError) -> bool:
    """Tell whether a service has refused the credentials, by the status that its error tells."""
    status: Any = error.data.get("status") if isinstance(error.data, dict) else None
    return status in REFUSALS


async def signed(
    ctx: Context, connection: str, ask: Callable[[Credentials], Awaitable[T]], *,
    refused: Callable[[StepError], bool] = refuses,
) -> T:  # fmt: skip
    """Ask a service in the name of a connection.

    Args:
        ctx: the step's.
        connection: its name.
        ask: asks with credentials.
        refused: tells whether an error of `ask` means that the credentials are refused.

    Raises:
        NotConnected: there are no credentials, or the service has refused those that were fetched anew, too.
        StepError: whatever else `ask` raises.
    """
    credentials = await ctx.credentials(connection)
    try:
        return await ask(credentials)
    except StepError as error:
        if not refused(error):
            raise
    credentials = await ctx.credentials(connection, refused=credentials)
    try:
        return await ask(credentials)
    except StepError as error:
        if not refused(error):
            raise
        raise NotConnected(
            connection, "rejected", why=error.what, on_missing=credentials.on_missing, patience=credentials.patience
        ) from error


def check_host(credentials: Credentials, host: str, port: int) -> None:
    """Refuse to send credentials anywhere but to the hosts that they are for; raises StepError."""
    if credentials.hosts:
        from agentflow.definition.host_rules import host_rules  # noqa: PLC0415  as below
        from agentflow.steps.network import Policy, Section  # noqa: PLC0415  kept beside what it checks

        name = credentials.connection
        section = Section(f"the connection {name}", f'connections: {{"{name}": %s}}', "hosts")
        Policy(host_rules(credentials.hosts), section=section).check_host(host, port)


class Signing:
    """What signs an owner's requests: credentials change, and the way stays open."""

    def __init__(self, credentials: Credentials) -> None:
        """Sign with some credentials from now on."""
        self.credentials = credentials

    def take(self, credentials: Credentials) -> None:
        """Sign with others from now on, unless these are older."""
        if credentials.version >= self.credentials.version:
            self.credentials = credentials

    def sign(self, request: Any) -> None:
        """Sign a request in place, one of httpx or of httpx2: these are alike, and no relations.

        Raises:
            StepError: the credentials may not be sent to its host.
        """
        if self.query:
            request.url = request.url.copy_merge_params(dict(self.query))
        url, headers = request.url, dict(request.headers.items())
        port = url.port or (443 if url.scheme == "https" else 80)
        target = url.raw_path.decode("ascii")
        request.headers.update(self.signed(request.method, url.host, port, target, headers, request.content))

    def signed(
        self, method: str, host: str, port: int, target: str, headers: Mapping[str, str], body: bytes
    ) -> Mapping[str, str]:
        """Return the headers of a request; raises StepError where they may not be sent to its host."""
        credentials = self.credentials
        check_host(credentials, host, port)
        if credentials.sign is None:
            return credentials.headers
        plain = {name.lower(): value for name, value in headers.items()}
        return {**credentials.headers, **credentials.sign(Outgoing(method, target, plain, body))}

    @property
    def query(self) -> Mapping[str, str]:
        """Parameters that are added to a request's address."""
        return self.credentials.query
