"""Addresses that must not be reached by any way of writing them: by steps, pushes, agents, MCP servers and OAuth.

A fake resolves names as systems do, a recorder makes connections: nothing leaves the process.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpcore
import httpcore2
import httpx
import httpx2
import pytest

from agentflow.definition.config_file import PushSection
from agentflow.definition.skill_limits import NetworkLimits
from agentflow.errors import AgentflowError, InputError, StepError
from agentflow.requirements.connections.oauth import OAuthServer
from agentflow.requirements.connections.settings import AllSettings
from agentflow.server.pushing.delivering import Delivery, push_policy
from agentflow.steps.http import send
from agentflow.steps.http_client import guarded_client
from agentflow.steps.network import Policy, Section
from agentflow.steps.network_httpx2 import GuardedTransport2
from agentflow.steps.remote import Entry
from agentflow_a2a.client.line import Line
from agentflow_mcp.client.faults import from_opening
from agentflow_mcp.client.http import Transport
from agentflow_mcp.client.settings import Server

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
HOSTS = (
    *("127.0.0.1", "127.1", "127.0.1", "127.8.9.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1"),
    *("0177.0.0.1", "017700000001", "0", "0.0.0.0", "10.0.0.1", "0xa.1", "172.16.5.4", "172.31.255.255"),
    *("192.168.0.1", "3232235521", "100.64.0.1", "100.100.100.200", "169.254.169.254", "2852039166", "0xa9fea9fe"),
    *("0251.0376.0251.0376", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "192.0.0.8", "240.0.0.1"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:0:0:0:0:80ff:fffe]", "[fe80::1]"),
    *("[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[fec0::1]", "[2001:db8::1]", "[::ffff:0:127.0.0.1]"),
    *("[2603:10a6::5efe:7f00:1]", "[2600::200:5efe:127.0.0.1]", "[5f00::1]", "[100::1]", "localhost", "localhost."),
    *("１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "user:pass@127.0.0.1", "example.com@127.0.0.1"),
    *("rebinding.example", "inside.example", "mixed.example"),
)
"""Hosts as urls have them."""
MALFORMED = ("0177.0.0.1", "0251.0376.0251.0376", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1")
"""Those that the HTTP clients don't take for addresses."""
NAMES: Mapping[str, Sequence[str]] = {
    "inside.example": ["10.0.0.7"],
    "mixed.example": [PUBLIC, "169.254.169.254"],
    "localhost": ["127.0.0.1", "::1"],
    "public.example": [PUBLIC],
}


class Internet:
    """Resolves names, and keeps what was connected to."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.asked = 0

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Resolve as a system does: numbers in any spelling by themselves, one name differently each time."""
        self.asked += 1
        name = host.rstrip(".")
        if name == "rebinding.example":
            return [PUBLIC] if self.asked == 1 else ["127.0.0.1"]
        if name in NAMES:
            return NAMES[name]
        if ":" in name:
            return [name]
        try:
            return [socket.inet_ntoa(socket.inet_aton(name))]
        except OSError:
            raise OSError(f"{name} isn't known") from None


class Recorder(httpcore.AsyncMockBackend):
    def __init__(self, internet: Internet, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") -> None:
        super().__init__([answer])
        self._internet = internet

    async def connect_tcp(self, host: str, *args: Any, **keywords: Any) -> httpcore.AsyncNetworkStream:
        self._internet.connected.append(host)
        return await super().connect_tcp(host, *args, **keywords)


class Recorder2(httpcore2.AsyncMockBackend):
    def __init__(self, internet: Internet) -> None:
        super().__init__([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
        self._internet = internet

    async def connect_tcp(self, host: str, *args: Any, **keywords: Any) -> httpcore2.AsyncNetworkStream:
        self._internet.connected.append(host)
        return await super().connect_tcp(host, *args, **keywords)


async def by_step(url: str, internet: Internet) -> None:
    policy = Policy.of(NetworkLimits(), resolve=internet.resolve)
    async with guarded_client(policy, inner=Recorder(internet)) as client:
        await send(client.build_request("GET", url), client)


async def by_redirect(url: str, internet: Internet) -> None:
    """Be led there by a server that is allowed."""
    policy = Policy.of(NetworkLimits(), resolve=internet.resolve)
    encoded = url if url.isascii() else str(httpx.URL(url))
    answer = f"HTTP/1.1 302 Found\r\nLocation: {encoded}\r\nContent-Length: 0\r\n\r\n".encode()
    async with guarded_client(policy, inner=Recorder(internet, answer)) as client:
        try:
            await send(client.build_request("GET", "http://public.example/"), client, redirects=3)
        finally:
            internet.connected.remove(PUBLIC)


async def by_push(url: str, internet: Internet) -> None:
    policy = push_policy(PushSection(), internet.resolve)
    delivery = Delivery(policy, 5.0, Recorder(internet))
    await delivery.check(url.replace("http://", "https://"))


async def by_agent(url: str, internet: Internet) -> None:
    """Ask an agent whose address was computed."""
    line = Line(Entry("desk", {"url": url}, lambda name: None, internet.resolve, templated=True))
    try:
        await line.transport()
    finally:
        await line.aclose()


async def by_mcp(url: str, internet: Internet) -> None:
    """Follow an MCP server elsewhere: to what its answers name."""
    policy = Policy(resolve=internet.resolve).naming("tools.example:443")
    async with httpx2.AsyncClient(transport=Transport(policy, "https://tools.example/mcp")) as client:
        answer = (await client.get(url)).json()
    told = answer["error"]["data"]["agentflow_denied"]
    raise StepError(told["what"], code="AF-NETWORK-DENIED", kind="network", retryable=False, hint=told["hint"])


async def by_oauth(url: str, internet: Internet) -> None:
    """Ask for a token where a template says."""
    entry = {
        "type": "oauth2", "grant": "client_credentials", "client_id": "us", "client_secret": "a secret of ours",
        "token_url": "{env.URL}",
    }  # fmt: skip
    settings = AllSettings({"acme": entry}, {"URL": url.replace("http://", "https://")}).of("acme")
    section = Section('the connection "acme"', "connections: {acme: %s}")
    policy = Policy(None, settings.entry.private, internet.resolve, section).naming(*settings.spelled_out)
    await OAuthServer(settings, lambda settings: GuardedTransport2(policy, inner=Recorder2(internet))).own("")


WAYS: Mapping[str, Callable[[str, Internet], Awaitable[None]]] = {
    "step": by_step, "redirect": by_redirect, "push": by_push, "agent": by_agent, "mcp": by_mcp, "oauth": by_oauth,
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_leads_to_an_address_that_is_not_public(way: str) -> None:
    reached: list[str] = []
    for host in HOSTS:
        internet = Internet()
        if host == "rebinding.example":
            await internet.resolve(host, 80)  # somebody has looked before, and found it public
        with pytest.raises((AgentflowError, httpx.InvalidURL, httpx2.InvalidURL)) as refused:
            await WAYS[way](f"http://{host}/latest", internet)
        reached += internet.connected
        error = refused.value
        said = f"{error} {getattr(error, 'why', None)}"
        if host in MALFORMED and not isinstance(error, InputError):
            assert re.search(r"Invalid IP|Invalid IDNA|is no address|address", said), host
            continue
        told = f"{error} {getattr(error, 'why', None)}"
        assert "address" in told or "a user or a password" in told, host
        if not isinstance(error, InputError):
            assert isinstance(error, StepError), host
            assert (error.code, error.retryable) == ("AF-NETWORK-DENIED", False), host
    assert reached == []
    assert len(HOSTS) >= 60


@pytest.mark.parametrize("url", ["http://public.example/", "http://public.example@public.example/"])
async def test_public_hosts_are_reached_by_steps(url: str) -> None:
    internet = Internet()
    await by_step(url, internet)
    assert internet.connected == [PUBLIC]


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to() -> None:
    internet = Internet()
    await by_step("http://rebinding.example/", internet)
    assert (internet.asked, internet.connected) == (1, [PUBLIC])


async def test_what_the_config_spells_out_may_be_private_but_no_service_of_a_clouds_metadata() -> None:
    policy = Policy().naming("10.0.0.5:8080", "[::1]:8080", "169.254.169.254:80")
    for host, port in (("10.0.0.5", 8080), ("::1", 8080)):
        assert await Policy(resolve=Internet().resolve, named=policy.named).addresses(host, port) == [host]
    for host, port in (("10.0.0.5", 8081), ("10.0.0.6", 8080), ("169.254.169.254", 80)):
        with pytest.raises(StepError, match="address"):
            await Policy(resolve=Internet().resolve, named=policy.named).addresses(host, port)


@pytest.mark.parametrize(
    ("rule", "host", "port", "fine"),
    [
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:80", "::1", 81, False),
        ("::1", "::1", 80, True),
        ("bücher.de", "xn--bcher-kva.de", 80, True),
        ("*.bücher.de", "shop.xn--bcher-kva.de", 443, True),
        ("10.0.0.0/8", "10.9.9.9", 80, True),
        ("10.0.0.0/8:443", "10.9.9.9", 80, False),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("fd12::/16", "fd12::5", 80, True),
        ("https://a.example", "a.example", 443, True),
        ("https://a.example", "a.example", 80, False),
        ("http://a.example:8080", "a.example", 8080, True),
        ("A.Example.", "a.example", 80, True),
        ("*", "anything.example", 1, True),
    ],
)
def test_a_rule_names_hosts_as_people_write_them(rule: str, host: str, port: int, fine: bool) -> None:
    limits = NetworkLimits.model_validate({"allow": rule})
    assert limits.hosts is not None
    assert limits.hosts[0].matches(host, port) is fine


@pytest.mark.parametrize(
    ("limits", "method", "url", "says"),
    [
        ({"methods": ["get"]}, "POST", "http://public.example/", 'method "POST"'),
        ({"schemes": ["https"]}, "GET", "http://public.example/", 'scheme "http"'),
        ({"allow": ["https://public.example"]}, "GET", "http://public.example:443/", 'host "public.example"'),
    ],
)
async def test_methods_and_schemes_are_limited(limits: dict[str, Any], method: str, url: str, says: str) -> None:
    internet = Internet()
    policy = Policy.of(NetworkLimits.model_validate(limits), resolve=internet.resolve)
    async with guarded_client(policy, inner=Recorder(internet)) as client:
        with pytest.raises(StepError) as refused:
            await send(client.build_request(method, url), client)
    assert (refused.value.code, internet.connected) == ("AF-NETWORK-DENIED", [])
    assert says in refused.value.what
    assert "in the config: skills" in f"{refused.value.hint}"


def test_a_refusal_keeps_its_code_through_the_errors_of_a_client() -> None:
    denial = StepError("no", code="AF-NETWORK-DENIED", kind="network", retryable=False)
    error = httpx2.ConnectError("no")
    error.__cause__ = denial
    server = Server.of(Entry("tools", {"url": "https://tools.example/mcp"}, lambda name: None))
    found = from_opening(server, error, "")
    assert (found.code, found.retryable) == ("AF-NETWORK-DENIED", False)
