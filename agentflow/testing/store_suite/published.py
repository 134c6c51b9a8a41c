"""Published events: who gets which one, decided in the transaction that stores it or opens the wait."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from typing import Any

import pytest

from agentflow.store.contract import Store
from agentflow.store.rows import RunChange
from agentflow.store.views import PurgeQuery
from agentflow.testing.store_suite.builders import (
    OVER,
    ending,
    fresh,
    listening,
    new_run,
    start,
    start_child,
    text_id,
)


async def _heard(store: Store, *names: str) -> list[object]:
    """Return the numbers of the events that waits got; None for a wait that is open or was closed."""
    found: list[object] = []
    for name in names:
        view = await store.get_task(text_id(name))
        assert view is not None
        found.append(None if view.answer is None else view.answer["value"]["n"])
    return found


async def _published(store: Store, count: int, topic: str = "paid") -> None:
    for n in range(count):
        await store.publish(topic, {"n": n, "even": n % 2 == 0}, None, 110.0 + n)


class EventSuite:
    """Published events and waits for them."""

    async def test_an_event_reaches_every_wait_that_wants_it(self, store: Store) -> None:
        keys = [await start(store, f"r{n}") for n in range(4)]
        await store.commit([listening(keys[0], "w0", "paid", {"order": 7}), listening(keys[1], "w1", "paid")])
        await store.commit([listening(keys[2], "w2", "paid", {"order": 8}), listening(keys[3], "w3", "sent")])
        assert await store.publish("paid", {"order": 7, "sum": 9}, None, 110.0) == (2, ["host-a"])
        view = await store.get_task(text_id("w0"))
        assert view is not None
        assert (view.task.state, view.answer) == ("completed", {"value": {"order": 7, "sum": 9}})
        assert [(row.run, row.kind, row.task) for _, row in await store.inbox()] == [
            (keys[0], "answer", text_id("w0")),
            (keys[1], "answer", text_id("w1")),
        ]
        assert [event.type for event in await store.events(text_id("r0"))][-1] == "step_resumed"
        assert await store.publish("paid", {"order": 7}, None, 111.0) == (0, [])
        assert await store.publish("other", {"order": 7}, None, 112.0) == (0, [])

    @pytest.mark.parametrize(
        ("wanted", "gets"),
        [
            (None, True),
            ({"order": {"id": 7}}, True),
            ({"order.id": 7, "paid": True}, True),
            ({"order.id": 7, "paid": 1}, False),
            ("event.order.id > 5 && event.paid", True),
            ("event.order.id > 7", False),
            ("event.gone == 1", False),
        ],
    )
    async def test_a_filter_is_data_that_means_the_same_before_and_after(
        self, store: Store, wanted: Any, gets: bool
    ) -> None:
        """A mapping of values, or a condition: for an event that comes, and for one that was there."""
        one, two = await start(store, "r1"), await start(store, "r2")
        await store.commit([listening(one, "w1", "paid", wanted)])
        assert (await store.publish("paid", {"order": {"id": 7}, "paid": True}, None, 110.0))[0] == gets
        await store.commit([listening(two, "w2", "paid", wanted)])
        views = [await store.get_task(text_id(name)) for name in ("w1", "w2")]
        assert [view.answer is not None for view in views if view] == [gets, gets]

    async def test_a_repeated_event_reaches_nobody(self, store: Store) -> None:
        one = await start(store, "r1")
        await store.commit([listening(one, "w1", "paid")])
        assert (await store.publish("paid", {}, "e1", 110.0))[0] == 1
        two = await start(store, "r2")
        await store.commit([listening(two, "w2", "paid", since=200.0)])
        assert await store.publish("paid", {}, "e1", 210.0) == (0, [])
        assert (await store.publish("paid", {}, "e2", 211.0))[0] == 1

    async def test_a_clock_set_back_hides_no_event_from_a_run_that_began_before_it(self, store: Store) -> None:
        key = await start(store, "r1", created_at=5000.0)
        await store.commit([listening(key, "w1", "paid", since=None)])
        assert (await store.publish("paid", {"n": 1}, "e1", 1400.0))[0] == 1
        await store.publish("paid", {"n": 2}, "e2", 1401.0)
        await store.commit([listening(key, "w2", "paid", since=5000.0, n=1)])
        assert await _heard(store, "w1", "w2") == [1, 2]

    async def test_a_wait_sees_events_that_were_published_since_its_time(self, store: Store) -> None:
        """Matched in the transaction that opens the wait: the wait, its answer and the command appear together."""
        for n, at in enumerate((50.0, 100.0, 150.0)):
            await store.publish("paid", {"n": n}, f"e{n}", at)
        key = await start(store, "r1")
        await store.commit([listening(key, "w1", "paid", since=100.0)])
        view = await store.get_task(text_id("w1"))
        assert view is not None
        assert (view.task.state, view.answer) == ("completed", {"value": {"n": 1}})
        kinds = [(event.type, event.task_id, event.generation) for event in await store.events(text_id("r1"), after=1)]
        assert kinds == [("step_waiting", text_id("w1"), 1), ("step_resumed", text_id("w1"), 2)]
        ((_, row),) = await store.inbox([key])
        assert row.data["answer"] == {"value": {"n": 1}}
        await store.commit([listening(key, "w2", "paid", since=151.0, n=1)])
        await store.commit([listening(key, "w3", "paid", {"n": 2}, since=0.0, n=2)])
        views = [await store.get_task(text_id(name)) for name in ("w2", "w3")]
        assert [view.answer for view in views if view] == [None, {"value": {"n": 2}}]

    async def test_a_wait_that_was_closed_hears_nothing(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([listening(key, "w1", "paid")])
        await store.commit([RunChange(key, key, 1, close_tasks=[(text_id("w1"), "canceled", None)])])
        assert await store.publish("paid", {}, None, 110.0) == (0, [])
        await store.commit([listening(key, "w2", "paid")])
        await store.answer(text_id("w2"), {"value": 1}, by="ann", door="cli", message_id=None, at=120.0)
        assert (await store.publish("paid", {}, None, 111.0))[0] == 0

    async def test_a_refused_change_opens_no_wait(self, store: Store) -> None:
        """The wait, its task and its events are one: all visible, or none."""
        key = await start(store, "r1")
        stale = listening(key, "w1", "paid")
        stale.epoch = 7
        await store.commit([stale])
        assert await store.get_task(text_id("w1")) is None
        assert await store.publish("paid", {}, None, 110.0) == (0, [])

    async def test_waits_of_a_tree_that_follow_each_other_get_successive_events(self, store: Store) -> None:
        root = await start(store, "r1")
        await _published(store, 3)
        child = await start_child(store, "c1", root, root)
        for n, run in enumerate((root, child, root, child)):
            await store.commit([listening(run, f"w{n}", "paid", since=None, n=n, root=root)])
        assert await _heard(store, "w0", "w1", "w2", "w3") == [0, 1, 2, None]
        assert (await store.publish("paid", {"n": 3}, None, 120.0))[0] == 1
        await store.commit([listening(root, "w4", "paid", since=None, n=4)])
        assert await _heard(store, "w3", "w4") == [3, None]

    async def test_another_tree_gets_the_same_events(self, store: Store) -> None:
        keys = [await start(store, f"r{n}") for n in range(2)]
        await _published(store, 2)
        for n in range(4):
            await store.commit([listening(keys[n % 2], f"w{n}", "paid", since=None, n=n)])
        assert await _heard(store, "w0", "w1", "w2", "w3") == [0, 0, 1, 1]

    async def test_waits_of_a_tree_that_are_open_together_get_the_same_event(self, store: Store) -> None:
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        await _published(store, 1)
        both = [listening(root, "w0", "paid", since=None), listening(child, "w1", "paid", since=None, root=root)]
        await store.commit(both)
        assert await _heard(store, "w0", "w1") == [0, 0]
        for n in (2, 3):
            await store.commit([listening(root, f"w{n}", "paid", since=None, n=n)])
        assert await store.publish("paid", {"n": 1}, None, 120.0) == (2, ["host-a"])
        await store.commit([listening(root, "w4", "paid", since=None, n=4)])
        assert await _heard(store, "w2", "w3", "w4") == [1, 1, None]

    async def test_a_wait_gets_the_earliest_event_that_fits_and_was_not_taken(self, store: Store) -> None:
        root = await start(store, "r1")
        await _published(store, 5)
        odd = {"even": False}
        wanted = (odd, None, {"n": 4}, None, odd, None)
        for n, filter_ in enumerate(wanted):
            await store.commit([listening(root, f"w{n}", "paid", filter_, None, n)])
        assert await _heard(store, *(f"w{n}" for n in range(6))) == [1, 0, 4, 2, 3, None]

    async def test_a_wait_that_ends_otherwise_takes_nothing(self, store: Store) -> None:
        root = await start(store, "r1")
        await store.commit([listening(root, "w0", "paid", since=None)])
        await store.commit([RunChange(root, root, 1, close_tasks=[(text_id("w0"), "canceled", "timed out")])])
        await store.commit([listening(root, "w1", "paid", since=None, n=1)])
        await store.answer(text_id("w1"), {"decline": "no"}, by="ann", door="cli", message_id=None, at=105.0)
        await _published(store, 1)
        await store.commit([listening(root, "w2", "paid", since=None, n=2)])
        assert await _heard(store, "w2") == [0]

    async def test_an_event_whose_wait_was_closed_before_its_step_heard_of_it_is_for_the_next(
        self, store: Store
    ) -> None:
        """The holder closes a wait in the same moment: it hasn't read the command that carries the event."""
        root = await start(store, "r1")
        await store.commit(
            [listening(root, "w0", "paid", since=None), listening(root, "w1", "paid", {"n": 0}, None, 1)]
        )
        await _published(store, 2)
        await store.commit([listening(root, "w2", "paid", since=None, n=2)])
        assert await _heard(store, "w0", "w1", "w2") == [0, 0, 1]
        for n in (0, 1):
            await store.commit([RunChange(root, root, 1, close_tasks=[(text_id(f"w{n}"), "canceled", "timed out")])])
        await store.commit([listening(root, "w3", "paid", since=None, n=3)])
        await store.commit([listening(root, "w4", "paid", since=None, n=4)])
        assert await _heard(store, "w3", "w4") == [0, None]

    async def test_a_wait_hears_from_the_creation_of_its_root_on_whatever_the_clocks_say(self, store: Store) -> None:
        await store.publish("paid", {"n": 0}, None, 9000.0)
        root = await start(store, "r1", created_at=5000.0)
        await store.publish("paid", {"n": 1}, None, 10.0)
        child = await start_child(store, "c1", root, root, created_at=6000.0)
        await store.commit([listening(child, "w0", "paid", since=None, root=root)])
        assert await _heard(store, "w0") == [1]

    async def test_a_run_that_begins_with_a_wait_hears_nothing_from_before(self, store: Store) -> None:
        await _published(store, 2)
        keys = [await fresh(store), await fresh(store)]
        for n, since in enumerate((None, 111.0)):
            begun = listening(keys[n], f"w{n}", "paid", since=since)
            begun.create = new_run(f"r{n}")
            assert list(await store.commit([begun])) == []
        assert await _heard(store, "w0", "w1") == [None, 1]

    async def test_an_owners_events_answer_its_own_waits_only(self, store: Store) -> None:
        keys = [await start(store, f"r{n}", owner=owner) for n, owner in enumerate(("ann", "bob"))]
        await store.commit(
            [listening(keys[0], "w0", "paid", owner="ann"), listening(keys[1], "w1", "paid", owner="bob")]
        )
        assert (await store.publish("paid", {"n": 0}, "e", 110.0, owner="bob"))[0] == 1
        assert await _heard(store, "w0", "w1") == [None, 0]
        assert (await store.publish("paid", {"n": 1}, "e", 111.0, owner="ann"))[0] == 1
        assert (await store.publish("paid", {"n": 2}, "e", 112.0, owner="ann"))[0] == 0
        await store.publish("paid", {"n": 3}, None, 113.0, owner="bob")
        await store.commit([listening(keys[0], "w2", "paid", n=1, owner="ann")])
        assert await _heard(store, "w0", "w2") == [1, None]

    async def test_a_tree_whose_wait_is_answered_at_once_is_not_released(self, store: Store) -> None:
        root = await start(store, "r1")
        await _published(store, 1)
        stays, parks = listening(root, "w0", "paid", since=None), listening(root, "w1", "paid", since=None, n=1)
        stays.release = parks.release = True
        await store.commit([stays])
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (stays.stays, run.holder, run.epoch) == (True, "host-a", 1)
        await store.commit([parks])
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (parks.stays, run.holder, run.epoch) == (False, None, 1)

    async def test_what_a_tree_has_taken_goes_with_it(self, store: Store) -> None:
        """The next run with its number of events, of its own store's making, gets them all."""
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        await _published(store, 2)
        await store.commit([listening(child, "w0", "paid", since=None, root=root)])
        await store.commit([ending(child, root), ending(root, root)])
        assert await store.purge(PurgeQuery(1000.0, 0.0, OVER)) == 1
        again = await start(store, "r1")
        await _published(store, 1)
        await store.commit([listening(again, "w0", "paid", since=None)])
        assert await _heard(store, "w0") == [0]
