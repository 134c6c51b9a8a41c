"""Where push notifications may go. A fake resolves names, a recorder makes connections: nothing leaves the process."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import httpcore
import pytest

from agentflow.definition.config_file import PushSection
from agentflow.errors import InputError
from agentflow.server.pushing.delivering import Delivery, Target, push_policy
from agentflow.steps.network import Resolve, system_resolve

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Recorder(httpcore.AsyncMockBackend):
    """Connects to nothing, and keeps where it was asked to."""

    def __init__(self, answer: bytes = OK) -> None:
        super().__init__([answer])
        self.connected: list[str] = []

    async def connect_tcp(self, host: str, *args: Any, **keywords: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        return await super().connect_tcp(host, *args, **keywords)


def resolving(names: Mapping[str, Sequence[str]]) -> Resolve:
    """Return a resolver that knows some names, and numbers in every form that the system's own one takes."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host in names:
            return names[host]
        try:
            socket.inet_aton(host)
        except OSError:
            ipaddress.ip_address(host.partition("%")[0])
        return await system_resolve(host, port)

    async def known(host: str, port: int) -> Sequence[str]:
        try:
            return await resolve(host, port)
        except ValueError:
            raise OSError("not known") from None

    return known


def delivery(names: Mapping[str, Sequence[str]], recorder: Recorder, settings: PushSection | None = None) -> Delivery:
    """Return what delivers by these names."""
    return Delivery(push_policy(settings or PushSection(), resolving(names)), 10, recorder)


REFUSED = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.255.255.254/",
    "https://0/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://167772161/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.0.1/",
    "https://192.168.257/",
    "https://0xc0a80001/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://192.0.0.8/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://localhost/",
    "https://localhost./",
    "https://metadata.internal/",
    "https://half.example/",
    "https://good.example@127.0.0.1/",
    "https://good.example:secret@good.example/",
    "https://127.0.0.1:443@good.example/",
    "http://good.example/",
    "HTTP://good.example/",
    "ftp://good.example/",
    "file:///etc/passwd",
    "gopher://good.example/",
    "unix:///var/run/docker.sock",
    "//good.example/",
    "good.example/hook",
    "https://",
    "https:///hook",
    "https://good.example:99999/",
    "https://good.example/\nhost: evil",
    "https://①②⑦.⓪.⓪.①/",
    "https://" + "a" * 2100 + ".example/",
    "javascript:alert(1)",
    "",
]
NAMES = {
    "good.example": [PUBLIC],
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "metadata.internal": ["169.254.169.254"],
    "half.example": [PUBLIC, "10.0.0.1"],
}


@pytest.mark.parametrize("url", REFUSED)
async def test_an_address_that_isnt_a_public_hosts_is_refused_and_never_connected_to(url: str) -> None:
    recorder = Recorder()
    made = delivery(NAMES, recorder)
    with pytest.raises(InputError) as refused:
        await made.check(url)
    assert "secret" not in f"{refused.value} {refused.value.hint}"
    assert recorder.connected == []
    if url.startswith("https://") and "good.example" not in url:  # whoever got it kept all the same
        outcome = await made.post(Target(url, {}), b"{}", "application/json")
        assert outcome.became in ("refused", "again")
        assert recorder.connected == []


async def test_a_public_host_is_connected_to_by_the_address_that_was_looked_at() -> None:
    recorder = Recorder()
    made = delivery(NAMES, recorder, PushSection(allow=("good.example",)))
    assert await made.check("http://good.example/hook?key=k") == "http://good.example"
    outcome = await made.post(Target("http://good.example/hook?key=k", {}), b"{}", "application/json")
    assert (outcome.became, recorder.connected) == ("arrived", [PUBLIC])


@pytest.mark.parametrize("later", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_a_name_that_changes_its_address_after_the_check_gets_nothing(later: str) -> None:
    names: dict[str, Sequence[str]] = {"good.example": [PUBLIC]}
    recorder = Recorder()
    made = delivery(names, recorder)
    await made.check("https://good.example/")
    names["good.example"] = [later]
    outcome = await made.post(Target("https://good.example/", {}), b"{}", "application/json")
    assert (outcome.became, recorder.connected) == ("refused", [])


async def test_a_name_without_an_address_may_get_one_later() -> None:
    recorder = Recorder()
    made = delivery({}, recorder)
    assert await made.check("https://later.example:8443/hook") == "https://later.example:8443"
    outcome = await made.post(Target("https://later.example:8443/hook", {}), b"{}", "application/json")
    assert (outcome.became, outcome.error, recorder.connected) == ("again", "can't be connected to", [])


@pytest.mark.parametrize(
    ("settings", "url", "goes"),
    [
        (PushSection(private=True), "http://localhost/", True),
        (PushSection(private=True), "http://good.example/", True),
        (PushSection(private=True), "https://metadata.internal/", False),
        (PushSection(private=True), "https://[::ffff:127.0.0.1]/", True),
        (PushSection(allow=("good.example",)), "http://good.example/", True),
        (PushSection(allow=("Good.Example.",)), "https://good.example/", True),
        (PushSection(allow=("*.example",)), "https://good.example/", True),
        (PushSection(allow=("good.example:8443",)), "https://good.example:8443/", True),
        (PushSection(allow=("good.example:8443",)), "https://good.example/", False),
        (PushSection(allow=("localhost",)), "http://localhost/", False),
        (PushSection(allow=("localhost",), private=True), "http://localhost/", True),
        (PushSection(allow=("other.example",)), "https://good.example/", False),
        (PushSection(allow=()), "https://good.example/", False),
    ],
)
async def test_the_config_opens_what_it_names(settings: PushSection, url: str, goes: bool) -> None:
    made = delivery(NAMES, Recorder(), settings)
    if goes:
        assert url.startswith(await made.check(url))
    else:
        with pytest.raises(InputError) as refused:
            await made.check(url)
        assert "native:network" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize(
    ("answer", "became", "error"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "arrived", None),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
            "again",
            "HTTP 302: redirects aren't followed",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "again", "HTTP 404"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", "refused", "HTTP 410: the receiver is gone"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\ntoken", "again", "HTTP 500"),
        (b"nonsense", "again", "the connection was broken off"),
        (b"", "again", "the connection was broken off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 40000, "arrived", None),
    ],
)
async def test_an_answer_means_what_its_status_says_and_its_text_is_never_repeated(
    answer: bytes, became: str, error: str | None
) -> None:
    recorder = Recorder(answer)
    made = delivery(NAMES, recorder, PushSection(allow=("good.example",)))
    outcome = await made.post(Target("http://good.example/", {"authorization": "Bearer token"}), b"{}", "text/plain")
    assert (outcome.became, outcome.error, recorder.connected) == (became, error, [PUBLIC])


async def test_a_receiver_may_ask_to_be_left_alone() -> None:
    answer = b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"
    made = delivery(NAMES, Recorder(answer), PushSection(allow=("good.example",)))
    assert (await made.post(Target("http://good.example/", {}), b"{}", "text/plain")).after == 120


async def test_one_that_never_answers_is_given_up_in_time() -> None:
    class Silent(Recorder):
        async def connect_tcp(self, host: str, *args: Any, **keywords: Any) -> httpcore.AsyncNetworkStream:
            await anyio.sleep_forever()
            raise AssertionError

    settings = PushSection(allow=("good.example",))
    made = Delivery(push_policy(settings, resolving(NAMES)), 0.05, Silent())
    outcome = await made.post(Target("http://good.example/", {}), b"{}", "text/plain")
    assert (outcome.became, outcome.error) == ("again", "no answer in 0.05 s")
