"""The key that seals tokens: from the environment, from the keyring of the system, and another one from today on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import NoKeyringError

from agentflow.credentials import NotConnected
from agentflow.engine.assembly import sealer_of
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow.requirements.connections.oauth import Answer
from agentflow.sealing import new_key
from tests.connections.people import Person, Provider
from tests.connections.test_flows import ALICE, answers, book_of, signed_in

pytestmark = pytest.mark.anyio


class InMemory(KeyringBackend):
    """A keyring that forgets."""

    priority = 1.0  # pyright: ignore[reportAssignmentType] the package computes it by a property of its own

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Missing(InMemory):
    """No keyring, as on a server."""

    def get_password(self, service: str, username: str) -> str | None:
        raise NoKeyringError("no recommended backend was available")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> InMemory:
    ring = InMemory()
    monkeypatch.setattr(keyring.core, "_keyring_backend", ring)
    return ring


def test_the_key_is_kept_in_the_keyring_where_that_is_asked_for(own: InMemory) -> None:
    sealed = sealer_of({"AGENTFLOW_KEY": "keyring"}, None).seal(b"x", purpose="p", owner="o")
    assert sealer_of({"AGENTFLOW_KEY": "keyring"}, None).open(sealed, purpose="p", owner="o") == b"x"
    assert list(own.kept) == [("agentflow", "sealing key")]


def test_a_machine_without_a_keyring_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.core, "_keyring_backend", Missing())
    with pytest.raises(AgentflowError) as refused:
        sealer_of({"AGENTFLOW_KEY": "keyring"}, None).seal(b"x", purpose="p", owner="o")
    assert (refused.value.code, refused.value.why) == ("AF-SEAL-KEY", "no recommended backend was available")
    assert "AGENTFLOW_KEY=" in (refused.value.hint or "")


async def test_tokens_are_sealed_anew_with_a_new_key_when_they_are_used(
    tmp_path: Path, server: Provider, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old, new = tmp_path / "runs.db", new_key(), new_key()
    monkeypatch.setenv("AGENTFLOW_KEY", old)
    async with book_of(path, server) as (book, _):
        await signed_in(book, alice)
        value = (await book.credentials("google", ALICE)).value
    monkeypatch.setenv("AGENTFLOW_KEY", f"{new},{old}")
    async with book_of(path, server) as (book, _):
        assert (await book.credentials("google", ALICE)).value == value
    monkeypatch.setenv("AGENTFLOW_KEY", new)
    async with book_of(path, server) as (book, _):
        assert await answers(server, await book.credentials("google", ALICE)) == 200
    monkeypatch.setenv("AGENTFLOW_KEY", old)
    async with book_of(path, server) as (book, _):
        with pytest.raises(NotConnected) as sealed:
            await book.credentials("google", ALICE)
    assert (sealed.value.connectable, sealed.value.why) == (True, "its tokens were sealed with another key")


async def test_a_process_with_another_newest_key_takes_no_tokens_from_one_that_fetches_them(
    tmp_path: Path, server: Provider, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old, new = tmp_path / "runs.db", new_key(), new_key()
    monkeypatch.setenv("AGENTFLOW_KEY", f"{old},{new}")
    async with book_of(path, server) as (first, clock):
        await signed_in(first, alice)
        monkeypatch.setenv("AGENTFLOW_KEY", f"{new},{old}")
        async with book_of(path, server) as (second, _):
            asked = first.server(first.settings.of("google"))
            refresh = asked.refresh

            async def while_other_uses_it(token: str) -> Answer:
                answer = await refresh(token)
                await second.credentials("google", ALICE)
                return answer

            monkeypatch.setattr(asked, "refresh", while_other_uses_it)
            clock.advance(4000)
            assert await answers(server, await first.credentials("google", ALICE)) == 200
            assert await answers(server, await second.credentials("google", ALICE)) == 200


async def test_tokens_open_for_nobody_but_whom_they_were_sealed_for(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    path = tmp_path / "runs.db"
    async with book_of(path, server) as (book, _):
        await signed_in(book, alice)
    with closing(sqlite3.connect(path)) as db, db:  # whoever can write into the database gives them to Bob
        db.execute("UPDATE tokens SET owner = 'bob'")

    async with book_of(path, server) as (book, _):
        with pytest.raises(NotConnected) as other:
            await book.credentials("google", Principal("bob"))
    assert other.value.reason == "not connected"
