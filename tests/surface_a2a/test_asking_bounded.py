"""Answers of agents that are too large, or packed, are refused before they fill the memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import httpx
import pytest

from agentflow_a2a.client import bounded
from agentflow_a2a.client.bounded import bound

pytestmark = pytest.mark.anyio
EVENTS = {"Content-Type": "text/event-stream"}
TAKEN = 100


async def _read(headers: dict[str, str], chunks: Sequence[bytes]) -> tuple[int, bytes]:
    """Return how many chunks of an answer were taken, and what was read of it."""
    taken, read = 0, b""

    async def body() -> AsyncGenerator[bytes]:
        nonlocal taken
        for chunk in chunks:
            taken += 1
            yield chunk

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return httpx.Response(200, headers=headers, content=body())

    async with bound(httpx.AsyncClient(transport=httpx.MockTransport(answer))) as http:
        try:
            async with http.stream("GET", "http://agent/") as response:
                async for part in response.aiter_bytes():
                    read += part
        except ValueError as error:
            read = str(error).encode()
    return taken, read


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers have a hundred bytes only."""
    monkeypatch.setattr(bounded, "LARGEST", TAKEN)


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["answer", "stream"])
async def test_no_more_is_read_of_an_answer_or_an_event_than_it_may_have(headers: dict[str, str]) -> None:
    assert await _read(headers, [b"x" * 30] * 1000) == (4, b"it is larger than 100 bytes")
    assert (await _read(headers, [b"x" * 50] * 2))[1] == b"x" * 100


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"], ids=["short", "long"])
async def test_a_stream_may_be_as_long_as_it_likes_wherever_its_events_are_cut(end: bytes) -> None:
    event = b"data: " + b"x" * 50 + end
    whole = event * 20
    for size in (1, 7, len(event)):
        chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert (await _read(EVENTS, chunks))[1] == whole
        assert (await _read({}, chunks))[1] == b"it is larger than 100 bytes"


async def test_what_is_packed_is_refused_unread() -> None:
    taken, read = await _read({"Content-Encoding": "gzip"}, [b"x"] * 10)
    assert (taken, read) == (0, b"it is packed, though it was asked for as it is")
