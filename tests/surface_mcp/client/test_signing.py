"""Calls by HTTP are signed as the config says, and go only where they may."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import httpcore2
import pytest

from agentflow.config.load import load_text
from agentflow.errors import DefinitionError
from agentflow.steps.network import Policy
from agentflow.steps.network_httpx2 import GuardedBackend2
from tests.surface_mcp.client.far import far, ledger, listening

pytestmark = pytest.mark.anyio
HEAD = "env: [{name: SECRET, default: swordfish}]\n"


async def test_headers_and_connections_sign_each_request(tmp_path: Path) -> None:
    async with listening(tmp_path) as (_, url):
        tools: dict[str, Any] = {
            "own": {"url": url, "headers": {"Authorization": "Key {env.SECRET}"}},
            **{name: {"url": url, "connection": name} for name in ("bearer", "basic", "header")},
        }
        connections: dict[str, Any] = {
            "bearer": {"type": "bearer", "token": "{env.SECRET}"},
            "basic": {"type": "basic", "username": "me", "password": "{env.SECRET}"},
            "header": {"type": "api_key", "header": "Authorization", "key": "{env.SECRET}", "prefix": "Own "},
        }
        async with far(tmp_path, tools, head=HEAD, connections=connections) as world:
            sent = {name: (await world.start("me", name)).output["authorization"] for name in tools}
    pair = b64encode(b"me:").decode()  # what follows is the secret, which is taken out of results
    assert sent == {"own": "Key ***", "bearer": "Bearer ***", "basic": f"Basic {pair}***", "header": "Own ***"}


async def test_a_client_gets_tokens_by_itself_and_keeps_them(tmp_path: Path) -> None:
    async with listening(tmp_path, CLIENT="yes") as (_, url):
        tools = {"crm": {"url": url, "connection": "crm"}, "nobody": {"url": url}}
        issuer = url.removesuffix("/mcp")
        connections = {"crm": {
            "grant": "client_credentials", "client_id": "us", "client_secret": "{env.SECRET}", "issuer": issuer,
        }}  # fmt: skip
        async with far(tmp_path, tools, head=HEAD, connections=connections) as world:
            first = await world.start("echo", "crm", text="hi")
            second = await world.start("echo", "crm", text="ho")
            refused = await world.start("echo", "nobody", text="hi")
    assert (first.output, second.output) == ({"text": "hi"}, {"text": "ho"})
    assert ledger(tmp_path, "token") == [f"token Basic {b64encode(b'us:swordfish').decode()}"]
    assert refused.failure is not None
    assert (refused.failure.code, refused.failure.retryable) == ("AF-TOOL-CONNECTION", False)
    assert "401" in refused.failure.message


@pytest.mark.parametrize(
    ("entry", "code", "says"),
    [
        ("{url: ftp://x}", "AF-FIELD-VALUE", "http:// or https://"),
        ("{command: x, headers: {a: b}}", "AF-FIELD-VALUE", '"headers" means nothing beside "command"'),
        ("{url: 'https://x', env: {a: b}}", "AF-FIELD-VALUE", '"env" means nothing beside "url"'),
        ("{command: x, env: {A: '{env.NOPE}'}}", "AF-REF-ENV", 'doesn\'t list "NOPE"'),
        ("{url: 'https://x', connection: crn}", "AF-CONNECTION-UNKNOWN", 'no connection "crn"'),
        ("{command: x, url: 'https://x'}", "AF-FIELD-VALUE", "exactly one of python, command and url"),
    ],
)
def test_an_entry_that_means_nothing_is_told_where_it_stands(entry: str, code: str, says: str) -> None:
    with pytest.raises(DefinitionError) as told:
        load_text(f"tools:\n  a: {entry}\nconnections: {{crm: {{type: bearer, token: x}}}}\nworkflows: {{}}\n")
    (problem,) = told.value.problems
    assert (problem.code, problem.place is not None) == (code, True)
    assert says in problem.message


async def test_only_the_server_that_the_config_names_may_be_in_a_private_network() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    backend = GuardedBackend2(Policy(resolve=resolve).naming("inside.example:9"))
    with pytest.raises(httpcore2.ConnectError, match="All connection attempts failed"):
        await backend.connect_tcp("inside.example", 9, timeout=5)
    for host, port in (("other.example", 9), ("inside.example", 10)):
        with pytest.raises(httpcore2.ConnectError, match="private address"):
            await backend.connect_tcp(host, port, timeout=5)
