"""The rules of native:network. A fake resolves names, a recorder makes connections: nothing leaves the process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpcore
import httpx
import pytest

from agentflow.codes import CODES
from agentflow.definition.skill_limits import NetworkLimits
from agentflow.errors import StepError
from agentflow.steps.http_client import guarded_client
from agentflow.steps.network import Policy, Resolve
from agentflow.steps.services import ProcessServices

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Recorder(httpcore.AsyncMockBackend):
    """Connects to nothing, and keeps where it was asked to."""

    def __init__(self, refused: Iterable[str] = ()) -> None:
        super().__init__([OK])
        self.connected: list[str] = []
        self._refused = set(refused)

    async def connect_tcp(self, host: str, *args: Any, **keywords: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        if host in self._refused:
            raise httpcore.ConnectError("refused")
        return await super().connect_tcp(host, *args, **keywords)


def resolving(names: Mapping[str, Sequence[str]]) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        found = names.get(host)
        if found is None:
            raise OSError("not known")
        return found

    return resolve


async def get(url: str, limits: Mapping[str, Any], names: Mapping[str, Sequence[str]], recorder: Recorder) -> int:
    async with guarded_client(
        Policy.of(NetworkLimits.model_validate(limits), resolve=resolving(names)), inner=recorder
    ) as client:
        return (await client.get(url)).status_code


async def test_a_public_address_is_connected_to_as_it_was_looked_at() -> None:
    recorder = Recorder()
    assert await get("http://api.example.com/", {}, {"api.example.com": [PUBLIC]}, recorder) == 200
    assert recorder.connected == [PUBLIC]


PRIVATE = [
    "127.0.0.1",
    "127.8.9.1",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
SPECIAL = [
    "0.0.0.0",
    "169.254.169.254",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "64:ff9b:1::1",
    "::ffff:0:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]


@pytest.mark.parametrize("address", [*PRIVATE, *SPECIAL])
async def test_private_and_special_addresses_are_refused(address: str) -> None:
    recorder = Recorder()
    with pytest.raises(StepError) as caught:
        await get("http://trap.example.com/", {}, {"trap.example.com": [address]}, recorder)
    assert (caught.value.code, caught.value.kind, caught.value.retryable) == ("AF-NETWORK-DENIED", "network", False)
    assert caught.value.code in CODES
    assert "trap.example.com" in str(caught.value)
    assert recorder.connected == []


async def test_what_opens_private_addresses_is_told_with_the_hosts_that_are_listed_already() -> None:
    with pytest.raises(StepError) as caught:
        await get("http://127.0.0.1/", {"allow": ["127.0.0.1", "a.example"]}, {"127.0.0.1": ["127.0.0.1"]}, Recorder())
    field = 'private: true, allow: ["127.0.0.1", "a.example"]'
    assert caught.value.hint == f'if it is meant, in the config: skills: {{"native:network": {{{field}}}}}'


@pytest.mark.parametrize("address", PRIVATE)
async def test_private_addresses_are_open_when_the_config_says_so(address: str) -> None:
    recorder = Recorder()
    assert await get("http://db.internal/", {"private": True}, {"db.internal": [address]}, recorder) == 200


@pytest.mark.parametrize("address", SPECIAL)
async def test_special_addresses_are_never_open(address: str) -> None:
    with pytest.raises(StepError, match="which is never connected to"):
        await get("http://db.internal/", {"private": True}, {"db.internal": [address]}, Recorder())


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:21f:cb07::1", "::ffff:93.184.215.14", "172.32.0.1", "100.128.0.1"]
)
async def test_public_addresses_are_open(address: str) -> None:
    assert await get("http://a.example.com/", {}, {"a.example.com": [address]}, Recorder()) == 200


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "127.0.0.1", "[::1]"])
async def test_spellings_of_a_loopback_address_are_refused(host: str) -> None:
    names = {name: ["127.0.0.1"] for name in ("2130706433", "0x7f.1", "127.1", "127.0.0.1")}
    recorder = Recorder()
    with pytest.raises(StepError, match="private address"):
        await get(f"http://{host}/", {}, {**names, "::1": ["::1"]}, recorder)
    assert recorder.connected == []


async def test_one_private_address_among_public_ones_is_enough() -> None:
    recorder = Recorder()
    with pytest.raises(StepError, match="private address"):
        await get("http://a.example.com/", {}, {"a.example.com": [PUBLIC, "10.0.0.1"]}, recorder)
    assert recorder.connected == []


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    recorder = Recorder(refused=[PUBLIC])
    names = {"a.example.com": [PUBLIC, "93.184.215.15"]}
    assert await get("http://a.example.com/", {}, names, recorder) == 200
    assert recorder.connected == [PUBLIC, "93.184.215.15"]


async def test_an_unknown_host_is_a_network_error() -> None:
    with pytest.raises(httpx.ConnectError, match=r"\"a\.example\.com\" isn't known"):
        await get("http://a.example.com/", {}, {}, Recorder())
    with pytest.raises(httpx.ConnectError, match="has no address"):
        await get("http://a.example.com/", {}, {"a.example.com": []}, Recorder())


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("http://api.example.com/", True),
        ("http://API.Example.com./", True),
        ("http://deep.sub.example.org/", True),
        ("http://example.org/", False),
        ("http://api.example.com.evil.net/", False),
        ("http://evil-api.example.com/", False),
        ("http://other.net:8080/", True),
        ("http://other.net/", False),
    ],
)
async def test_only_listed_hosts_are_allowed(url: str, fine: bool) -> None:
    limits = {"allow": ["api.example.com", "*.example.org", "other.net:8080"]}
    host = httpx.URL(url).host
    names = {host: [PUBLIC]}
    if fine:
        assert await get(url, limits, names, Recorder()) == 200
        return
    with pytest.raises(StepError, match="isn't allowed by native:network") as caught:
        await get(url, limits, names, Recorder())
    assert caught.value.hint is not None
    assert host in caught.value.hint


async def test_an_allowed_host_with_a_private_address_is_still_refused() -> None:
    with pytest.raises(StepError, match="private address"):
        await get("http://a.example.com/", {"allow": ["a.example.com"]}, {"a.example.com": ["127.0.0.1"]}, Recorder())


@pytest.mark.parametrize(
    "limits",
    [
        {"hosts": ["a"]},
        {"private": "yes"},
        {"allow": [3]},
        {"allow": {"a": 1}},
        {"allow": ["http://a/b"]},
        {"allow": [""]},
    ],
)
def test_limits_that_are_not_understood_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="native:network"):
        ProcessServices(skills={"native:network": limits})


def test_one_host_may_be_written_without_a_list() -> None:
    rules = Policy.of(NetworkLimits.model_validate({"allow": "API.example.com"})).allow
    assert rules is not None
    assert [rule.matches("api.example.com", 443) for rule in rules] == [True]
