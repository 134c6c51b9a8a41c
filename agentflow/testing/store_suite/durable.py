"""What a store keeps over its closing, and over several processes that have it open."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Store
from agentflow.store.distri import WorkflowRecords
from agentflow.store.rows import RunChange
from agentflow.testing.store_suite.builders import (
    bump,
    fresh,
    listening,
    new_run,
    note,
    parked,
    start,
    step,
    text_id,
    wait_task,
)

Opener = Callable[[], Awaitable[Store]]


class DurableSuite:
    """Closed and opened again, or open twice."""

    async def test_everything_is_there_when_it_is_opened_again(self, opener: Opener) -> None:
        store = await opener()
        key = await start(store, "r1", labels={"a": "b"})
        await store.commit([], {"h": b"{}"})
        change = listening(key, "w1", "paid")
        change.steps = [step(key, 0, "completed", result=b'{"x":1}')]
        await store.commit([change])
        await store.publish("other", {"n": 1}, "e1", 10.0)
        before = (await store.get_run(text_id("r1")), await store.all_events(), await store.load(key))
        await store.close()
        again = await opener()
        assert (await again.get_run(text_id("r1")), await again.all_events(), await again.load(key)) == before
        assert await again.get_definition("h") == b"{}"
        assert await again.result(key, 0) == b'{"x":1}'
        assert await again.publish("other", {}, "e1", 20.0) == (0, [])
        assert await again.publish("paid", {}, None, 120.0) == (1, ["host-a"])
        assert await fresh(again) != key
        await again.close()

    async def test_steps_keep_the_order_of_their_first_insertion_where_no_event_tells_it(self, opener: Opener) -> None:
        found: list[int] = []
        for n in (2, 0, 3, 1):
            store = await opener()
            records = WorkflowRecords(store)
            if n == 2:
                await records.create_run(new_run("r1"))
            run = await records.get_run(text_id("r1"))
            assert run is not None
            await records.upsert_step(run.id, step(run.run, n))
            found = [row.n for row in await records.list_steps(run.id)]
            await store.close()
        assert found == [2, 0, 3, 1]

    async def test_opening_and_closing_may_be_repeated(self, opener: Opener) -> None:
        for _ in range(3):
            store = await opener()
            assert await store.claimable() == []
            await store.close()

    async def test_two_that_have_it_open_never_give_the_same_run_key(self, opener: Opener) -> None:
        one, two = await opener(), await opener()
        keys = [await fresh(store) for _ in range(50) for store in (one, two)]
        assert len(set(keys)) == 100
        await one.close()
        await two.close()

    async def test_a_commit_of_the_other_one_is_noticed_and_an_own_one_is_not(self, opener: Opener) -> None:
        one, two = await opener(), await opener()
        key = await start(one, "r1")
        ones, others, twos = one.changes(), one.changes(), two.changes()
        await one.commit([RunChange(key, key, 1, events=[note("a")])])
        assert (await ones.look(), await twos.look(), await twos.look()) == (False, True, False)
        await two.request(text_id("r1"), "pause", None)
        assert (await ones.look(), await ones.look(), await others.look()) == (True, False, True)
        assert [row.kind for _, row in await one.inbox()] == ["pause"]
        await one.close()
        await two.close()

    async def test_hosts_live_until_they_leave_and_are_known_by_all_that_have_it_open(self, opener: Opener) -> None:
        one, two, looking = [(await opener()).liveness for _ in range(3)]
        assert await looking.living() == set()
        await one.join("host-a")
        await two.join("host-b")
        assert await looking.living() == {"host-a", "host-b"}
        assert await two.dead(["host-a", "host-b", "host-c"]) == {"host-c"}
        await one.leave()
        assert await looking.living() == {"host-b"}
        assert await two.dead(["host-a", "host-b"]) == {"host-a"}
        await one.join("host-d")
        assert await two.dead(["host-a", "host-d"]) == {"host-a"}
        await one.leave()
        await two.leave()
        assert await looking.living() == set()

    @pytest.mark.parametrize("names", [["host-a"], None])
    async def test_a_host_hears_who_rings_it(self, opener: Opener, names: list[str] | None) -> None:
        one, two = (await opener()).liveness, (await opener()).liveness
        heard = anyio.Event()
        await one.join("host-a")
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(one.listen, heard.set)
                await anyio.wait_all_tasks_blocked()
                await two.ring(names)
                await heard.wait()
                group.cancel_scope.cancel()
        await two.ring(["host-a", "gone"])
        await one.leave()

    async def test_one_of_two_takes_a_lease_and_the_loser_learns_it(self, opener: Opener) -> None:
        one, two = await opener(), await opener()
        key = await start(one, "r1")
        await one.commit([parked(key, key, wait_task(key, "w1"))])
        two.holder = "host-b"
        taken = [await two.acquire(key), await one.acquire(key)]
        assert [tree is not None for tree in taken] == [True, False]
        assert list(await one.commit([RunChange(key, key, 1, events=[note("late")])])) == [Fenced(key)]
        await one.close()
        await two.close()

    async def test_one_of_two_creations_with_one_idempotency_key_wins(self, opener: Opener) -> None:
        one, two = await opener(), await opener()
        outcomes: list[int] = []

        async def create(store: Store, name: str) -> None:
            key = await fresh(store)
            change = RunChange(key, key, 1, create=new_run(name, idempotency_key="k"))
            outcomes.append(len(await store.commit([change])))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(create, one, "r1")
                group.start_soon(create, two, "r2")
        assert sorted(outcomes) == [0, 1]
        await one.close()
        await two.close()

    async def test_who_follows_all_events_by_pos_misses_none_of_several_writers(self, opener: Opener) -> None:
        stores = [await opener() for _ in range(4)]
        runs = [[await start(store, f"{n}{m}") for m in range(2)] for n, store in enumerate(stores[:3])]
        first = await stores[3].all_events()
        seen, kinds = list(first), [f"e{n}" for n in range(15)]

        async def write(store: Store, keys: list[int]) -> None:
            for kind in kinds:
                for key in keys:
                    await store.commit([RunChange(key, key, 1, events=[note(kind), note(kind)])])
                    await anyio.lowlevel.checkpoint()

        async def follow(store: Store) -> None:
            while len(seen) < len(first) + 3 * 2 * 2 * len(kinds):
                seen.extend(await store.all_events(seen[-1].pos, limit=7))
                await anyio.lowlevel.checkpoint()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for store, keys in zip(stores, runs, strict=False):
                    group.start_soon(write, store, keys)
                group.start_soon(follow, stores[3])
        assert seen == await stores[0].all_events()
        for key in [key for keys in runs for key in keys]:
            told = [event for event in seen if event.run == key]
            assert [event.type for event in told[1:]] == [kind for kind in kinds for _ in range(2)]
            assert [event.seq for event in told] == list(range(1, len(told) + 1))
        for store in stores:
            await store.close()

    async def test_writers_side_by_side_number_events_without_gaps(self, opener: Opener) -> None:
        stores = [await opener() for _ in range(3)]
        key = await start(stores[0], "r1")

        async def write(store: Store) -> None:
            for _ in range(20):
                await store.commit([RunChange(key, key, 1, events=[bump("a"), note("b")])])
                await anyio.lowlevel.checkpoint()

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for store in stores:
                    group.start_soon(write, store)
        events = await stores[1].events(text_id("r1"))
        assert [event.seq for event in events] == list(range(1, 122))
        assert [event.generation for event in events if event.generation] == list(range(1, 62))
        for store in stores:
            await store.close()
