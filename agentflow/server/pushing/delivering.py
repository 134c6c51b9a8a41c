"""One delivery: a POST to where the network rules let it go, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import anyio

from agentflow.definition.config_file import PushSection
from agentflow.definition.host_rules import host_rules
from agentflow.errors import InputError, StepError
from agentflow.steps.network import Policy, Resolve, Section

if TYPE_CHECKING:
    import httpcore
    import httpx

SECTION = Section("push", "push: %s")
_READ = 16 * 1024
"""Bytes of an answer's body that are read, so that the connection can be used again; nobody looks at them."""
_LOOK_UP = 2.0
"""Seconds that the look at a new receiver's addresses may take."""
_LONGEST = 2048
_GONE = 410


class Target(NamedTuple):
    """Where something goes."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery."""

    became: Literal["arrived", "again", "refused"]
    """`again`: it may arrive another time; `refused`: it won't, before somebody changes something."""
    error: str | None = None
    after: float | None = None
    """Seconds that the receiver asks to be left alone."""


ARRIVED = Outcome("arrived")


def push_policy(settings: PushSection, resolve: Resolve | None = None) -> Policy:
    """Return what receivers may be connected to."""
    allow = None if settings.allow is None else host_rules(settings.allow)
    return Policy(allow, settings.private, resolve, SECTION)


class Delivery:
    """Makes deliveries of one server."""

    def __init__(self, policy: Policy, timeout: float, inner: httpcore.AsyncNetworkBackend | None = None) -> None:
        """Deliver nothing yet.

        Args:
            policy: what may be connected to.
            timeout: seconds that one may take as a whole.
            inner: makes the connections; default: real ones.
        """
        self._policy = policy
        self._timeout = timeout
        self._inner = inner
        self._transport: httpx.AsyncBaseTransport | None = None

    async def check(self, url: str) -> str:
        """Look at an address that somebody wants things sent to; returns it without what is secret in it.

        A name that has no address now may have one later; that is looked at again, whenever something is sent.

        Raises:
            InputError: nothing will be sent there.
        """
        parsed = self._parsed(url)
        try:
            with anyio.move_on_after(_LOOK_UP):
                await self._policy.addresses(parsed.host, parsed.port or _port(parsed.scheme))
        except StepError as error:
            raise InputError(error.what, hint=error.hint) from None
        except (OSError, UnicodeError):
            pass
        return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"

    def _parsed(self, url: str) -> httpx.URL:
        import httpx  # noqa: PLC0415  costs its import

        if len(url) > _LONGEST:
            raise InputError(f"it is longer than {_LONGEST} characters")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, UnicodeError):
            raise InputError("it is no address") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise InputError("it has to begin with https:// and a host")
        if parsed.port is not None and not 0 < parsed.port < 65536:
            raise InputError("its port isn't one")
        if parsed.userinfo:
            raise InputError("it has a user or a password in it; give authentication instead")
        if parsed.scheme == "http" and not self._policy.private and self._policy.allow is None:
            raise InputError(
                "it has to begin with https://", hint="push: {private: true}, or push: {allow: [HOST]}, permits http"
            )
        return parsed

    async def post(self, target: Target, body: bytes, media: str) -> Outcome:
        """Deliver something once, and say what became of it; in our own words, as an answer's may hold secrets."""
        import httpx  # noqa: PLC0415

        headers = {**target.headers, "content-type": media, "user-agent": "agentflow"}
        try:
            request = httpx.Request("POST", target.url, headers=headers, content=body)
            with anyio.fail_after(self._timeout):
                response = await self._http.handle_async_request(request)
                try:
                    await _read_some(response)
                finally:
                    await response.aclose()
                return _meaning(response.status_code, response.headers.get("retry-after", ""))
        except StepError as error:
            return Outcome("refused", error.what)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome("again", f"no answer in {self._timeout:g} s")
        except httpx.ConnectError:
            return Outcome("again", "can't be connected to")
        except httpx.TransportError:
            return Outcome("again", "the connection was broken off")
        except (httpx.InvalidURL, ValueError):
            return Outcome("refused", "can't be sent there as it is")

    @property
    def _http(self) -> httpx.AsyncBaseTransport:
        if self._transport is None:
            from agentflow.steps.http_client import guarded_transport  # noqa: PLC0415

            self._transport = guarded_transport(self._policy, inner=self._inner)
        return self._transport

    async def aclose(self) -> None:
        """Close the connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()


def _port(scheme: str) -> int:
    return 80 if scheme == "http" else 443


async def _read_some(response: httpx.Response) -> None:
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > _READ:
            return


def _meaning(status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return ARRIVED
    if status == _GONE:
        return Outcome("refused", f"HTTP {status}: the receiver is gone")
    if 300 <= status < 400:
        return Outcome("again", f"HTTP {status}: redirects aren't followed")
    after = float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 9 else None
    return Outcome("again", f"HTTP {status}", after)
