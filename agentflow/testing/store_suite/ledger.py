"""Commits: whole or not at all, fenced, numbered without gaps."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

import random

import anyio

from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange, RunPatch, TimerRow
from agentflow.testing.store_suite.builders import (
    bump,
    ending,
    fresh,
    listening,
    new_run,
    note,
    start,
    start_child,
    step,
    text_id,
    wait_task,
)


class LedgerSuite:
    """What a commit promises."""

    async def test_a_stale_change_is_refused_alone(self, store: Store) -> None:
        """A predecessor's stale version is our stale epoch."""
        one, two = await start(store, "r1"), await start(store, "r2")
        changes = [
            RunChange(one, one, 9, steps=[step(one, 0)], events=[note("lost")]),
            RunChange(two, two, 1, steps=[step(two, 0)], events=[note("kept")]),
        ]
        assert list(await store.commit(changes)) == [Fenced(one)]
        assert await store.list_steps(text_id("r1")) == []
        assert [row.address for row in await store.list_steps(text_id("r2"))] == ["step0"]
        assert [event.type for event in await store.all_events()] == ["run_started", "run_started", "kept"]

    async def test_a_change_of_a_run_that_is_gone_or_of_another_tree_is_refused(self, store: Store) -> None:
        one, two = await start(store, "r1"), await start(store, "r2")
        assert list(await store.commit([RunChange(one, two, 1)])) == [Fenced(one)]
        assert list(await store.commit([RunChange(12345, one, 1)])) == [Fenced(12345)]
        assert list(await store.commit([RunChange(one, one, 1, delete=True)])) == []
        assert list(await store.commit([RunChange(one, one, 1)])) == [Fenced(one)]

    async def test_the_same_idempotency_key_makes_one_run(self, store: Store) -> None:
        one = await start(store, "r1", idempotency_key="order-7", fingerprint="f1")
        again = await fresh(store)
        create = new_run("r2", idempotency_key="order-7", fingerprint="f2")
        change = RunChange(again, again, 1, create=create, steps=[step(again, 0)])
        assert list(await store.commit([change])) == [Fenced(again)]
        assert await store.get_run(text_id("r2")) is None
        run = await store.find_idempotent("", "local", "", "flow", "order-7")
        assert run is not None
        assert (run.run, run.fingerprint) == (one, "f1")
        assert await store.find_idempotent("", "ann", "", "flow", "order-7") is None
        await start(store, "r3", idempotency_key="order-7", owner="ann")
        await start(store, "r4", idempotency_key="order-7", workflow="other")

    async def test_the_same_id_or_two_creations_in_one_commit_make_one_run(self, store: Store) -> None:
        await start(store, "r1")
        keys = [await fresh(store) for _ in range(3)]
        names = ("r1", "r2", "r2")
        changes = [
            RunChange(key, key, 1, create=new_run(name, input=str(key).encode()))
            for key, name in zip(keys, names, strict=True)
        ]
        assert list(await store.commit(changes)) == [Fenced(keys[0]), Fenced(keys[2])]
        run = await store.get_run(text_id("r2"))
        assert run is not None
        assert run.input == str(keys[1]).encode()

    async def test_concurrent_creations_all_land_under_keys_of_their_own(self, store: Store) -> None:
        keys: set[int] = set()

        async def one(n: int) -> None:
            keys.add(await start(store, f"r{n}"))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for n in range(100, 200):
                    group.start_soon(one, n)
        assert len(keys) == 100
        assert len({*await store.new_keys(5000), *keys}) == 5100
        for n in range(100, 200):
            assert await store.get_run(text_id(f"r{n}")) is not None

    async def test_a_finish_delivered_twice_is_committed_once(self, store: Store) -> None:
        """The second one comes from a host that lost the tree in between."""
        key = await start(store, "r1")
        finish = RunChange(key, key, 1, steps=[step(key, 0, "completed", result=b"1")], events=[note("done")])
        store.holder = "host-b"
        assert await store.acquire(key, dead=("host-a",)) is not None
        again = RunChange(key, key, 2, steps=[step(key, 0, "completed", result=b"2")], events=[note("done")])
        assert list(await store.commit([again, finish])) == [Fenced(key)]
        assert await store.result(key, 0) == b"2"
        assert [event.type for event in await store.events(text_id("r1"))] == ["run_started", "done"]

    async def test_interleaved_commits_number_events_without_gaps(self, store: Store) -> None:
        """Answers, requests and commits of several tasks: seq per run and generation per task have no holes."""
        dice = random.Random(7)  # noqa: S311  a repeatable test
        roots = [await start(store, f"r{n}") for n in range(3)]
        waits = [wait_task(key, f"w{key}") for key in roots]
        await store.commit([RunChange(key, key, 1, tasks=[t]) for key, t in zip(roots, waits, strict=True)])

        async def writer(seed: int) -> None:
            dice = random.Random(seed)  # noqa: S311  a repeatable test
            for _ in range(20):
                chosen = dice.sample(range(3), dice.randint(1, 3))
                changes: list[RunChange] = []
                for i in chosen:
                    kinds = (note("n"), bump("run"), bump("task", task=waits[i].id))
                    events = [dice.choice(kinds) for _ in range(dice.randint(0, 4))]
                    changes.append(RunChange(roots[i], roots[i], 1 if dice.random() < 0.8 else 9, events=events))
                await store.commit(changes)
                await anyio.lowlevel.checkpoint()

        async def door(n: int) -> None:
            for _ in range(10):
                await store.request(text_id(f"r{n}"), "pause", {}, [bump("paused")])
                await anyio.lowlevel.checkpoint()
            await store.answer(waits[n].id, {"value": 1}, by="ann", door="cli", message_id=None, at=101.0)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(writer, dice.randint(0, 1000))
                for n in range(3):
                    group.start_soon(door, n)
        events = await store.all_events(limit=100_000)
        assert [event.pos for event in events] == sorted({event.pos for event in events})
        for n, key in enumerate(roots):
            mine = [e for e in events if e.run == key]
            assert [event.seq for event in mine] == list(range(1, len(mine) + 1))
            assert mine == await store.events(text_id(f"r{n}"), limit=100_000)
            for task_id in {event.task_id for event in mine}:
                numbers = [e.generation for e in mine if e.task_id == task_id and e.generation is not None]
                assert numbers == list(range(1, len(numbers) + 1))
            run, view = await store.get_run(text_id(f"r{n}")), await store.get_task(waits[n].id)
            assert run is not None
            assert view is not None
            own = [e for e in mine if e.task_id == run.id and e.generation is not None]
            assert (run.seq, run.generation) == (len(mine), len(own))
            assert view.generation == sum(e.task_id == view.task.id for e in mine)

    async def test_callers_may_change_their_rows_once_a_commit_waits(self, store: Store) -> None:
        key = await start(store, "r1")

        async def one(n: int) -> None:
            change = RunChange(key, key, 1, events=[note(f"e{n}")])

            async def commit() -> None:
                await store.commit([change])

            async with anyio.create_task_group() as inner:
                inner.start_soon(commit)
                await anyio.lowlevel.checkpoint()
                change.events.append(note("late"))

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for n in range(10):
                    group.start_soon(one, n)
        kinds = [event.type for event in await store.events(text_id("r1"), after=1)]
        assert sorted(kinds) == sorted(f"e{n}" for n in range(10))

    async def test_the_end_of_a_run_closes_what_was_open_in_it(self, store: Store) -> None:
        key, other = await start(store, "r1"), await start(store, "r2")
        for run in (key, other):
            change = listening(run, f"w{run}", "topic")
            change.timers = [TimerRow(150.0, run, 0, "timeout")]
            await store.commit([change])
        await store.commit([ending(key, key)])
        view = await store.get_task(text_id(f"w{key}"))
        assert view is not None
        assert (view.task.state, view.answer) == ("canceled", None)
        assert [timer.run for _, timer in await store.due(1000.0)] == [other]
        assert await store.publish("topic", {}, None, 300.0) == (1, ["host-a"])

    async def test_cancelling_a_tree_leaves_what_has_ended_alone(self, store: Store) -> None:
        """The engine names the runs of the cascade; the store keeps an ended one as it is, whatever is asked."""
        root = await start(store, "r1")
        done = await start_child(store, "c1", root, root)
        open_ = await start_child(store, "c2", root, root)
        nested = await start_child(store, "g1", open_, root)
        await store.commit([RunChange(nested, root, 1, tasks=[wait_task(nested, "w1")]), ending(done, root)])
        cascade = [ending(key, root, "canceled", at=300.0) for key in (root, done, open_, nested)]
        cascade[1].events = []
        await store.commit(cascade)
        states = {name: await store.get_run(text_id(name)) for name in ("r1", "c1", "c2", "g1")}
        assert {name: (run.state, run.ended_at) for name, run in states.items() if run} == {
            "r1": ("canceled", 300.0),
            "c1": ("completed", 200.0),
            "c2": ("canceled", 300.0),
            "g1": ("canceled", 300.0),
        }
        view = await store.get_task(text_id("w1"))
        assert view is not None
        assert view.task.state == "canceled"
        await store.commit([RunChange(root, root, 1, patch=RunPatch(400.0, "failed", "x", error=b"{}"))])
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.state, run.reason, run.error, run.ended_at) == ("canceled", None, None, 300.0)

    async def test_a_task_that_has_ended_stays_as_it_is(self, store: Store) -> None:
        key = await start(store, "r1")
        task = wait_task(key, "w1")
        await store.commit([RunChange(key, key, 1, tasks=[task])])
        await store.commit([RunChange(key, key, 1, close_tasks=[(task.id, "canceled", "first")])])
        late = RunChange(key, key, 1, tasks=[task._replace(message="again")], close_tasks=[(task.id, "failed", "x")])
        await store.commit([late])
        view = await store.get_task(task.id)
        assert view is not None
        assert (view.task.state, view.task.message) == ("canceled", "first")
