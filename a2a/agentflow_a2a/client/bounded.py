"""How much of an agent's answer is read: one without an end would fill the memory of all runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx

LARGEST = 64 * 1024 * 1024
"""Bytes of an answer, or of one event of a stream."""
PLAIN = {"Accept-Encoding": "identity"}
"""Sent with each request: what is packed would have to be unpacked before its size is known."""


def bound(http: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return a client whose answers are read up to a size only; reading more raises ValueError."""
    http.headers.update(PLAIN)
    http.event_hooks = {**http.event_hooks, "response": [*http.event_hooks["response"], _bounded]}
    return http


async def _bounded(response: httpx.Response) -> None:
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise ValueError("it is packed, though it was asked for as it is")
    media = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    response.stream = _Bounded(response.stream, events=media == "text/event-stream")


class _Bounded(httpx.AsyncByteStream):
    """The body of a response."""

    def __init__(self, inner: Any, *, events: bool) -> None:
        self._inner = inner
        self._events = events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, last = 0, b""
        async for chunk in self._inner:
            size += len(chunk)
            last += chunk
            if self._events and _ends_event(last):
                size = len(chunk)
            last = last[-3:]
            if size > LARGEST:
                raise ValueError(f"it is larger than {LARGEST} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _ends_event(part: bytes) -> bool:
    return b"\n\n" in part or b"\r\n\r\n" in part or b"\r\r" in part
