"""Tokens of connections, and logins: each owner's own, and each answer once."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from agentflow.principal import LOCAL, Principal
from agentflow.store.contract import Store
from agentflow.vault import Held, Login, Spot

ALICE, BOB = Spot("desk", "", "alice", "google"), Spot("desk", "", "bob", "google")
HELD = Held(ALICE, "sealed", ("drive",), "alice@example.com", 100.0, refreshable=True)


def _login(key: str, expires_at: float = 100.0) -> Login:
    return Login(key, ALICE, ("drive",), "sealed", "wait-1", 1.0, expires_at)


class VaultSuite:
    """A vault."""

    async def test_tokens_are_of_one_owner_connection_and_agent(self, store: Store) -> None:
        await store.vault.keep(HELD)
        assert await store.vault.held(ALICE) == HELD._replace(version=1)
        for other in (BOB, ALICE._replace(connection="github"), ALICE._replace(tenant="x"), ALICE._replace(agent="y")):
            assert await store.vault.held(other) is None
        await store.vault.keep(HELD._replace(spot=BOB))
        assert [each.spot for each in await store.vault.all_held("desk", LOCAL)] == [ALICE, BOB]
        assert [each.spot for each in await store.vault.all_held("desk", Principal("bob"))] == [BOB]
        assert await store.vault.all_held("other", LOCAL) == []

    async def test_tokens_replace_only_the_version_that_was_expected(self, store: Store) -> None:
        assert await store.vault.keep(HELD, expect=1) is None
        await store.vault.keep(HELD)
        second = await store.vault.keep(HELD._replace(sealed="second"), expect=1)
        assert second is not None
        assert (second.version, second.sealed) == (2, "second")
        assert await store.vault.keep(HELD._replace(sealed="late"), expect=1) is None
        assert await store.vault.held(ALICE) == second
        assert await store.vault.drop(ALICE) == second
        assert await store.vault.drop(ALICE) is None

    async def test_one_at_a_time_fetches_tokens_anew_and_the_dead_keep_nobody_from_it(self, store: Store) -> None:
        vault = store.vault
        assert await vault.claim(ALICE, "a", 1.0, 10.0) is None
        await vault.keep(HELD)
        assert await vault.claim(ALICE, "a", 1.0, 10.0) is not None
        assert await vault.claimed_by(ALICE, 2.0) == "a"
        assert await vault.claim(ALICE, "b", 2.0, 10.0) is None
        assert await vault.claim(ALICE, "b", 2.0, 10.0, dead=["a"]) is not None
        assert await vault.claim(ALICE, "c", 10.0, 20.0) is not None, "its time is over"
        await vault.unclaim(ALICE, "b")
        assert await vault.claimed_by(ALICE, 11.0) == "c", "it isn't b's to give back"
        await vault.unclaim(ALICE, "c")
        assert await vault.claimed_by(ALICE, 11.0) is None
        assert await vault.claim(ALICE, "a", 11.0, 20.0) is not None
        await vault.keep(HELD)
        assert await vault.claimed_by(ALICE, 12.0) is None, "who keeps new ones has done"

    async def test_the_answer_of_a_login_is_taken_once(self, store: Store) -> None:
        vault = store.vault
        await vault.begin(_login("k"), 1.0)
        assert await vault.login("k") == _login("k")
        assert await vault.take("k", 2.0) == _login("k")._replace(taken_at=2.0)
        assert await vault.take("k", 3.0) is None
        assert await vault.take("unknown", 3.0) is None
        await vault.settle("k", '{"scopes":[]}')
        told = await vault.login("k")
        assert told is not None
        assert (told.outcome, told.sealed) == ('{"scopes":[]}', "")

    async def test_logins_that_are_long_over_are_forgotten(self, store: Store) -> None:
        await store.vault.begin(_login("old"), 1.0)
        await store.vault.begin(_login("new", 1e6), 100.0 + 24 * 3600 + 1)
        assert await store.vault.login("old") is None
        assert await store.vault.login("new") is not None
