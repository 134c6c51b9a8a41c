"""How a server is reached: a program at whose streams we are, or an address."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from agentflow.errors import StepError
from agentflow.steps.network import Policy
from agentflow.steps.remote import signing
from agentflow.steps.signing import Signing
from agentflow_mcp.client.http import Transport
from agentflow_mcp.client.settings import Server
from agentflow_mcp.client.stderr import Tail

READ_TIMEOUT = 300.0
"""Seconds without a byte after which an answer isn't waited for any longer: servers send a ping far more often."""


@asynccontextmanager
async def program(server: Server, tail: Tail) -> AsyncGenerator[Any]:
    """Start a server's program; it ends with the block, and with this process, as its stdin does.

    Args:
        server: which.
        tail: gets the end of what it writes to its stderr.
    """
    parameters = StdioServerParameters(
        command=server.command or "", args=list(server.args), env=dict(server.env), cwd=server.folder
    )
    async with tail.sink() as sink, stdio_client(parameters, errlog=sink) as streams:
        sink.close()
        yield streams


@asynccontextmanager
async def address(server: Server, policy: Policy) -> AsyncGenerator[Any]:
    """Speak to a server by HTTP."""
    url = server.url or ""
    client = httpx2.AsyncClient(
        transport=Transport(policy, url),
        headers={**server.headers, **signing(server.credentials or {})},
        auth=_oauth(server, url) if server.signing is None else _Signed(server.signing),
        timeout=httpx2.Timeout(30.0, read=READ_TIMEOUT),
        trust_env=False,
    )
    async with client, streamable_http_client(url, http_client=client) as streams:
        yield streams


def _oauth(server: Server, url: str) -> httpx2.Auth | None:
    """Return what fetches tokens for the client itself; nobody is asked."""
    credentials = server.credentials
    if credentials is None or credentials.get("type", "oauth2") != "oauth2":
        return None
    needed = ("client_id", "client_secret", "issuer")
    missing = [name for name in needed if not credentials.get(name)]
    if missing:
        raise StepError(
            f'the connection of server "{server.name}" lacks {" and ".join(missing)}',
            code="AF-TOOL-CONNECTION", kind="invalid", retryable=False,
            hint=f"oauth2 of a server needs {', '.join(needed)} in the config's connections",
        )  # fmt: skip
    client, secret, issuer = (str(credentials[name]) for name in needed)
    return ClientCredentialsOAuthProvider(
        server_url=url,
        storage=_Tokens(),
        client_id=client,
        client_secret=secret,
        scope=" ".join(credentials.get("scopes", ())) or None,
        issuer=issuer,
    )


class _Signed(httpx2.Auth):
    """Signs each request as its owner's credentials are then."""

    requires_request_body = True

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        self._signing.sign(request)
        yield request


class _Tokens:
    """Tokens for as long as the connection lives: they are fetched again as easily as they would be read."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info
