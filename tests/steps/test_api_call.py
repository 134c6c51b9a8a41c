"""HTTP requests of api_call, against a real server on the loopback interface."""

from __future__ import annotations

import gzip
from typing import Any

import anyio
import httpx
import pytest
import respx
from pydantic import ValidationError

from agentflow.credentials import Credentials, NotConnected
from agentflow.steps.api_call import TYPES, ApiCallConfig
from agentflow.steps.http_answer import MAX_BODY
from agentflow.steps.services import ProcessServices
from tests.steps.calls import LOCAL, echo, failing, serving
from tests.steps.context import KEY, FakeContext, run
from tests.steps.http_server import Answer, Request, serve

pytestmark = pytest.mark.anyio


@pytest.mark.case("D-KIND-5")
async def test_a_json_answer_is_status_headers_and_body() -> None:
    async with serving(lambda _: Answer(body={"a": [1]}, headers={"X-One": "1"})) as (server, ctx):
        result = await run("api_call", {"url": f"{server.url}/x"}, ctx)
    assert (result["status"], result["body"]) == (200, {"a": [1]})
    assert result["headers"] == {"content-type": "application/json", "content-length": "10", "x-one": "1"}


@pytest.mark.parametrize(
    ("kind", "raw", "body"),
    [
        ("text/plain; charset=utf-8", "grüße".encode(), "grüße"),
        ("text/plain; charset=latin-1", "grüße".encode("latin-1"), "grüße"),
        ("application/problem+json", b'{"a": 1}', {"a": 1}),
        ("application/json", b"", None),
        ("application/json", b"{broken", "{broken"),
        ("application/json", b'"\\ud800"', '"\\ud800"'),
        ("application/json", b"NaN", "NaN"),
        ("application/xml", b"<a/>", "<a/>"),
        ("image/png", b"\x89PNG\xff", {"raw": "iVBOR/8=", "mediaType": "image/png"}),
        ("text/html", b"", ""),
    ],
)
async def test_the_content_type_decides_how_the_body_is_read(kind: str, raw: bytes, body: Any) -> None:
    async with serving(lambda _: Answer(body=raw, headers={"Content-Type": kind})) as (server, ctx):
        assert (await run("api_call", {"url": server.url}, ctx))["body"] == body


async def test_a_relative_url_goes_below_the_base_url_with_its_headers() -> None:
    async with serving(echo) as (_, ctx):
        body = (await run("api_call", {"url": "/users?a=1", "query": {"b": [2, "x y"], "c": None}}, ctx))["body"]
        assert body["target"] == "/v1/users?a=1&b=2&b=x+y"
        assert body["headers"]["x-service"] == "ours"
        body = (await run("api_call", {"url": "//elsewhere.example/x", "headers": {"x-service": 3}}, ctx))["body"]
        assert (body["target"], body["headers"]["x-service"]) == ("/v1/x", "3")


async def test_the_configs_headers_do_not_go_to_other_services() -> None:
    async with serve(echo) as other, serving(echo) as (_, ctx):
        body = (await run("api_call", {"url": other.url}, ctx))["body"]
    assert "x-service" not in body["headers"]


async def test_a_relative_url_without_a_base_url_is_an_error() -> None:
    error = await failing({"url": "/users"}, FakeContext())
    assert str(error) == 'the url "/users" is relative, and the config has no http.base_url'
    assert (error.code, error.retryable) == ("AF-HTTP-REQUEST", False)


@pytest.mark.parametrize("method", ["POST", "put", "PATCH", "DELETE"])
async def test_unsafe_methods_send_the_same_idempotency_key_each_attempt(method: str) -> None:
    async with serving(echo) as (server, ctx):
        for attempt in (1, 2):
            ctx.attempt = attempt
            await run("api_call", {"method": method, "url": server.url}, ctx)
        await run("api_call", {"method": method, "url": server.url, "headers": {"Idempotency-Key": "mine"}}, ctx)
    assert [request.headers["idempotency-key"] for request in server.requests] == [KEY, KEY, "mine"]


async def test_safe_methods_send_no_idempotency_key() -> None:
    async with serving(echo) as (server, ctx):
        await run("api_call", {"url": server.url}, ctx)
        await run("api_call", {"method": "HEAD", "url": server.url}, ctx)
    assert not [request for request in server.requests if "idempotency-key" in request.headers]


@pytest.mark.parametrize(
    ("body", "kind", "sent_kind", "sent"),
    [
        ({"a": [1, None]}, None, "application/json", b'{"a":[1,null]}'),
        ([1], None, "application/json", b"[1]"),
        (False, None, "application/json", b"false"),
        ("text é", None, "text/plain; charset=utf-8", "text é".encode()),
        ('{"a": 1}', "application/json", "application/json", b'{"a": 1}'),
        (
            {"a": ["1", 2], "b": "x&y"},
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded",
            b"a=1&a=2&b=x%26y",
        ),
    ],
)
async def test_a_body_is_json_text_or_a_form(body: Any, kind: str | None, sent_kind: str, sent: bytes) -> None:
    headers = {"Content-Type": kind} if kind else {}
    async with serving(echo) as (server, ctx):
        await run("api_call", {"method": "POST", "url": server.url, "body": body, "headers": headers}, ctx)
    assert (server.requests[0].headers["content-type"], server.requests[0].body) == (sent_kind, sent)


@pytest.mark.case("D-KIND-5", "A-25")
@pytest.mark.parametrize(
    ("status", "phrase", "retryable"),
    [
        (400, "Bad Request", False),
        (404, "Not Found", False),
        (408, "Request Timeout", True),
        (409, "Conflict", False),
        (425, "Too Early", True),
        (429, "Too Many Requests", True),
        (500, "Internal Server Error", True),
        (503, "Service Unavailable", True),
        (302, "Found", False),
    ],
)
async def test_a_status_that_is_no_success_fails(status: int, phrase: str, retryable: bool) -> None:
    answer = Answer(status, {"error": "down"})
    async with serving(lambda _: answer) as (server, ctx):
        error = await failing({"url": f"{server.url}/x?token=secret"}, ctx)
        assert error.what == f"HTTP {status} — {phrase} from GET {server.url}/x"
    assert (error.code, error.kind, error.retryable) == ("AF-HTTP-STATUS", "http", retryable)
    assert error.why == 'answer: {"error":"down"}'


@pytest.mark.case("D-KIND-5")
@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_fail_and_say_where_they_come_from(status: int) -> None:
    async with serving(lambda _: Answer(status)) as (server, ctx):
        error = await failing({"url": server.url}, ctx)
    assert str(error).startswith(f"HTTP {status} — ")
    assert not error.retryable
    assert error.hint is not None
    assert "credentials" in error.hint


@pytest.mark.case("D-KIND-5")
def test_an_unknown_method_is_an_error() -> None:
    with pytest.raises(ValidationError, match='"FOO" is no HTTP method; known are GET, HEAD'):
        ApiCallConfig.model_validate({"method": "FOO", "url": "/"})


@pytest.mark.parametrize(
    ("expect", "status", "fine"),
    [(404, 404, True), ([200, 404], 404, True), ("4xx", 404, True), (404, 200, False), (["2XX"], 404, False)],
)
async def test_expect_says_what_is_a_success(expect: Any, status: int, fine: bool) -> None:
    async with serving(lambda _: Answer(status)) as (server, ctx):
        if fine:
            assert (await run("api_call", {"url": server.url, "expect": expect}, ctx))["status"] == status
        else:
            assert (await failing({"url": server.url, "expect": expect}, ctx)).code == "AF-HTTP-STATUS"


@pytest.mark.parametrize("expect", [99, 600, "ok", True, [None]])
def test_expect_takes_statuses_only(expect: Any) -> None:
    with pytest.raises(ValidationError, match="is no status"):
        ApiCallConfig.model_validate({"url": "/", "expect": expect})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("soon", None),
        ("-3", 0.0),
        ("inf", None),
        ("nan", None),
        ("1_0", None),
        ("9" * 400, 1e12),
        ("0.5", 0.5),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251_602_300_799.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("", None),
    ],
)
async def test_retry_after_is_passed_on(value: str, seconds: float | None) -> None:
    async with serving(lambda _: Answer(429, headers={"Retry-After": value})) as (server, ctx):
        assert (await failing({"url": server.url}, ctx)).retry_after == seconds


@pytest.mark.case("A-25")
async def test_a_refused_connection_is_a_network_error() -> None:
    async with serve(echo) as gone:
        pass
    services = ProcessServices(skills={"native:network": LOCAL})
    error = await failing({"url": gone.url}, FakeContext(services))
    await services.aclose()
    assert (error.code, error.kind, error.retryable) == ("AF-HTTP-NETWORK", "network", True)
    assert str(error).startswith(f"GET {gone.url} got no answer: ")


async def test_a_connection_that_breaks_is_a_network_error() -> None:
    async with serving(lambda _: Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")) as (server, ctx):
        error = await failing({"url": server.url}, ctx)
    assert (error.code, error.kind, error.retryable) == ("AF-HTTP-NETWORK", "network", True)


async def test_damaged_compression_is_an_error_of_its_own() -> None:
    async with serving(lambda _: Answer(body=b"nonsense", headers={"Content-Encoding": "gzip"})) as (server, ctx):
        assert (await failing({"url": server.url}, ctx)).code == "AF-HTTP-DECODE"


@pytest.mark.parametrize("packed", [False, True])
async def test_too_large_an_answer_fails(packed: bool) -> None:
    body = b"x" * (MAX_BODY + 1)
    answer = Answer(body=gzip.compress(body), headers={"Content-Encoding": "gzip"}) if packed else Answer(body=body)
    async with serving(lambda _: answer) as (server, ctx):
        error = await failing({"url": server.url}, ctx)
    assert (error.code, error.retryable) == ("AF-HTTP-SIZE", False)


async def test_an_answer_of_the_limit_is_fine() -> None:
    async with serving(lambda _: Answer(body=b"x" * MAX_BODY)) as (server, ctx):
        assert len((await run("api_call", {"url": server.url}, ctx))["body"]) == MAX_BODY


def redirecting(request: Request) -> Answer:
    hops = int(request.target.strip("/") or 0)
    return Answer(302, headers={"Location": f"/{hops - 1}"}) if hops else Answer(body="there")


async def test_redirects_are_followed_as_often_as_the_step_says() -> None:
    async with serving(redirecting) as (server, ctx):
        assert (await run("api_call", {"url": f"{server.url}/2", "redirects": 2}, ctx))["body"] == "there"
        error = await failing({"url": f"{server.url}/3", "redirects": 2}, ctx)
        assert str(error).startswith("HTTP 302 — Found")
        assert (await failing({"url": f"{server.url}/1"}, ctx)).hint == (
            "a redirect isn't followed unless the step says so: redirects: 3"
        )


async def test_credentials_do_not_follow_to_another_origin() -> None:
    async with serve(echo) as other:
        go = Answer(307, headers={"Location": f"{other.url}/there"})
        headers = {"Authorization": "Bearer x", "X-Api-Key": "y", "Accept": "application/json"}
        async with serving(lambda _: go) as (server, ctx):
            config = {"method": "POST", "url": server.url, "redirects": 1, "headers": headers, "body": {"a": 1}}
            await run("api_call", config, ctx)
    sent = other.requests[0]
    assert (sent.method, sent.target, sent.json) == ("POST", "/there", {"a": 1})
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["host"] == other.url.removeprefix("http://")
    assert not {"authorization", "x-api-key", "x-service"} & sent.headers.keys()


async def test_cookies_are_not_kept_between_steps() -> None:
    async with serving(lambda _: Answer(headers={"Set-Cookie": "session=1"})) as (server, ctx):
        for _ in range(2):
            await run("api_call", {"url": server.url}, ctx)
    assert "cookie" not in server.requests[1].headers


async def test_steps_share_one_connection() -> None:
    async with serving(echo) as (server, ctx):
        for _ in range(3):
            await run("api_call", {"url": server.url}, ctx)
    assert (len(server.requests), server.connections) == (3, 1)


async def test_a_cancelled_request_leaves_the_client_usable() -> None:
    arrived = anyio.Event()

    async def slow(request: Request) -> Answer:
        if request.target == "/slow":
            arrived.set()
            await anyio.sleep_forever()
        return Answer(body="fast")

    async with serving(slow) as (server, ctx):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, "api_call", {"url": f"{server.url}/slow"}, ctx)
            await arrived.wait()
            tasks.cancel_scope.cancel()
        assert (await run("api_call", {"url": f"{server.url}/fast"}, ctx))["body"] == "fast"


@pytest.mark.parametrize(
    "config",
    [
        {"url": "ftp://example.com/x"},
        {"url": "http://exa mple.com/"},
        {"url": "http://example.com:99999/"},
        {"url": "http:///x"},
        {"url": "http://0177.0.0.1/"},
        {"url": "http://１２７.0.0.1/"},
        {"url": "http://"},
        {"url": "http://example.com/", "headers": {"Content-Type": "application/x-www-form-urlencoded"}, "body": [1]},
    ],
)
async def test_a_request_that_cannot_be_made_is_not_retried(config: dict[str, Any]) -> None:
    error = await failing(config, FakeContext())
    assert (error.code, error.retryable) == ("AF-HTTP-REQUEST", False)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"A": "b\r\nC: d"}, 'header "a" has a character that headers can\'t have'),
        ({"Authorization": "Bearer secret\n"}, 'header "authorization" has a character that headers can\'t have'),
        ({"A": "\u0100"}, 'header "a" has a character that headers can\'t have'),
        ({"A b": "c"}, '"a b" can\'t be the name of a header'),
        ({"": "c"}, '"" can\'t be the name of a header'),
    ],
)
async def test_a_header_that_is_none_is_refused_without_its_value(headers: dict[str, str], message: str) -> None:
    async with serving(echo) as (server, ctx):
        error = await failing({"url": server.url, "headers": headers}, ctx)
    assert (str(error), error.code, error.retryable) == (message, "AF-HTTP-REQUEST", False)
    assert server.requests == []


async def test_urls_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with serving(echo) as (server, ctx):
        await run("api_call", {"url": f"{server.url}/?token=secret"}, ctx)
        assert "secret" not in caplog.text
        async with httpx.AsyncClient() as other:
            await other.get(f"{server.url}/other")
        assert "/other" in caplog.text


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with serving(echo) as (server, ctx):
        assert (await run("api_call", {"url": server.url}, ctx))["status"] == 200


@pytest.mark.case("D-KIND-5")
async def test_a_connection_signs_the_request_and_other_credentials_are_tried_once_when_they_are_refused() -> None:
    given: list[Credentials | None] = []

    def lend(name: str, refused: Credentials | None) -> Credentials:
        given.append(refused)
        made = {"Authorization": f"Bearer {len(given)}"}
        return Credentials(name, made, {"key": "k"}, lambda request: {"x-signed": request.target}, version=len(given))

    answers = iter([401, 200, 403, 401])
    async with serving(lambda _: Answer(status=next(answers))) as (server, ctx):
        ctx.connections = lend
        call = {"url": f"{server.url}/x?a=1", "connection": "crm:api"}
        assert (await run("api_call", call, ctx))["status"] == 200
        sent = server.requests
        assert [each.headers["authorization"] for each in sent] == ["Bearer 1", "Bearer 2"]
        assert sent[1].target == sent[1].headers["x-signed"] == "/x?a=1&key=k"
        assert given[1] is not None
        assert given[1].version == 1
        with pytest.raises(NotConnected, match='refuses the credentials of "crm:api"') as caught:
            await run("api_call", call, ctx)
    assert caught.value.reason == "rejected"


async def test_credentials_go_to_the_hosts_of_their_connection_only() -> None:
    async with serving(echo) as (server, ctx):
        ctx.connections = lambda name, _: Credentials(name, hosts=("api.example.com",))
        error = await failing({"url": server.url, "connection": "crm:api"}, ctx)
        assert error.code == "AF-NETWORK-DENIED"
        assert "crm:api" in f"{error} {error.why} {error.hint}"
        assert not server.requests


@pytest.mark.case("D-KIND-5")
@pytest.mark.parametrize("status", [401, 403])
async def test_a_service_that_refuses_a_request_without_a_connection_fails_the_step(status: int) -> None:
    async with serving(lambda _: Answer(status=status)) as (server, ctx):
        error = await failing({"url": server.url}, ctx)
    assert (error.code, error.retryable) == ("AF-HTTP-STATUS", False)


async def test_users_can_fake_answers_with_respx() -> None:
    services = ProcessServices()
    with respx.mock:
        respx.get("https://api.example.com/x").mock(return_value=httpx.Response(200, json={"ok": True}))
        assert (await run("api_call", {"url": "https://api.example.com/x"}, FakeContext(services)))["body"] == {
            "ok": True
        }
    await services.aclose()


def test_the_type_says_what_it_needs() -> None:
    (spec,) = TYPES
    assert (spec.name, spec.skills, spec.timeout, spec.unsafe) == ("api_call", ("native:network",), 60.0, True)
    assert spec.outbound == ("url", "query", "headers", "body")
