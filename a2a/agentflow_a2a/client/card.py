"""Finds an agent's card, and keeps it as long as its server allows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from agentflow.data import is_object
from agentflow.errors import StepError
from agentflow_a2a.client.faults import RemoteError

PATHS = ("/.well-known/agent-card.json", "/.well-known/agent.json")
"""Where a card is below an address: that of today, and that of before 0.3."""
FRESH = 300.0
"""Seconds that a card is taken as it is, where its server doesn't say."""
LARGEST = 1024 * 1024
"""Bytes of a card."""
TIME = 30.0
_CHUNK = 65536
_OF_THE_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Cards:
    """The card of one agent."""

    def __init__(self, agent: str, url: str, http: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
        """Ask for nothing yet.

        Args:
            agent: its name in the config.
            url: the card's address, or the one that it is below.
            http: makes the requests.
            headers: sent with them.
        """
        self._agent = agent
        self._http = http
        self._headers = headers
        whole = urlsplit(url).path.endswith(".json")
        self._urls = [url] if whole else [f"{url.rstrip('/')}{path}" for path in PATHS]
        self._card: dict[str, Any] | None = None
        self._etag: str | None = None
        self._until = 0.0

    def forget(self) -> None:
        """Ask for the card again when it is next needed: it may have changed."""
        self._until = 0.0

    async def get(self) -> dict[str, Any]:
        """Return the card; the same object as long as it is the same.

        Raises:
            RemoteError: it can't be had.
            StepError: it is no card.
        """
        if self._card is not None and time.monotonic() < self._until:
            return self._card
        for url in self._urls:
            response = await self._ask(url)
            if response.status_code == 404 and url != self._urls[-1]:
                continue
            return self._taken(url, response)
        raise AssertionError("there is a url")

    async def _ask(self, url: str) -> httpx.Response:
        known = {"If-None-Match": self._etag} if self._card is not None and self._etag else {}
        try:
            with anyio.fail_after(TIME):
                return await self._read(url, {**self._headers, **known})
        except TimeoutError:
            raise RemoteError("unreachable", f"its card isn't there after {TIME:g} seconds") from None
        except httpx.HTTPError as error:
            raise RemoteError("unreachable", str(error) or type(error).__name__) from error
        except ValueError as error:
            raise self._unusable(f"{url}: {error}") from None

    async def _read(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """Return a response, no more of its body than a card may have and a bit."""
        async with self._http.stream("GET", url, headers=headers, timeout=TIME) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes(_CHUNK):
                body += chunk
                if len(body) > LARGEST:
                    raise self._unusable(f"{url} answers with more than {LARGEST} bytes")
            kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
            return httpx.Response(response.status_code, headers=kept, content=bytes(body))

    def _taken(self, url: str, response: httpx.Response) -> dict[str, Any]:
        if response.status_code == 304 and self._card is not None:
            self._until = time.monotonic() + _fresh(response)
            return self._card
        if response.status_code in {401, 403}:
            raise RemoteError("denied", f"HTTP {response.status_code} for its card")
        if response.status_code in {408, 429} or response.status_code >= 500:
            raise RemoteError("unreachable", f"HTTP {response.status_code} for its card")
        if response.status_code != 200:
            raise self._unusable(f"{url} answers HTTP {response.status_code}")
        try:
            card = response.json()
        except ValueError:
            card = None
        if not is_object(card):
            raise self._unusable(f"{url} is no card")
        self._etag, self._until = response.headers.get("ETag"), time.monotonic() + _fresh(response)
        if self._card is None or card != self._card:
            self._card = card
        return self._card

    def _unusable(self, why: str) -> StepError:
        return StepError(
            f'agent "{self._agent}" has no card that can be used', code="AF-AGENT-CARD", kind="invalid", why=why,
            retryable=False, hint="its url in the config is that of the card, or what the card is below",
        )  # fmt: skip


def _fresh(response: httpx.Response) -> float:
    """Return how long a response may be kept."""
    told = response.headers.get("Cache-Control", "").lower()
    if "no-store" in told or "no-cache" in told:
        return 0.0
    for word in told.split(","):
        name, _, value = word.strip().partition("=")
        if name == "max-age" and value.isascii() and value.isdigit() and len(value) < 10:
            return min(float(value), 86400.0)
    return FRESH
