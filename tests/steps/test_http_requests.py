"""What api_call sends: forms, queries, credentials, redirects."""

from __future__ import annotations

import base64
from email import message_from_bytes
from typing import Any

import pytest

from tests.steps.calls import echo, failing, serving
from tests.steps.context import run
from tests.steps.http_server import Answer, Request

pytestmark = pytest.mark.anyio


def fields(request: Request) -> list[tuple[str, str]]:
    """Return the fields of a multipart request."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: Any = message_from_bytes(head + request.body).get_payload()
    return [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True).decode()) for part in parts
    ]


@pytest.mark.parametrize("kind", ["multipart/form-data", "Multipart/Form-Data; boundary=mine"])
async def test_a_mapping_is_sent_as_the_parts_of_a_form(kind: str) -> None:
    body = {"a": 1, "b": ["x", "zürich"], "c": None, "d": {"e": [True]}, "f": ""}
    async with serving(echo) as (server, ctx):
        await run(
            "api_call", {"method": "POST", "url": server.url, "headers": {"Content-Type": kind}, "body": body}, ctx
        )
    request = server.requests[0]
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert fields(request) == [("a", "1"), ("b", "x"), ("b", "zürich"), ("d", '{"e":[true]}'), ("f", "")]


async def test_a_form_is_sent_again_where_a_redirect_asks_for_it() -> None:
    def go(request: Request) -> Answer:
        return Answer(307, headers={"Location": "/there"}) if request.target != "/there" else Answer()

    headers = {"Content-Type": "multipart/form-data"}
    async with serving(go) as (server, ctx):
        config = {"method": "POST", "url": server.url, "headers": headers, "body": {"a": 1}, "redirects": 1}
        await run("api_call", config, ctx)
    assert fields(server.requests[1]) == [("a", "1")]


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("multipart/form-data", [1], "the body of a form has to be a mapping of names to values"),
        ("multipart/form-data", {}, "the body of a form has to have a field"),
        ("multipart/form-data", {"a": None}, "the body of a form has to have a field"),
        ("multipart/mixed", {"a": 1}, "a body of multipart/mixed can't be made of a mapping"),
        ("text/csv", [[1]], "a body of text/csv can't be made of a list"),
        ("Application/SOAP+XML; charset=utf-8", {"a": 1}, "a body of application/soap+xml can't be made of a mapping"),
        ("image/png", 7, "a body of image/png can't be made of a value"),
        ("multipart/form-data", "a=1", "a body of multipart/form-data needs a boundary in its Content-Type"),
        ("text/plain; charset=iso-8859-1", "中", "the body has characters that iso-8859-1 can't hold"),
    ],
)
async def test_a_body_that_its_content_type_cannot_hold_is_refused(kind: str, body: Any, message: str) -> None:
    async with serving(echo) as (server, ctx):
        config = {"method": "POST", "url": server.url, "headers": {"content-type": kind}, "body": body}
        error = await failing(config, ctx)
    assert (str(error), error.code, error.retryable) == (message, "AF-HTTP-REQUEST", False)
    assert server.requests == []


@pytest.mark.parametrize(
    ("kind", "body", "sent"),
    [
        ("text/xml; charset=ISO-8859-1", "<a>é</a>", "<a>é</a>".encode("latin-1")),
        ('application/json; charset="gbk"', {"a": "中"}, '{"a":"中"}'.encode("gbk")),
        ("text/plain; charset=nope-99", "é", "é".encode()),
        ("text/plain", {"a": "é"}, '{"a":"é"}'.encode()),
        ("application/x-amz-json-1.1", [1], b"[1]"),
    ],
)
async def test_a_body_goes_out_in_the_charset_of_its_content_type(kind: str, body: Any, sent: bytes) -> None:
    async with serving(echo) as (server, ctx):
        config = {"method": "POST", "url": server.url, "headers": {"content-type": kind}, "body": body}
        await run("api_call", config, ctx)
    assert (server.requests[0].headers["content-type"], server.requests[0].body) == (kind, sent)


async def test_a_multipart_body_that_is_text_is_sent_as_it_is() -> None:
    kind = "multipart/mixed; boundary=b"
    async with serving(echo) as (server, ctx):
        config = {"method": "POST", "url": server.url, "headers": {"content-type": kind}, "body": "--b--\r\n"}
        await run("api_call", config, ctx)
    assert (server.requests[0].headers["content-type"], server.requests[0].body) == (kind, b"--b--\r\n")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("/x?q=a%20b&sig=%2Fz%3D~%7E*'", "/x?q=a%20b&sig=%2Fz%3D~%7E*'&n=1+2"),
        ("/x?flag&a=&=b&a=%C3%BC+c", "/x?flag&a=&=b&a=%C3%BC+c&n=1+2"),
        ("/x?", "/x?n=1+2"),
        ("/x", "/x?n=1+2"),
        ("/x?a=1#part", "/x?a=1&n=1+2"),
    ],
)
async def test_the_urls_own_query_stays_as_it_is_to_the_byte(url: str, target: str) -> None:
    async with serving(echo) as (server, ctx):
        await run("api_call", {"url": server.url + url, "query": {"n": "1 2", "no": None}}, ctx)
        await run("api_call", {"url": server.url + url, "query": {"no": None}}, ctx)
    assert server.requests[0].target == target
    assert server.requests[1].target == url.partition("#")[0]


async def test_an_own_authorization_wins_over_the_urls_user() -> None:
    async with serving(echo) as (server, ctx):
        url = server.url.replace("//", "//user:word@")
        await run("api_call", {"url": url, "headers": {"authorization": "Bearer mine"}}, ctx)
        await run("api_call", {"url": url}, ctx)
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer mine", "Basic " + base64.b64encode(b"user:word").decode()]


async def test_an_own_authorization_stays_with_redirects_of_the_same_service() -> None:
    def go(request: Request) -> Answer:
        return Answer(302, headers={"Location": "/there"}) if request.target != "/there" else Answer()

    async with serving(go) as (server, ctx):
        url = server.url.replace("//", "//user:word@")
        await run("api_call", {"url": url, "headers": {"authorization": "Bearer mine"}, "redirects": 1}, ctx)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer mine"] * 2


@pytest.mark.parametrize(("redirects", "hint"), [(1, "a redirect was followed"), (3, "3 redirects were followed")])
async def test_a_circle_of_redirects_is_told_as_one(redirects: int, hint: str) -> None:
    async with serving(lambda _: Answer(302, headers={"Location": "/again"})) as (server, ctx):
        error = await failing({"url": server.url, "redirects": redirects}, ctx)
    assert error.hint == f"{hint}, as the step says, and this is one more: do they go in a circle?"
    assert len(server.requests) == redirects + 1
