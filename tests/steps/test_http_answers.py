"""How answers become data or text: encodings, compression, headers."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from agentflow.data import normalise
from agentflow.steps.compression import DamagedError, unpack
from agentflow.steps.http_answer import MAX_BODY
from tests.steps.calls import failing, serving
from tests.steps.context import run
from tests.steps.http_server import Answer

pytestmark = pytest.mark.anyio

WORD = "zürich 学"
DATA = '{"a": "zürich 学"}'


async def answer(raw: bytes, kind: str = "text/plain", **headers: str) -> dict[str, Any]:
    sent = Answer(body=raw, headers={"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}})
    async with serving(lambda _: sent) as (server, ctx):
        return await run("api_call", {"url": server.url}, ctx)


async def refused(raw: bytes, coding: str) -> Any:
    headers = {"Content-Type": "text/plain", "Content-Encoding": coding}
    async with serving(lambda _: Answer(body=raw, headers=headers)) as (server, ctx):
        return await failing({"url": server.url}, ctx)


def bare(raw: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(raw) + packer.flush()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize(
    "kind", ["application/json", "application/problem+json", "text/json", "application/json; charset=nope-99"]
)
async def test_json_comes_as_data_in_every_encoding_that_unicode_has(encoding: str, kind: str) -> None:
    assert (await answer(DATA.encode(encoding), kind))["body"] == {"a": WORD}


@pytest.mark.parametrize("charset", ["gbk", "gb18030", "GB2312", "utf-16", '"utf-16"', "UTF-16LE", "utf-32", "utf-8"])
async def test_json_comes_as_data_in_the_charset_that_it_names(charset: str) -> None:
    text = '{"a": "中学"}'
    body = (await answer(text.encode(charset.strip('"')), f"application/json; charset={charset}"))["body"]
    assert body == {"a": "中学"}


async def test_a_byte_order_mark_says_more_than_a_charset() -> None:
    raw = DATA.encode("utf-8-sig")
    assert (await answer(raw, "application/json; charset=iso-8859-1"))["body"] == {"a": WORD}
    assert (await answer(b"\xef\xbb\xbfa,b", "text/csv"))["body"] == "a,b"
    assert (await answer(WORD.encode("utf-16"), "text/plain; charset=utf-8"))["body"] == WORD


async def test_a_charset_that_does_not_fit_gives_way_to_utf_8() -> None:
    assert (await answer(DATA.encode(), "application/json; charset=us-ascii"))["body"] == {"a": WORD}
    assert (await answer(b"{\xff}", "application/json; charset=us-ascii"))["body"] == "{\N{REPLACEMENT CHARACTER}}"


@pytest.mark.parametrize(
    "charset",
    [
        *("hex", "rot13", "rot-13", "base64", "zlib", "bz2", "uu", "quopri", "idna", "punycode", "undefined"),
        *("raw_unicode_escape", "unicode_escape", "unicode-escape", "nope-99", "x" * 3000, "..", "__init__", "aliases"),
    ],
)
@pytest.mark.parametrize(("kind", "body"), [("text/plain", "[6162]"), ("application/json", [6162])])
async def test_a_charset_that_is_none_of_text_counts_as_unknown(charset: str, kind: str, body: Any) -> None:
    assert (await answer(b"[6162]", f"{kind}; charset={charset}"))["body"] == body


async def test_a_number_that_cannot_be_kept_leaves_the_answer_readable() -> None:
    for number in ("1e999", "-1e400", "NaN", "Infinity", "9" * 5001, "[" * 150 + "]" * 150):
        text = f'{{"used": 1, "other": {number}}}'
        body = (await answer(text.encode(), "application/json"))["body"]
        assert "used" in body
        assert normalise(body) == body


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("Deflate", bare)],
)
async def test_a_compressed_answer_is_whole_or_an_error_that_passes(coding: str, pack: Any) -> None:
    raw = pack(str(list(range(3000))).encode())
    assert (await answer(raw, Content_Encoding=coding))["body"] == str(list(range(3000)))
    for cut in (1, len(raw) // 2, len(raw) - 1):
        error = await refused(raw[:cut], coding)
        assert (error.code, error.retryable) == ("AF-HTTP-DECODE", True)
    assert "ends early" in str(await refused(raw[: len(raw) // 2], coding))


def test_no_cut_of_a_compressed_body_passes_for_the_whole() -> None:
    for pack, coding in ((gzip.compress, "gzip"), (zlib.compress, "deflate"), (bare, "deflate")):
        raw = pack(bytes(range(256)) * 20)
        for cut in range(1, len(raw)):
            with pytest.raises(DamagedError):
                unpack(raw[:cut], [coding], MAX_BODY)


async def test_all_members_of_a_gzip_answer_count() -> None:
    members = b"".join(gzip.compress(f"{i}\n".encode()) for i in range(500))
    assert (await answer(members, Content_Encoding="gzip"))["body"] == "".join(f"{i}\n" for i in range(500))
    assert (await answer(members + b"\0" * 100, Content_Encoding="gzip"))["body"].endswith("499\n")
    error = await refused(gzip.compress(b"first") + gzip.compress(b"second")[:-3], "gzip")
    assert "ends early" in str(error)


async def test_what_is_no_member_after_a_gzip_answer_fails_it() -> None:
    error = await refused(gzip.compress(b"first") + b"and more", "gzip")
    assert (error.code, error.retryable) == ("AF-HTTP-DECODE", True)
    assert "something else stands after its compressed data" in str(error)


async def test_compressions_on_top_of_one_another_are_undone() -> None:
    raw = zlib.compress(gzip.compress(b"twice"))
    assert (await answer(raw, Content_Encoding="gzip, deflate"))["body"] == "twice"
    assert (await refused(raw, ", ".join(["gzip"] * 6))).retryable is False


@pytest.mark.parametrize("coding", ["br", "zstd", "compress"])
async def test_a_compression_that_was_not_asked_for_says_so(coding: str) -> None:
    error = await refused(b"whatever", coding)
    assert (error.code, error.retryable) == ("AF-HTTP-DECODE", False)
    assert f'compressed by "{coding}", which wasn\'t asked for' in str(error)


@pytest.mark.parametrize("coding", ["identity", "aws-chunked", "utf-8"])
async def test_what_names_no_compression_is_left_as_it_is(coding: str) -> None:
    assert (await answer(b"plain", Content_Encoding=coding))["body"] == "plain"


async def test_an_empty_answer_needs_no_unpacking() -> None:
    async with serving(lambda _: Answer(headers={"Content-Encoding": "gzip"})) as (server, ctx):
        assert (await run("api_call", {"url": server.url}, ctx))["body"] == ""
        await run("api_call", {"url": server.url}, ctx)
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
async def test_a_body_that_ends_before_its_length_is_a_network_error(raw: bytes) -> None:
    async with serving(lambda _: Answer(raw=raw)) as (server, ctx):
        error = await failing({"url": server.url}, ctx)
    assert (error.code, error.kind, error.retryable) == ("AF-HTTP-NETWORK", "network", True)
    assert str(error).startswith(f"GET {server.url} got no answer: ")


async def test_cookies_are_a_list_and_other_repeated_headers_are_joined() -> None:
    lines = [
        "HTTP/1.1 200 OK", "Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "Vary: a", "Set-Cookie: b=2",
        "Vary: b", "Content-Length: 0", "", "",
    ]  # fmt: skip
    async with serving(lambda _: Answer(raw="\r\n".join(lines).encode())) as (server, ctx):
        headers = (await run("api_call", {"url": server.url}, ctx))["headers"]
    assert headers["set-cookie"] == ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"]
    assert headers["vary"] == "a, b"
    one = await answer(b"", Set_Cookie="c=3")
    assert one["headers"]["set-cookie"] == ["c=3"]
