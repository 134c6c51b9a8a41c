"""Credentials that the config itself holds."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agentflow.config.load import load_text
from agentflow.credentials import NotConnected, Outgoing
from agentflow.engine.engine import Engine
from agentflow.errors import DefinitionError
from agentflow.principal import Principal
from agentflow.requirements.connections.book import ConnectionBook
from agentflow.testing.clock import FakeClock

pytestmark = pytest.mark.anyio
ALICE = Principal("alice")


@asynccontextmanager
async def book_of(connections: Mapping[str, Any], env: str = "[]") -> AsyncGenerator[tuple[ConnectionBook, Engine]]:
    text = f"name: desk\nenv: {env}\nconnections: {dict(connections)!r}\nworkflows: {{}}\n"
    config = load_text(text.replace("'", '"'))
    async with Engine.open(":memory:", config=config, clock=FakeClock(1000.0), host="none") as engine:
        yield engine.core.env.book, engine


async def test_tokens_keys_and_passwords_are_sent_as_the_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "s3cret-token")
    connections = {
        "crm": {"type": "bearer", "token": "{env.CRM_TOKEN}"},
        "basic": {"type": "basic", "username": "ana", "password": "pass word"},
        "key": {"type": "api_key", "key": "k-123456", "header": "X-Key", "prefix": "Key "},
        "asked": {"type": "api_key", "key": "k-123456", "query": "key"},
    }
    async with book_of(connections, "[CRM_TOKEN]") as (book, _):
        given = {name: await book.credentials(name, ALICE) for name in connections}
    assert given["crm"].headers == {"Authorization": "Bearer s3cret-token"}
    assert given["crm"].value == "s3cret-token"
    assert given["basic"].headers == {"Authorization": "Basic YW5hOnBhc3Mgd29yZA=="}
    assert given["key"].headers == {"X-Key": "Key k-123456"}
    assert (given["asked"].headers, given["asked"].query) == ({}, {"key": "k-123456"})
    assert "s3cret" not in repr(given)
    assert "k-123456" not in repr(given)


async def test_hmac_signs_what_the_config_lists() -> None:
    entry = {"type": "hmac", "secret": "shared-secret", "sign": ["method", "path", "query", "timestamp", "body"]}
    async with book_of({"hook": entry}) as (book, _):
        sign = (await book.credentials("hook", ALICE)).sign
    assert sign is not None
    headers = sign(Outgoing("POST", "/v1/x?a=1", {}, b'{"n":1}'))
    text = b'POST\n/v1/x\na=1\n1000\n{"n":1}'
    made = hmac.new(b"shared-secret", text, hashlib.sha256).hexdigest()
    assert headers == {"X-Signature": made, "X-Timestamp": "1000"}


async def test_secrets_of_the_config_are_known_to_the_gates_without_env() -> None:
    connections = {
        "a": {"type": "bearer", "token": "written-in-the-file"},
        "b": {"type": "basic", "username": "ana", "password": "also-written-there"},
        "c": {"client_id": "c", "client_secret": "client-secret-there", "issuer": "https://id.example.com"},
    }
    async with book_of(connections) as (_, engine):
        text = "written-in-the-file also-written-there client-secret-there"
        assert engine.core.env.gate.text(text) == "*** *** ***"


async def test_a_service_is_reached_by_its_own_connection_or_its_providers() -> None:
    connections = {
        "crm": {"type": "bearer", "token": "of-all-services"},
        "crm:mail": {"type": "bearer", "token": "of-mail-alone"},
    }
    async with book_of(connections) as (book, _):
        assert (await book.credentials("crm:files", ALICE)).value == "of-all-services"
        assert (await book.credentials("crm:mail", ALICE)).value == "of-mail-alone"
        with pytest.raises(NotConnected) as unknown:
            await book.credentials("erp:files", ALICE)
    assert (unknown.value.reason, unknown.value.connectable) == ("unknown", False)


async def test_what_the_config_lacks_is_told_and_not_asked_of_people() -> None:
    entry = {"type": "bearer", "token": "{env.NOT_SET_ANYWHERE}"}
    async with book_of({"crm": entry, "google": {}}, "[NOT_SET_ANYWHERE]") as (book, _):
        for name in ("crm", "google:drive"):
            lack = await book.lack(name, ALICE)
            assert lack is not None
            assert (lack.reason, lack.connectable) == ("unconfigured", False)


@pytest.mark.parametrize(("given", "why"), [("", "needs token"), ("t0ken\n", "is there a line break at its end")])
async def test_an_empty_or_broken_secret_of_env_is_never_sent(
    monkeypatch: pytest.MonkeyPatch, given: str, why: str
) -> None:
    monkeypatch.setenv("CRM_TOKEN", given)
    async with book_of({"crm": {"type": "bearer", "token": "{env.CRM_TOKEN}"}}, "[CRM_TOKEN]") as (book, _):
        with pytest.raises(NotConnected) as refused:
            await book.credentials("crm", ALICE)
    assert (refused.value.reason, why in (refused.value.why or "")) == ("unconfigured", True)
    assert "t0ken" not in repr(vars(refused.value))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"type": "bearer"}, "type bearer needs token"),
        ({"type": "basic", "username": "x"}, "type basic needs password"),
        ({"type": "hmac", "secret": "x", "token": "y"}, '"token" means nothing of type hmac'),
        ({"type": "api_key", "key": "x", "header": "a", "query": "b"}, "give one of header and query"),
        ({"type": "hmac", "secret": "x", "sign": ["everything"]}, '"everything" can\'t be signed'),
        ({"issuer": "id.example.com"}, "is no address"),
        ({"type": "hmac", "secret": ""}, "type hmac needs secret"),
        ({"type": "bearer", "token": ""}, "type bearer needs token"),
        ({"type": "api_key", "key": ""}, "type api_key needs key"),
        ({"type": "bearer", "token": "t\u00f6ken"}, "printable ASCII only"),
        ({"type": "api_key", "key": "x", "header": "a\u00fc"}, "printable ASCII only"),
        ({"type": "basic", "username": "a:b", "password": "c"}, "holds no colon"),
        ({"parameters": {"state": "mine"}}, "is made anew for each login"),
    ],
)
def test_an_entry_that_means_nothing_is_refused(entry: Mapping[str, Any], told: str) -> None:
    text = f"connections: {{crm: {dict(entry)!r}}}\nworkflows: {{}}".replace("'", '"')
    with pytest.raises(DefinitionError, match=told):
        load_text(text)
