"""Receivers of tasks' changes: one sender at a time, none forgotten, each with its place in the log."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from agentflow.principal import Principal
from agentflow.store.contract import Store
from agentflow.store.outbox import Push, PushQuery
from agentflow.store.rows import RunChange
from agentflow.store.views import PurgeQuery
from agentflow.testing.store_suite.builders import OVER, bump, ending, parked, start, text_id, wait_task

NOW = 1000.0
AGENTS = ("", "desk")


def _push(task: str = "r1", name: str = "one", **fields: object) -> Push:
    made = Push(text_id(task), name, "", "local", "desk", "https://example.com", "sealed", 0, 100.0, 100.0)
    return made._replace(**fields)


async def _put(store: Store, push: Push) -> Push:
    kept = await store.outbox.put(push)
    assert kept is not None
    return kept


async def _claim(store: Store, now: float = NOW) -> list[Push]:
    found = await store.outbox.waiting(now, AGENTS, (), None)
    return await store.outbox.claim([push.key for push in found], ())


async def _names(store: Store, now: float = NOW, **options: object) -> list[str]:
    asked: dict[str, object] = {"agents": AGENTS, "dead": (), "runs": None, **options}
    return [push.id for push in await store.outbox.waiting(now, **asked)]  # pyright: ignore[reportArgumentType]  shorter calls


class OutboxSuite:
    """What receivers are in a store."""

    async def test_a_receiver_is_kept_and_found_by_its_task_its_owner_and_its_state(self, store: Store) -> None:
        key = await start(store, "r1")
        one = await _put(store, _push())
        other = await _put(store, _push(name="two", owner="kim"))
        assert (one.task_id, one.run, one.state, one.tries, one.generation) == (text_id("r1"), key, "active", 0, 0)
        assert await store.outbox.pushes(PushQuery()) == [one, other]
        assert await store.outbox.pushes(PushQuery(principal=Principal("kim"))) == [other]
        assert await store.outbox.pushes(PushQuery(principal=Principal("kim", "elsewhere"))) == []
        assert await store.outbox.pushes(PushQuery(text_id("r1"), "one", ("active",))) == [one]
        assert await store.outbox.pushes(PushQuery(text_id("r2"))) == []
        assert await store.outbox.pushes(PushQuery(states=("failed", "done"))) == []
        assert await store.outbox.pushes(PushQuery(after=one.key, limit=1)) == [other]

    async def test_there_is_none_of_a_task_that_isnt_there(self, store: Store) -> None:
        assert await store.outbox.put(_push("nobody")) is None
        assert await store.outbox.pushes(PushQuery()) == []

    async def test_one_with_the_same_id_takes_its_place_and_keeps_its_place_in_the_log(self, store: Store) -> None:
        await start(store, "r1")
        first = await _put(store, _push())
        (claimed,) = await _claim(store)
        assert await store.outbox.settle(
            claimed._replace(generation=1, tries=3, state="failed", error="no"), release=True
        )
        again = await _put(store, _push(sealed="other", place="https://example.org", due=NOW))
        assert (again.key, again.generation, again.sealed, again.place) == (
            first.key,
            1,
            "other",
            "https://example.org",
        )
        assert (again.state, again.tries, again.error, again.due) == ("active", 0, None, NOW)
        other = await _put(store, _push(owner="kim"))  # of another owner it is another one
        assert other.key != first.key

    async def test_who_has_replaced_one_takes_it_from_whoever_sends(self, store: Store) -> None:
        await start(store, "r1")
        await _put(store, _push())
        (claimed,) = await _claim(store)
        await _put(store, _push(sealed="other"))
        assert not await store.outbox.settle(claimed._replace(generation=1), release=True)
        (found,) = await store.outbox.pushes(PushQuery())
        assert (found.generation, found.sealed) == (0, "other")

    async def test_a_new_one_is_looked_at_once_then_when_its_task_changes(self, store: Store) -> None:
        key = await start(store, "r1")
        await _put(store, _push())
        (claimed,) = await _claim(store)
        assert await store.outbox.settle(claimed._replace(generation=1, due=None), release=True)
        assert await _names(store) == []
        await store.commit([RunChange(key, key, 1, events=[bump("run_status")])])
        assert await _names(store) == ["one"]
        assert await _names(store, runs=[key]) == ["one"]
        assert await _names(store, runs=[key + 1]) == []
        assert await _names(store, agents=("other",)) == []
        assert await store.outbox.runs(AGENTS) == {key: 1}
        assert await store.outbox.runs(("other",)) == {}

    async def test_of_a_wait_the_changes_of_the_wait_count(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([parked(key, key, wait_task(key, "w1"))])
        await _put(store, _push("w1"))
        (claimed,) = await _claim(store)
        assert await store.outbox.settle(claimed._replace(generation=1, due=None), release=True)
        assert await _names(store) == []
        done = await store.answer(text_id("w1"), {"value": 1}, by="kim", door="api", message_id=None, at=150.0)
        assert done.outcome == "accepted"
        assert await _names(store) == ["one"]

    async def test_one_that_has_to_wait_isnt_looked_at_before_its_time(self, store: Store) -> None:
        key = await start(store, "r1")
        await _put(store, _push())
        (claimed,) = await _claim(store)
        later = claimed._replace(due=NOW + 60, tries=1, error="HTTP 500")
        assert await store.outbox.settle(later, release=True)
        await store.commit([RunChange(key, key, 1, events=[bump("run_status")])])
        assert await _names(store) == []
        assert await store.outbox.next_push(AGENTS) == NOW + 60
        assert await _names(store, now=NOW + 60) == ["one"]
        (found,) = await store.outbox.pushes(PushQuery())
        assert (found.tries, found.error) == (1, "HTTP 500")

    async def test_what_came_while_it_was_sent_to_isnt_forgotten(self, store: Store) -> None:
        key = await start(store, "r1")
        await _put(store, _push())
        (claimed,) = await _claim(store)
        await store.commit([RunChange(key, key, 1, events=[bump("run_status")])])
        assert await store.outbox.settle(claimed._replace(generation=1, due=None), release=True)
        assert await _names(store) == ["one"]
        assert (await store.outbox.next_push(AGENTS) or 0) <= NOW

    async def test_one_sender_at_a_time_until_it_is_dead(self, store: Store) -> None:
        await start(store, "r1", holder="a")
        await _put(store, _push())
        (claimed,) = await _claim(store)
        assert await store.outbox.settle(claimed._replace(generation=1), release=False)
        store.holder = "b"
        assert await _names(store) == []
        assert await store.outbox.claim([claimed.key], ()) == []
        assert not await store.outbox.settle(claimed._replace(generation=2), release=True)
        assert await store.outbox.senders(AGENTS) == {"a"}
        assert await _names(store, dead=("a",)) == ["one"]
        (taken,) = await store.outbox.claim([claimed.key], ("a",))
        assert taken.generation == 1
        assert await store.outbox.senders(AGENTS) == {"b"}
        store.holder = "a"  # it wasn't dead after all, and learns it
        assert not await store.outbox.settle(claimed._replace(generation=2), release=False)

    async def test_one_that_has_failed_goes_on_when_somebody_says_so(self, store: Store) -> None:
        await start(store, "r1")
        await _put(store, _push())
        (claimed,) = await _claim(store)
        assert await store.outbox.settle(
            claimed._replace(state="failed", tries=9, error="HTTP 410", due=None), release=True
        )
        assert await _names(store) == []
        assert await store.outbox.revive(PushQuery(principal=Principal("kim")), NOW) == []
        (again,) = await store.outbox.revive(PushQuery(text_id("r1")), NOW)
        assert (again.state, again.tries, again.error, again.generation) == ("active", 0, "HTTP 410", 0)
        assert await _names(store) == ["one"]
        assert await store.outbox.revive(PushQuery(), NOW) == []

    async def test_one_that_is_done_rests_and_goes_with_its_run(self, store: Store) -> None:
        key = await start(store, "r1")
        await start(store, "r2")
        await _put(store, _push())
        await _put(store, _push("r2"))
        await store.commit([ending(key, key)])
        (claimed, _) = await _claim(store)
        assert await store.outbox.settle(claimed._replace(state="done", generation=2, due=None), release=True)
        assert [push.state for push in await store.outbox.pushes(PushQuery())] == ["done", "active"]
        assert await store.purge(PurgeQuery(NOW, 0.0, OVER)) == 1
        assert [push.task_id for push in await store.outbox.pushes(PushQuery())] == [text_id("r2")]

    async def test_one_that_is_dropped_is_nobodys_to_send_to(self, store: Store) -> None:
        await start(store, "r1")
        kept = await _put(store, _push())
        (claimed,) = await _claim(store)
        await store.outbox.drop([kept.key, 4711])
        assert await store.outbox.pushes(PushQuery()) == []
        assert not await store.outbox.settle(claimed._replace(generation=1), release=True)
