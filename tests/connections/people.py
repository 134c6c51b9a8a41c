"""A real authorization server, and people with a browser who sign in there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from ssl import SSLContext
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from tests.node.tools import Node

CLIENT_SECRET = "client-s3cret-5f0c+/="
_MOVES = 20


@cache
def _trusted() -> SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def client(**more: Any) -> httpx2.AsyncClient:
    """Return a client that needs no certificates read."""
    return httpx2.AsyncClient(trust_env=False, verify=_trusted(), **more)


@dataclass
class Provider:
    """The authorization server."""

    issuer: str

    def connection(self, client: str = "desk", **more: Any) -> dict[str, Any]:
        """Return an entry of the config's `connections` for it."""
        return {
            "type": "oauth2", "issuer": self.issuer, "client_id": client, "client_secret": CLIENT_SECRET,
            "scopes": ["openid", "email", "offline_access"], "private": True,
            "parameters": {} if client == "narrow" else {"prompt": "consent"}, **more,
        }  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Return how often each kind of grant was given."""
        return httpx2.get(f"{self.issuer}/_counts", trust_env=False, verify=_trusted()).json()


@contextmanager
def provider(node: Node) -> Generator[Provider]:
    """Start the server; it is up when this is entered."""
    with subprocess.Popen(
        [*node.script("oauth_server.mjs"), CLIENT_SECRET], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http://"):
                break
        else:
            raise AssertionError("the authorization server doesn't start")
        try:
            yield Provider(line.strip())
        finally:
            process.kill()


@dataclass
class Person:
    """Somebody with a browser of his own."""

    name: str = "alice"
    browser: httpx2.AsyncClient = field(default_factory=client)

    async def close(self) -> None:
        """Close the browser."""
        await self.browser.aclose()

    async def goes_on(self, link: str) -> str:
        """Open the page that asks, and return where its button leads."""
        page = await self.browser.get(link)
        button = re.search(r'class="main" href="([^"]+)"', page.text)
        assert button is not None, page.text
        return str(page.url.join(button[1]))

    async def consents(self, url: str, *, until: str = "/callback", refuses: bool = False) -> str:
        """Sign in and consent, or refuse; returns the address that the browser is sent back to."""
        response = await self.browser.get(url)
        for _ in range(_MOVES):
            if response.status_code in (301, 302, 303, 307):
                place = str(response.url.join(response.headers["location"]))
                if urlsplit(place).path.endswith(until):
                    return place
                response = await self.browser.get(place)
                continue
            form = Form.on(response)
            if form is None:
                raise AssertionError(f"{response.status_code} {response.url}: {response.text[:500]}")
            if refuses and form.fields.get("prompt") == "consent":
                response = await self.browser.get(f"{form.action}/abort")
                continue
            given = {**form.fields, "login": self.name, "password": "any"}
            response = await self.browser.post(form.action, data=given)
        raise AssertionError(f"the way from {url} doesn't end")

    async def enters(self, url: str, code: str, *, refuses: bool = False) -> None:
        """Enter a device's code, sign in and consent, or refuse."""
        response, refused = await self.browser.get(url), False
        for _ in range(_MOVES):
            if response.status_code in (301, 302, 303, 307):
                response = await self.browser.get(str(response.url.join(response.headers["location"])))
                continue
            form = Form.on(response)
            if form is None or refused:
                assert response.status_code == 200, response.text[:500]
                return
            if refuses and form.fields.get("prompt") == "consent":
                response, refused = await self.browser.get(f"{form.action}/abort"), True
                continue
            given = {**form.fields, "login": self.name, "password": "any"}
            if "user_code" in form.names:
                given["user_code"] = code
            response = await self.browser.post(form.action, data=given)
        raise AssertionError("the way of the device doesn't end")


@dataclass(frozen=True)
class Form:
    """A form of a page."""

    action: str
    fields: dict[str, str]
    names: frozenset[str]

    @classmethod
    def on(cls, response: httpx2.Response) -> Form | None:
        """Return the form of a page, if it has one that wants something."""
        action = re.search(r'<form[^>]*action="([^"]+)"', response.text)
        if action is None:
            return None
        inputs = re.findall(r"<input[^>]*>", response.text)
        fields: dict[str, str] = {}
        for each in inputs:
            name, value = re.search(r'name="([^"]*)"', each), re.search(r'value="([^"]*)"', each)
            if name is not None:
                fields[name[1]] = value[1] if value is not None else ""
        return cls(str(response.url.join(action[1])), fields, frozenset(fields))


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query))
