"""Authorization servers that can't be trusted: where they lead, what they answer; and how presets differ."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import httpcore2
import httpx2
import pytest

from agentflow.credentials import NotConnected
from agentflow.data import decode
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.redaction import Redactor
from agentflow.requirements.connections.book import ConnectionBook
from agentflow.requirements.connections.oauth import OAuthServer
from agentflow.requirements.connections.settings import AllSettings
from agentflow.sealing import Sealer
from agentflow.steps.network import Policy, Section
from agentflow.steps.network_httpx2 import GuardedTransport2
from agentflow.store.sqlite.store import open_memory
from tests.connections.people import query_of
from tests.steps.test_network import PRIVATE, PUBLIC, SPECIAL

pytestmark = pytest.mark.anyio
ALICE = Principal("alice")
ISSUER = "https://id.example.com"
METADATA = {
    "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/me",
}  # fmt: skip
Answer = Callable[[httpx2.Request], httpx2.Response]


class World:
    """A book whose requests are answered here."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[httpx2.Request] = []
        self._answer = answer

    def _taken(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answer(request)

    async def book(self, entries: Mapping[str, Mapping[str, Any]]) -> ConnectionBook:
        async def dead(names: Any) -> list[str]:
            return []

        return ConnectionBook(
            entries, {}, agent="desk", vault=(await open_memory()).vault, sealer=Sealer(lambda: [bytes(32)]),
            redactor=Redactor({}), transport=lambda _: httpx2.MockTransport(self._taken), now=lambda: 1000.0,
            dead=dead, host=lambda: "",
        )  # fmt: skip


def told_by(answers: Mapping[str, Any]) -> Answer:
    def answer(request: httpx2.Request) -> httpx2.Response:
        found = answers.get(request.url.path)
        return found if isinstance(found, httpx2.Response) else httpx2.Response(200 if found else 404, json=found)

    return answer


OWN = {"type": "oauth2", "issuer": ISSUER, "client_id": "c", "client_secret": "s3cret", "grant": "client_credentials"}
DISCOVERY = "/.well-known/openid-configuration"


def _raw(content: bytes) -> httpx2.Response:
    return httpx2.Response(200, content=content, headers={"content-type": "application/json"})


def _gzip(content: bytes) -> httpx2.Response:
    return httpx2.Response(200, content=gzip.compress(content), headers={"content-encoding": "gzip"})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "tells nothing of itself"),
        ({DISCOVERY: {**METADATA, "issuer": "https://evil.example.com"}}, "says it is another one"),
        ({DISCOVERY: httpx2.Response(302, headers={"location": "http://169.254.169.254/"})}, "tells nothing of itself"),
        (
            {DISCOVERY: METADATA, "/token": httpx2.Response(307, headers={"location": "https://x.test"})},
            "can't be asked",
        ),
        ({DISCOVERY: METADATA, "/token": httpx2.Response(200, text="<html>")}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": httpx2.Response(200, json=[1])}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": httpx2.Response(503, text="down")}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": httpx2.Response(200, content=b"x" * 2**21)}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": _gzip(b'{"access_token": "t0ken"}')}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": _raw(b'{"access_token": "t0ken", "expires_in": 1e999}')}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": _raw(b'{"access_token": "t0ken", "expires_in": [1]}')}, "can't be asked"),
        ({DISCOVERY: METADATA, "/token": _raw(b"[" * 100_000)}, "can't be asked"),
        ({DISCOVERY: _raw(b"[" * 100_000)}, "gave no JSON object"),
        ({DISCOVERY: METADATA, "/token": {"token_type": "bearer"}}, "gave no access token"),
        ({DISCOVERY: METADATA, "/token": {"access_token": "t0ken\r\nX-Admin: 1"}}, "gave no access token"),
        ({DISCOVERY: METADATA, "/token": {"access_token": "tök"}}, "gave no access token"),
    ],
)
async def test_a_server_that_answers_something_else_is_told_as_such(answers: Mapping[str, Any], said: str) -> None:
    world = World(told_by(answers))
    book = await world.book({"own": OWN})
    with pytest.raises(AgentflowError, match=said) as refused:
        await book.credentials("own", ALICE)
    assert refused.value.code == "AF-AUTH-SERVER"
    assert {request.url.host for request in world.requests} == {"id.example.com"}, "no redirect is followed"


@pytest.mark.parametrize(("said", "until"), [(10**12, True), ("9" * 400, False), (-5, True), (None, False)])
async def test_a_lifetime_that_is_no_time_harms_nobody(said: Any, until: bool) -> None:
    answer = {"access_token": "t0ken", "expires_in": int(said) if isinstance(said, str) else said}
    server = OAuthServer(AllSettings({"own": OWN}, {}).of("own"), lambda _: httpx2.MockTransport(
        told_by({DISCOVERY: METADATA, "/token": answer})
    ))  # fmt: skip
    lifetime = (await server.own("")).lifetime
    assert (lifetime is not None) is until
    assert lifetime is None or 0 <= lifetime <= 10 * 366 * 24 * 3600


async def test_an_endpoint_without_encryption_is_never_asked() -> None:
    world = World(told_by({DISCOVERY: {**METADATA, "token_endpoint": "http://id.example.com/token"}}))
    book = await world.book({"own": OWN})
    with pytest.raises(NotConnected) as refused:
        await book.credentials("own", ALICE)
    assert "token_url isn't https" in (refused.value.why or "")
    assert [request.url.path for request in world.requests] == [DISCOVERY]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///bin/sh", "//id.example.com"])
async def test_people_are_sent_to_addresses_of_the_web_only(address: str) -> None:
    device = {"device_code": "d", "user_code": "u", "verification_uri": address}
    metadata = {**METADATA, "authorization_endpoint": address, "device_authorization_endpoint": f"{ISSUER}/device"}
    world = World(told_by({DISCOVERY: metadata, "/device": device}))
    book = await world.book({"own": {**OWN, "grant": "authorization_code", "private": True}})
    with pytest.raises(NotConnected):
        await book.begin("own", ALICE, redirect="http://127.0.0.1/callback")
    with pytest.raises(AgentflowError) as refused:
        await book.begin("own", ALICE)
    assert refused.value.code == "AF-AUTH-REFUSED"


async def test_what_a_server_says_can_always_be_kept_and_shown() -> None:
    content = b'{"error": "' + rb"b\ud800d" * 900 + b'"}'
    world = World(told_by({DISCOVERY: METADATA, "/token": httpx2.Response(400, content=content)}))
    book = await world.book({"own": OWN})
    with pytest.raises(NotConnected) as refused:
        await book.credentials("own", ALICE)
    assert len((refused.value.why or "").encode()) < 400


@pytest.mark.parametrize(
    ("name", "host", "scope"),
    [
        ("google:drive", "accounts.google.com", "openid email https://www.googleapis.com/auth/drive.readonly"),
        ("github", "github.com", "drive.readonly"),
        ("slack", "slack.com", "drive.readonly"),
        ("microsoft", "login.microsoftonline.com", "openid email offline_access drive.readonly"),
        ("notion", "api.notion.com", "drive.readonly"),
        ("atlassian", "auth.atlassian.com", "offline_access read:me drive.readonly"),
    ],
)
async def test_presets_know_where_people_go(name: str, host: str, scope: str) -> None:
    book = await World(told_by({})).book({name: {"client_id": "c", "client_secret": "s3cret"}})
    pending = await book.begin(name, ALICE, scopes=["drive.readonly"], redirect="https://desk.example.com/back")
    asked = query_of(pending.url)
    assert httpx2.URL(pending.url).host == host
    assert (asked["scope"], asked["code_challenge_method"]) == (scope, "S256")


async def test_a_server_that_reads_json_only_gets_json_and_names_the_account_itself() -> None:
    world = World(told_by({"/v1/oauth/token": {"access_token": "t0ken", "workspace_name": "Ana's"}}))
    book = await world.book({"notion": {"client_id": "c", "client_secret": "s3cret"}})
    pending = await book.begin("notion", ALICE, redirect="https://desk.example.com/back")
    finished = await book.finish(pending.state, {"code": "c0de", "state": pending.state})
    assert finished.account == "Ana's"
    (request,) = world.requests
    assert decode(request.content)["code"] == "c0de"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.headers["content-type"] == "application/json"


async def test_scopes_are_compared_as_the_provider_means_them() -> None:
    token = {"access_token": "t0ken", "scope": "repo,user"}
    world = World(told_by({"/login/oauth/access_token": token, "/user": {"login": "ana"}}))
    book = await world.book({"github": {"client_id": "c", "client_secret": "s3cret"}})
    pending = await book.begin("github", ALICE, scopes=["user:email"], redirect="https://desk.example.com/back")
    finished = await book.finish(pending.state, {"code": "c0de"})
    assert (finished.scopes, finished.lacking, finished.account) == (("repo", "user"), (), "ana")
    assert (await book.credentials("github", ALICE, scopes=["read:user", "public_repo"])).value == "t0ken"
    with pytest.raises(NotConnected):
        await book.credentials("github", ALICE, scopes=["admin:org"])


async def test_a_client_without_a_secret_says_its_id_in_the_form() -> None:
    world = World(told_by({DISCOVERY: METADATA, "/token": {"access_token": "t0ken"}, "/me": {"sub": "7"}}))
    book = await world.book({"own": {"issuer": ISSUER, "client_id": "public"}})
    pending = await book.begin("own", ALICE, redirect="http://127.0.0.1:1/callback")
    await book.finish(pending.state, {"code": "c0de", "iss": ISSUER})
    (request,) = [each for each in world.requests if each.url.path == "/token"]
    form = dict(parse_qsl(request.content.decode()))
    assert (form["client_id"], "authorization" in request.headers) == ("public", False)


class Recorder(httpcore2.AsyncMockBackend):
    """Connects to nothing, and keeps where it was asked to."""

    def __init__(self) -> None:
        super().__init__([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])
        self.connected: list[str] = []

    async def connect_tcp(self, host: str, *args: Any, **keywords: Any) -> httpcore2.AsyncNetworkStream:
        self.connected.append(host)
        return await super().connect_tcp(host, *args, **keywords)


def at(address: str, *, private: bool, recorder: Recorder) -> httpx2.AsyncClient:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [address]

    section = Section('the connection "own"', 'connections: {"own": %s}')
    policy = Policy(None, private, resolve, section)
    return httpx2.AsyncClient(transport=GuardedTransport2(policy, inner=recorder), trust_env=False)


@pytest.mark.parametrize("address", [*PRIVATE, *SPECIAL])
async def test_endpoints_with_private_and_special_addresses_are_refused_with_the_reason(address: str) -> None:
    recorder = Recorder()
    async with at(address, private=False, recorder=recorder) as client:
        with pytest.raises(httpx2.ConnectError, match=r"private address|special address"):
            await client.get("http://id.example.com/token")
    assert recorder.connected == []


async def test_endpoints_are_connected_to_as_they_were_looked_at() -> None:
    for address, private in ((PUBLIC, False), ("127.0.0.1", True)):
        recorder = Recorder()
        async with at(address, private=private, recorder=recorder) as client:
            assert (await client.get("http://id.example.com/token")).status_code == 200
        assert recorder.connected == [address]
