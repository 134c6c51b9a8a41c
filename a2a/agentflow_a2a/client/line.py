"""The line to one agent: its card, its transport, and requests that are made again while it can't be reached."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import httpx

from agentflow.definition.host_rules import host_rules, place_of
from agentflow.errors import StepError
from agentflow.steps.http_client import guarded_client
from agentflow.steps.network import Policy, Section
from agentflow.steps.remote import Entry, signing
from agentflow.steps.signing import Signing
from agentflow_a2a.client.bounded import bound
from agentflow_a2a.client.card import Cards
from agentflow_a2a.client.faults import RemoteError
from agentflow_a2a.client.sdk import Json, Transport, interfaces
from agentflow_a2a.told import TASKS

T = TypeVar("T")
CALL_TIME = 60.0
"""Seconds for one answer; of a stream: for its next event. A stream that is silent for longer is begun again."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds until a request is made again: twice as long each time."""


class Pauses:
    """Waits longer each time, until something has worked."""

    def __init__(self) -> None:
        """Begin with the shortest."""
        self._next = FIRST_PAUSE
        self.spent = 0.0
        """Seconds waited since something has worked."""

    async def wait(self) -> None:
        """Wait, a bit more or less: many who have lost one agent don't come back all at once."""
        pause = self._next * (0.75 + random.random() / 2)  # noqa: S311  nothing secret
        self._next = min(self._next * 2, LONGEST_PAUSE)
        self.spent += pause
        await anyio.sleep(pause)

    def reset(self) -> None:
        """Something has worked."""
        self._next, self.spent = FIRST_PAUSE, 0.0


class Line:
    """The line to one agent of the config."""

    def __init__(self, entry: Entry) -> None:
        """Connect to nothing yet."""
        fields = entry.fields
        self.agent = entry.name
        self._url = _address(entry)
        self._tenant = fields.get("tenant")
        listed = tuple(str(host) for host in fields.get("hosts") or ())
        self._rules = host_rules((place_of(self._url), *listed))
        self._headers = _credentials(entry)
        self.seconds = float(fields.get("timeout") or CALL_TIME)
        self._http: httpx.AsyncClient = bound(guarded_client(self._policy(entry, listed)))
        if entry.signing is not None:
            self._http.auth = _Signed(entry.signing)
        self._cards = Cards(self.agent, self._url, self._http, self._headers)
        self._card: Mapping[str, Any] | None = None
        self._transport: Transport | None = None

    def _policy(self, entry: Entry, listed: Sequence[str]) -> Policy:
        """Return where requests go: to hosts that the config names, and of an address that it spells out, in private.

        What a card names besides isn't connected to.
        """
        section = Section(f'agent "{self.agent}"', f"agents: {{{self.agent}: %s}}", "hosts", None)
        private = entry.policy is not None and entry.policy.private
        named = host_rules(listed) if entry.templated else self._rules
        return Policy(self._rules, private, entry.resolve, section, named)

    async def transport(self) -> Transport:
        """Return how the agent is spoken to.

        Raises:
            RemoteError: its card can't be had.
            StepError: the card can't be used.
        """
        card = await self._cards.get()
        if self._transport is None or card is not self._card:
            reached = self._reached(card)
            self._card, self._transport = card, Transport(self._http, card, reached, self._tenant)
        return self._transport

    def _reached(self, card: Mapping[str, Any]) -> list[Json]:
        """Return the interfaces of a card that may be used."""
        try:
            spoken = interfaces(card)
        except ValueError as error:
            raise self._unusable(str(error), None) from None
        if not spoken:
            raise self._unusable("it offers neither JSON-RPC nor HTTP+JSON of protocol 1.0 or 0.3", None)
        found = [each for each in spoken if self._is_named(str(each.get("url")))]
        if not found:
            others = sorted({place_of(str(each.get("url"))) for each in spoken})
            hint = f'if that is meant, in the config: agents: {{{self.agent}: {{hosts: ["{others[0]}"]}}}}'
            raise self._unusable(f"its card sends requests to another host: {', '.join(others)}", hint)
        return found

    def _is_named(self, url: str) -> bool:
        host, _, port = place_of(url).rpartition(":")
        scheme = url.partition("://")[0]
        return scheme in ("http", "https") and any(
            rule.matches(host.strip("[]"), int(port or 0), scheme) for rule in self._rules
        )

    def _unusable(self, why: str, hint: str | None) -> StepError:
        return StepError(
            f'the card of agent "{self.agent}" can\'t be used', code="AF-AGENT-CARD", kind="invalid", why=why,
            retryable=False, hint=hint,
        )  # fmt: skip

    def headers(self, key: str | None = None) -> dict[str, str]:
        """Return what is sent with a request: credentials, our extension where the agent has it, its key."""
        transport = self._transport
        ours = {"A2A-Extensions": TASKS} if transport is not None and TASKS in transport.extensions else {}
        return {**self._headers, **ours, **({"Idempotency-Key": key} if key is not None else {})}

    async def insist(self, what: Callable[[Transport], Awaitable[T]], patience: float | None = None) -> T:
        """Do something, again and again while the agent can't be reached.

        Args:
            what: it.
            patience: seconds after which it counts as failed; None: the caller's own time ends it.

        Raises:
            RemoteError: the agent has refused it, or can't be reached in that time.
        """
        pauses = Pauses()
        while True:
            try:
                return await what(await self.transport())
            except RemoteError as error:
                if error.kind != "unreachable" or (patience is not None and pauses.spent >= patience):
                    raise
                self._cards.forget()
            await pauses.wait()

    async def get(self, task: str) -> Json:
        """Return a task."""

        async def ask(transport: Transport) -> Json:
            return await transport.get(task, self.headers(), self.seconds)

        return await self.insist(ask)

    async def cancel(self, task: str) -> None:
        """Cancel a task, once; raises RemoteError."""
        await (await self.transport()).cancel(task, self.headers(), self.seconds)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _address(entry: Entry) -> str:
    """Return the address of the config; raises StepError where it is none: it may have been a template."""
    url = str(entry.fields["url"])
    try:
        split = urlsplit(url)
        right = split.scheme in {"http", "https"} and bool(split.hostname) and (split.port is None or split.port > 0)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        right = False
    if not right:
        raise StepError(
            f'agent "{entry.name}": "{url}" is no address', code="AF-AGENT-CARD", kind="invalid", retryable=False,
            hint="it begins with http:// or https://",
        )  # fmt: skip
    return url


def _credentials(entry: Entry) -> dict[str, str]:
    """Return the headers of the config, and the token; raises StepError where that has no value."""
    credentials = entry.credentials or {}
    written: Mapping[str, str] = entry.fields.get("headers") or {}
    headers = {**written, **signing(credentials)}
    name = entry.fields.get("token_env")
    if name is None:
        return headers
    token = entry.secret(name)
    if not token:
        raise StepError(
            f'agent "{entry.name}" has no token: the environment has no {name}', code="AF-AGENT-DENIED", kind="invalid",
            retryable=False, hint=f"set {name}",
        )  # fmt: skip
    return {**headers, "Authorization": f"Bearer {token}"}


class _Signed(httpx.Auth):
    """Signs each request as its owner's credentials are then."""

    requires_request_body = True

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self._signing.sign(request)
        yield request
