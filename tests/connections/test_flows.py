"""Signing in, against a real authorization server: by a browser, by a device's code, by the client itself."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentflow.config import Config
from agentflow.config.load import load_text
from agentflow.credentials import Credentials, NotConnected
from agentflow.data import encode
from agentflow.engine.engine import Engine
from agentflow.errors import AgentflowError, StepError
from agentflow.extras import installing
from agentflow.principal import Principal
from agentflow.requirements.connections.book import ConnectionBook
from agentflow.requirements.connections.logins import Finished, Pending
from agentflow.testing.clock import FakeClock
from tests.connections.people import Person, Provider, client, query_of

pytestmark = pytest.mark.anyio
ALICE, BOB = Principal("alice"), Principal("bob")
BACK = "http://127.0.0.1:49152/callback"
DRIVE = "drive.readonly"


def config_of(connections: Mapping[str, Any]) -> Config:
    return load_text(f"name: desk\nconnections: {encode(dict(connections)).decode()}\nworkflows: {{}}\n")


@asynccontextmanager
async def book_of(
    store: str | Path, server: Provider, client: str = "desk", **more: Any
) -> AsyncGenerator[tuple[ConnectionBook, FakeClock]]:
    config, clock = config_of({"google": server.connection(client, **more)}), FakeClock(auto=False)
    async with Engine.open(store, config=config, clock=clock, host="none") as engine:
        yield engine.core.env.book, clock


async def signed_in(
    book: ConnectionBook, person: Person, principal: Principal = ALICE, scopes: tuple[str, ...] = (DRIVE,)
) -> Finished:
    pending = await book.begin("google:drive", principal, scopes=scopes, redirect=BACK)
    back = await person.consents(pending.url)
    return await book.finish(pending.state, query_of(back))


async def answers(server: Provider, credentials: Credentials) -> int:
    async with client() as browser:
        return (await browser.get(f"{server.issuer}/me", headers=dict(credentials.headers))).status_code


async def test_a_browser_signs_in_by_a_code_and_its_proof(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        with pytest.raises(NotConnected) as before:
            await book.credentials("google:drive", ALICE, scopes=[DRIVE])
        pending = await book.begin("google:drive", ALICE, scopes=[DRIVE], redirect=BACK)
        asked = query_of(pending.url)
        finished = await book.finish(pending.state, query_of(await alice.consents(pending.url)))
        credentials = await book.credentials("google:drive", ALICE, scopes=[DRIVE])
        assert await answers(server, credentials) == 200
        (line,) = await book.lines(ALICE)
    assert before.value.reason == "not connected"
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert (finished.account, finished.lacking) == ("alice@example.com", ())
    assert DRIVE in finished.scopes
    assert (line.name, line.state, line.account, line.refreshable) == (
        "google", "connected", "alice@example.com", True,
    )  # fmt: skip


async def test_an_answer_counts_once_and_is_told_again_what_came_of_it(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    path = tmp_path / "runs.db"
    async with book_of(path, server) as (book, _):
        pending = await book.begin("google", ALICE, redirect=BACK, wait="run-1")
    async with book_of(path, server) as (book, _):  # the process that began is gone
        back = query_of(await alice.consents(pending.url))
        first = await book.finish(pending.state, back)
        counted = server.counts()
        second = await book.finish(pending.state, back)
        third = await book.finish(pending.state, {"error": "access_denied"})
    assert (first.wait, first.again, second.again) == ("run-1", False, True)
    assert first._replace(again=True) == second == third
    assert server.counts() == counted


async def test_who_refuses_is_told_so_and_gets_nothing(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        pending = await book.begin("google", ALICE, scopes=[DRIVE], redirect=BACK)
        back = query_of(await alice.consents(pending.url, refuses=True))
        for _ in range(2):  # the page may be loaded again
            with pytest.raises(AgentflowError) as refused:
                await book.finish(pending.state, back)
            assert refused.value.code == "AF-AUTH-DENIED"
            assert refused.value.what == "google refused: access_denied"
        with pytest.raises(NotConnected):
            await book.credentials("google", ALICE)


async def _spoiled(pending: Pending, back: dict[str, str], how: str) -> tuple[str, dict[str, str], str | None]:
    if how == "forged":
        return "made-up-state", back, "mine"
    if how == "issuer":
        return pending.state, {**back, "iss": "https://evil.example.com"}, "mine"
    return pending.state, back, {"browser": "another", "none": None}[how]


@pytest.mark.parametrize("how", ["forged", "issuer", "browser", "none"])
async def test_an_answer_that_nobody_asked_for_is_refused(
    tmp_path: Path, server: Provider, alice: Person, how: str
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        pending = await book.begin("google", ALICE, redirect=BACK, browser="mine")
        back = query_of(await alice.consents(pending.url))
        state, query, browser = await _spoiled(pending, back, how)
        with pytest.raises(AgentflowError) as refused:
            await book.finish(state, query, browser=browser)
        assert refused.value.code == "AF-AUTH-STATE"
        assert (await book.finish(pending.state, back, browser="mine")).account, "the right one still counts"


async def test_a_login_is_over_after_its_time(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        pending = await book.begin("google", ALICE, redirect=BACK, lifetime=300)
        back = query_of(await alice.consents(pending.url))
        clock.advance(301)
        with pytest.raises(AgentflowError) as over:
            await book.finish(pending.state, back)
    assert over.value.code == "AF-AUTH-TIMEOUT"


async def test_fewer_permissions_than_asked_are_told_and_those_there_are_serve(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server, "narrow") as (book, _):
        finished = await signed_in(book, alice, scopes=(DRIVE, "drive.write"))
        assert finished.lacking == ("drive.write",)
        assert (await book.credentials("google:drive", ALICE, scopes=[DRIVE])).value
        with pytest.raises(NotConnected) as lacks:
            await book.credentials("google:drive", ALICE, scopes=[DRIVE, "drive.write"])
        lack = await book.lack("google:drive", ALICE, ["drive.write"])
    assert (lacks.value.reason, lacks.value.scopes, lacks.value.connectable) == ("scopes", ("drive.write",), True)
    assert lack is not None
    assert lack.reason == "scopes"


async def test_a_device_asks_until_its_code_was_entered(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        pending = await book.begin("google", ALICE, scopes=[DRIVE])
        assert pending.user_code is not None
        assert await book.poll(pending.state) == pending.interval
        await alice.enters(pending.url, pending.user_code)
        finished = await book.poll(pending.state)
        assert isinstance(finished, Finished)
        assert (finished.account, finished.lacking) == ("alice@example.com", ())
        assert await answers(server, await book.credentials("google", ALICE, scopes=[DRIVE])) == 200
        assert await book.poll(pending.state) == finished._replace(again=True)


async def test_a_device_hears_that_somebody_refused(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        pending = await book.begin("google", ALICE)
        await alice.enters(pending.url, pending.user_code or "", refuses=True)
        for _ in range(2):
            with pytest.raises(AgentflowError) as refused:
                await book.poll(pending.state)
            assert refused.value.code == "AF-AUTH-DENIED"


async def test_tokens_are_fetched_anew_before_they_end_and_the_old_ones_replaced(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        await signed_in(book, alice)
        first = await book.credentials("google", ALICE)
        assert await book.credentials("google", ALICE) == first
        for _ in range(3):  # each refresh token counts once
            clock.advance(3550)
            new = await book.credentials("google", ALICE, scopes=[DRIVE])
            assert (new.value != first.value, new.version) == (True, first.version + 1)
            assert await answers(server, new) == 200
            first = new


async def test_a_refused_token_is_fetched_anew_once_whoever_notices_first(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        await signed_in(book, alice)
        old = await book.credentials("google", ALICE)
        before = server.counts().get("refresh_token", 0)
        new = await book.rejected("google", ALICE, old)
        again = await book.rejected("google", ALICE, old)
        assert new == again
        assert new.value != old.value
        assert server.counts()["refresh_token"] == before + 1


async def test_a_token_that_was_revoked_elsewhere_is_told_and_asked_for_again(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    path = tmp_path / "runs.db"
    async with book_of(path, server) as (book, clock):
        await signed_in(book, alice)
        credentials = await book.credentials("google", ALICE)
        assert await book.logout("google", ALICE) is True
        assert await answers(server, credentials) == 401
        with pytest.raises(NotConnected) as gone:
            await book.credentials("google", ALICE)
        assert gone.value.reason == "not connected"
        assert await book.logout("google", ALICE) is None

        await signed_in(book, alice)
        held = await book.credentials("google", ALICE)
        await revoke_all(book)
        with pytest.raises(NotConnected) as expired:
            await book.rejected("google", ALICE, held)
        assert (expired.value.reason, expired.value.connectable) == ("expired", True)
        (line,) = await book.lines(ALICE)
        assert line.state == "expired"
        clock.advance(10)
        await signed_in(book, alice)
        assert await answers(server, await book.credentials("google", ALICE)) == 200


async def revoke_all(book: ConnectionBook) -> None:
    """Revoke tokens as the person would at the provider's page: agentflow doesn't hear of it."""
    from agentflow.vault import Spot  # noqa: PLC0415  one test looks so deep

    vault, safe = book._vault, book._safe  # pyright: ignore[reportPrivateUsage] as above
    held = await vault.held(Spot("desk", "", "alice", "google"))
    assert held is not None
    tokens = safe.tokens(held)
    assert tokens is not None
    settings = book.settings.of("google")
    await book.server(settings).revoke({"refresh_token": tokens.refresh_token or ""})


async def test_a_token_that_cannot_be_fetched_anew_serves_until_its_end(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server, "fleeting") as (book, clock):
        await signed_in(book, alice)
        assert (await book.credentials("google", ALICE)).value
        clock.advance(1.9)
        assert (await book.credentials("google", ALICE)).value
        clock.advance(1)
        with pytest.raises(NotConnected) as expired:
            await book.credentials("google", ALICE)
        lack = await book.lack("google", ALICE)
    assert expired.value.reason == "expired"
    assert lack is not None
    assert lack.reason == "expired"


async def test_what_alice_has_is_never_given_to_bob(
    tmp_path: Path, server: Provider, alice: Person, bob: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        await signed_in(book, alice)
        for other in (BOB, Principal("alice", tenant="elsewhere"), Principal("alice", scopes={"*"}, tenant="x")):
            with pytest.raises(NotConnected):
                await book.credentials("google", other)
        await signed_in(book, bob, BOB)
        tokens = {(await book.credentials("google", each)).value for each in (ALICE, BOB)}
        assert len(tokens) == 2
        assert [line.owner for line in await book.lines(BOB)] == ["bob"]
        await book.logout("google", BOB)
        assert (await book.credentials("google", ALICE)).value


async def test_a_client_acts_for_itself_with_one_token_for_all(tmp_path: Path, server: Provider) -> None:
    async with book_of(tmp_path / "runs.db", server, grant="client_credentials", scopes=["mail"]) as (book, clock):
        before = server.counts().get("client_credentials", 0)
        first = await book.credentials("google:mail", ALICE)
        assert (await book.credentials("google:mail", BOB)) == first
        clock.advance(595)
        second = await book.credentials("google:mail", ALICE)
        assert second.value != first.value
        assert (await book.rejected("google:mail", ALICE, second)).value != second.value
        assert server.counts()["client_credentials"] == before + 3


async def test_a_wrong_client_secret_is_the_configs_fault_and_not_told(tmp_path: Path, server: Provider) -> None:
    more: dict[str, Any] = {"grant": "client_credentials", "scopes": [], "client_secret": "wrong-secret-77"}
    async with book_of(tmp_path / "runs.db", server, **more) as (book, _):
        with pytest.raises(NotConnected) as refused:
            await book.credentials("google", ALICE)
    assert (refused.value.reason, refused.value.connectable) == ("unconfigured", False)
    assert "wrong-secret-77" not in f"{refused.value} {refused.value.why} {refused.value.hint}"


async def test_endpoints_on_this_machine_need_a_word_in_the_config(tmp_path: Path, server: Provider) -> None:
    entry = {name: value for name, value in server.connection(private=False).items() if value is not None}
    async with Engine.open(":memory:", config=config_of({"google": entry}), host="none") as engine:
        with pytest.raises(AgentflowError) as refused:
            await engine.core.env.book.begin("google", ALICE)
    assert "private" in f"{refused.value.why}"


async def test_a_token_is_sent_to_no_other_client_than_it_is_for(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    path = tmp_path / "runs.db"
    async with book_of(path, server) as (book, _):
        await signed_in(book, alice)
    async with book_of(path, server, "narrow") as (book, _):
        with pytest.raises(NotConnected) as other:
            await book.credentials("google", ALICE)
    assert (other.value.reason, other.value.why) == ("not connected", "its tokens are another client's")


async def test_without_the_package_the_extra_is_named(
    tmp_path: Path, server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "authlib.integrations.httpx_client", None)
    async with book_of(tmp_path / "runs.db", server) as (book, _):
        with pytest.raises(AgentflowError) as lacks:
            await book.begin("google", ALICE, redirect=BACK)
    assert (lacks.value.code, lacks.value.hint) == ("AF-INSTALL", installing("connections"))


async def test_a_server_that_is_down_is_told_as_what_may_pass(tmp_path: Path, server: Provider) -> None:
    async with book_of(tmp_path / "runs.db", server, issuer="http://127.0.0.1:9") as (book, _):
        with pytest.raises(StepError) as down:
            await book.begin("google", ALICE, redirect=BACK)
    assert (down.value.code, down.value.kind, down.value.retryable) == ("AF-AUTH-SERVER", "network", True)
