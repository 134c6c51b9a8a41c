"""Leases, timers, and what a host finds to do."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from agentflow.store.acknowledgement import Fenced
from agentflow.store.contract import Store
from agentflow.store.rows import AnswerRow, RunChange, RunPatch, TimerRow
from agentflow.testing.store_suite.builders import (
    ending,
    fresh,
    listening,
    new_run,
    note,
    parked,
    start,
    start_child,
    step,
    text_id,
    wait_task,
)

MINE = (None, "host-c")
ALSO_DEAD = (None, "host-c", "host-b")


class LeaseSuite:
    """Who executes what."""

    async def test_a_tree_is_held_once_until_it_is_released(self, store: Store) -> None:
        one, two = await start(store, "r1"), await start(store, "r2")
        store.holder = "host-b"
        assert await store.acquire(one) is None
        await store.commit([parked(one, one, wait_task(one, "w1"))])
        tree = await store.acquire(one)
        assert tree is not None
        assert (tree.root, tree.epoch) == (one, 2)
        assert await store.acquire(one) is None
        assert await store.acquire(two) is None
        assert await store.acquire(99_999) is None
        assert await store.hosts() == ["host-a", "host-b"]
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.holder, run.epoch) == ("host-b", 2)

    async def test_a_dead_hosts_tree_is_taken_and_its_late_commit_refused(self, store: Store) -> None:
        key = await start(store, "r1")
        child = await start_child(store, "c1", key, key)
        running = [step(child, 0, phase="run"), step(child, 1, phase="wait"), step(child, 2, "completed", phase="run")]
        await store.commit([RunChange(child, key, 1, steps=running)])
        store.holder = "host-b"
        assert await store.acquire(key, dead=("host-x",)) is None
        tree = await store.acquire(key, dead=("host-x", "host-a"))
        assert tree is not None
        assert tree.epoch == 2
        assert [row for run in tree.runs for row in run.steps] == running  # what a death means the planner says
        assert await store.list_steps(text_id("c1")) == running
        late = RunChange(child, key, 1, steps=[step(child, 0, "completed", result=b"1")], release=True)
        assert list(await store.commit([late, RunChange(key, key, 1, release=True)])) == [Fenced(child), Fenced(key)]
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert run.holder == "host-b"
        assert await store.result(child, 0) is None

    async def test_of_two_who_take_a_tree_by_their_commits_one_gets_it_and_nothing_of_the_other_is_committed(
        self, store: Store
    ) -> None:
        key = await start(store, "r1")
        child = await start_child(store, "c1", key, key)
        await store.commit([parked(key, key, wait_task(key, "w1"))])
        both = [
            [
                RunChange(key, key, 2, steps=[step(key, 1, phase="run")], take=True),
                RunChange(child, key, 2, steps=[step(child, 1, phase="run")]),
            ]
            for _ in range(2)
        ]
        store.holder = "host-b"
        assert list(await store.commit(both[0])) == []
        store.holder = "host-c"  # it had seen the tree before that, and counts the same epoch
        assert list(await store.commit(both[1])) == [Fenced(key), Fenced(child)]
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.holder, run.epoch) == ("host-b", 2)

    async def test_an_answer_that_comes_with_the_taking_is_committed_with_what_follows_from_it(
        self, store: Store
    ) -> None:
        key = await start(store, "r1")
        child = await start_child(store, "c1", key, key)
        await store.commit([parked(child, key, wait_task(child, "w1", 3)), RunChange(key, key, 1, release=True)])
        store.holder = "host-b"
        answer = AnswerRow(text_id("w1"), child, 3, "step3", {"value": 7}, "ann", "cli", "m1", 120.0)
        goes_on = RunChange(child, key, 2, steps=[step(child, 4, phase="run")], events=[note("step_started", at=121.0)])
        assert list(await store.commit([RunChange(key, key, 2, take=True, answers=[answer]), goes_on])) == []
        view = await store.get_task(text_id("w1"))
        assert view is not None
        assert (view.task.state, view.answer, view.by, view.door) == ("completed", {"value": 7}, "ann", "cli")
        assert (view.message_id, view.answered_at, view.generation, view.root) == ("m1", 120.0, 2, key)
        assert [event.type for event in await store.events(text_id("c1"))][-2:] == ["step_resumed", "step_started"]
        assert await store.inbox() == []
        assert await store.hosts() == ["host-b"]

    async def test_an_answer_that_comes_with_the_taking_goes_only_to_an_open_wait(self, store: Store) -> None:
        key = await start(store, "r1")
        child = await start_child(store, "c1", key, key)
        tasks = wait_task(key, "w1", 1), wait_task(key, "w2", 2)
        await store.commit([parked(key, key, *tasks)])
        await store.answer(text_id("w2"), {"value": 1}, by="bob", door="api", message_id=None, at=110.0)
        answers = [
            AnswerRow(text_id(name), key, n, f"step{n}", {"value": 2}, "ann", "cli", None, 120.0)
            for n, name in ((1, "w1"), (2, "w2"))
        ]
        goes_on = RunChange(child, key, 2, steps=[step(child, 4, phase="run")])
        taking = RunChange(key, key, 2, take=True, answers=answers)
        assert list(await store.commit([taking, goes_on])) == [Fenced(key), Fenced(child)]
        views = [await store.get_task(text_id(name)) for name in ("w1", "w2")]
        assert [view.by for view in views if view is not None] == [None, "bob"]
        assert await store.hosts() == []
        assert await store.list_steps(text_id("c1")) == []
        again = RunChange(key, key, 2, take=True, answers=answers[:1], release=True, asleep=True)
        assert list(await store.commit([again])) == []
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.holder, run.epoch) == (None, 2)
        assert await store.claimable() == [key]  # for the other answer, which waits in the inbox

    async def test_a_holders_answer_is_committed_with_what_follows_from_it_unless_somebody_was_quicker(
        self, store: Store
    ) -> None:
        key = await start(store, "r1")
        child = await start_child(store, "c1", key, key)
        await store.commit(
            [RunChange(key, key, 1, tasks=[wait_task(key, name, n) for n, name in ((1, "w1"), (2, "w2"))])]
        )
        await store.answer(text_id("w2"), {"value": 1}, by="bob", door="api", message_id=None, at=110.0)
        answers = [
            AnswerRow(text_id(name), key, n, f"step{n}", {"value": 2}, "ann", "cli", None, 120.0)
            for n, name in ((1, "w1"), (2, "w2"))
        ]
        both = RunChange(key, key, 1, steps=[step(key, 3, phase="run")], answers=answers)
        goes_on = RunChange(child, key, 1, steps=[step(child, 4, phase="run")])
        assert list(await store.commit([both, goes_on])) == [Fenced(key), Fenced(child)]
        assert list(both.late) == [text_id("w2")]
        assert await store.list_steps(text_id("r1")) == await store.list_steps(text_id("c1")) == []
        one = RunChange(key, key, 1, steps=[step(key, 3, phase="run")], answers=answers[:1])
        assert list(await store.commit([one, goes_on])) == []
        assert (list(one.late), len(await store.list_steps(text_id("c1")))) == ([], 1)
        views = [await store.get_task(text_id(name)) for name in ("w1", "w2")]
        assert [(view.by, view.generation) for view in views if view is not None] == [("ann", 1), ("bob", 1)]
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.holder, run.epoch) == (store.holder, 1)

    async def test_a_loaded_tree_has_all_that_is_open_parents_first(self, store: Store) -> None:
        root = await start(store, "r1")
        # Keys don't tell who came first: they are reserved in blocks per process.
        later, sooner = await fresh(store), await fresh(store)
        await store.commit(
            [
                RunChange(sooner, root, 1, create=new_run("c1", parent=root, parent_step=4)),
                RunChange(later, root, 1, create=new_run("g1", parent=sooner, parent_step=0)),
            ]
        )
        done = await start_child(store, "c2", root, root)
        steps = [step(later, 0, "completed", result=b"[1]"), step(later, 1, phase="wait", task=text_id("w1"))]
        tasks = [wait_task(later, "w1", 1), wait_task(later, "w2", 2)]
        await store.commit([RunChange(later, root, 1, steps=steps, tasks=tasks), ending(done, root)])
        await store.commit([RunChange(later, root, 1, close_tasks=[(text_id("w2"), "canceled", None)])])
        tree = await store.load(root)
        assert tree is not None
        assert [run.row.id for run in tree.runs] == [text_id("r1"), text_id("c1"), text_id("g1")]
        assert list(tree.runs[2].steps) == steps
        assert await store.load(99_999) is None

    async def test_a_run_created_without_a_host_waits_for_one(self, store: Store) -> None:
        store.holder = ""
        key = await fresh(store)
        await store.commit([RunChange(key, key, 0, create=new_run("r1"))])
        assert await store.claimable() == [key]
        store.holder = "host-b"
        tree = await store.acquire(key)
        assert tree is not None
        assert tree.epoch == 1
        assert await store.claimable() == []

    async def test_what_can_be_claimed_is_working_or_has_a_command_and_is_held_by_nobody_alive(
        self, store: Store
    ) -> None:
        held = await start(store, "r1")
        free = await start(store, "r2")
        waiting = await start(store, "r3")
        paused = await start(store, "r4")
        over = await start(store, "r5")
        await store.commit(
            [
                RunChange(free, free, 1, release=True),
                parked(waiting, waiting, wait_task(waiting, "w1")),
                RunChange(paused, paused, 1, patch=RunPatch(110.0, paused=True), release=True),
                ending(over, over),
                RunChange(over, over, 1, release=True),
            ]
        )
        assert await store.claimable() == [free]
        assert await store.claimable((None, "host-a")) == [held, free]
        assert await store.claimable((None, "host-a"), limit=1) == [held]
        await store.answer(text_id("w1"), {"value": 1}, by="ann", door="cli", message_id=None, at=120.0)
        await store.request(text_id("r1"), "pause", None)
        await store.request(text_id("r4"), "unpause", None)
        assert await store.claimable() == [free, waiting, paused]

    async def test_a_sleeping_tree_is_left_alone_until_a_command_or_a_timer_wakes_it(self, store: Store) -> None:
        key = await start(store, "r1")
        sleep = RunChange(key, key, 1, timers=[TimerRow(900.0, key, 0, "timer")], release=True, asleep=True)
        await store.commit([sleep])
        assert await store.claimable() == []
        assert await store.next_due() == 900.0
        await store.request(text_id("r1"), "cancel", None)
        assert await store.claimable() == [key]
        tree = await store.acquire(key)
        assert tree is not None
        done = [row.id for row in tree.inbox]
        await store.commit([RunChange(key, key, 2, inbox_done=done, release=True)])
        assert await store.claimable() == [key]

    async def test_timers_are_due_in_order_and_only_once_they_are(self, store: Store) -> None:
        one, two = await start(store, "r1"), await start(store, "r2")
        timers = [TimerRow(30.0, one, 1, "timer", 2), TimerRow(10.0, one, 2, "backoff")]
        await store.commit([RunChange(one, one, 1, timers=timers)])
        await store.commit([RunChange(two, two, 1, timers=[TimerRow(20.0, two, -1, "timer")])])
        assert await store.next_due() == 10.0
        assert await store.next_due([two]) == 20.0
        assert await store.next_due([]) is None
        assert await store.due(9.9) == []
        assert await store.due(25.0) == [(one, timers[1]), (two, TimerRow(20.0, two, -1, "timer"))]
        assert await store.due(99.0, [one]) == [(one, timers[1]), (one, timers[0])]
        assert await store.due(99.0, limit=1) == [(one, timers[1])]

    async def test_a_host_hears_only_of_what_it_may_see_to(self, store: Store) -> None:
        """Of its own trees, of those that nobody holds, and of those of the dead: a stopped host's cost it nothing."""
        foreign = [await start(store, f"f{n}") for n in range(3)]
        dead = await start(store, "d1")
        free = await start(store, "n1")
        names = [*(f"f{n}" for n in range(3)), "d1", "n1"]
        for number, key in enumerate([*foreign, dead, free]):
            timer = TimerRow(10.0 + number, key, 0, "timer")
            await store.commit([RunChange(key, key, 1, timers=[timer], release=key == free, asleep=key == free)])
        store.holder = "host-b"
        await store.commit([RunChange(dead, dead, 1, release=True)])
        assert await store.acquire(dead) is not None
        own = await start(store, "o1", holder="host-c")
        await store.commit([RunChange(own, own, 1, timers=[TimerRow(20.0, own, 0, "timer")])])
        for name in [*names, "o1"]:
            await store.request(text_id(name), "pause", None)
        assert [root for root, _ in await store.due(99.0, None, MINE)] == [free, own]
        assert [root for root, _ in await store.due(99.0, None, ALSO_DEAD)] == [dead, free, own]
        assert [root for root, _ in await store.due(99.0, [own, *foreign], MINE)] == [own]
        assert await store.due(99.0, None, ALSO_DEAD, limit=1) == [(dead, TimerRow(13.0, dead, 0, "timer"))]
        assert (await store.next_due(None, MINE), await store.next_due(None, ALSO_DEAD)) == (14.0, 13.0)
        assert [root for root, _ in await store.inbox(None, MINE)] == [free, own]
        assert [root for root, _ in await store.inbox(None, ALSO_DEAD)] == [dead, free, own]
        assert await store.claimable((None, "host-b"), [free, *foreign], limit=1) == [free]

    async def test_what_is_to_be_done_for_other_agents_is_not_heard_of(self, store: Store) -> None:
        """Whoever holds their trees: nobody, a dead host, or this one itself; timers of child runs too."""
        mine, old, shop = await start(store, "m1", agent="mine"), await start(store, "o1"), list[int]()
        for name in ("s1", "s2", "s3"):
            shop.append(await start(store, name, agent="shop"))
        child = await start_child(store, "c1", shop[0], shop[0], agent="shop")
        for number, (key, root) in enumerate([(child, shop[0]), (shop[1], shop[1]), (mine, mine), (old, old)]):
            await store.commit([RunChange(key, root, 1, timers=[TimerRow(10.0 + number, key, 0, "timer")])])
        for key in (mine, old, shop[0], shop[2]):
            await store.commit([RunChange(key, key, 1, release=True)])
        for name in ("m1", "o1", "s1", "s2"):
            await store.request(text_id(name), "pause", None)
        served, every = ("", "mine"), (None, "host-a")
        assert [root for root, _ in await store.due(99.0, None, every, agents=served)] == [mine, old]
        assert [root for root, _ in await store.due(99.0, None, None, agents=served)] == [mine, old]
        assert [root for root, _ in await store.due(99.0, [shop[0], old], every, agents=served)] == [old]
        assert [root for root, _ in await store.due(99.0, None, every, agents=("shop",))] == shop[:2]
        assert [root for root, _ in await store.due(99.0, None, (None,), agents=("shop",))] == shop[:1]
        assert (await store.next_due(None, every, served), await store.next_due(None, None, ("shop",))) == (12.0, 10.0)
        assert [root for root, _ in await store.inbox(None, every, served)] == [mine, old]
        assert [root for root, _ in await store.inbox(None, None, ("shop",))] == shop[:2]
        assert await store.claimable(every, agents=served) == [mine, old]
        assert await store.claimable(every, agents=("shop",)) == shop
        assert await store.claimable(every, [old, *shop], agents=served) == [old]
        assert await store.left_to_others(every, served) == {"shop": 3}
        assert await store.left_to_others((None,), served) == {"shop": 2}
        assert await store.left_to_others(every, ("", "mine", "shop")) == {}

    async def test_timers_go_with_their_tree_from_hand_to_hand(self, store: Store) -> None:
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        timers = [TimerRow(10.0, root, 0, "timer"), TimerRow(20.0, child, 0, "timer")]

        async def of(*holders: str | None) -> list[TimerRow]:
            by_roots = await store.due(99.0, [root, 99_999], holders)
            assert by_roots == await store.due(99.0, None, holders)
            return [timer for _, timer in by_roots]

        for timer in timers:
            await store.commit([RunChange(timer.run, root, 1, timers=[timer])])
        assert (await of("host-a"), await of(None, "host-b")) == (timers, [])
        late = TimerRow(30.0, child, 1, "timer")
        parting = RunChange(root, root, 1, release=True, asleep=True)
        await store.commit([parting, RunChange(child, root, 1, timers=[late])])
        timers.append(late)
        assert (await of(None), await of("host-a")) == (timers, [])
        store.holder = "host-b"
        assert await store.acquire(root) is not None
        assert (await of("host-b"), await of(None, "host-a")) == (timers, [])
        await store.commit([RunChange(root, root, 2, release=True)])
        store.holder = "host-c"
        last = TimerRow(40.0, root, 2, "timer")
        assert list(await store.commit([RunChange(root, root, 3, take=True, timers=[last])])) == []
        timers.append(last)
        assert (await of("host-c"), await of(None, "host-a", "host-b")) == (timers, [])
        assert (await store.next_due(None, ("host-c",)), await store.next_due(None, (None,))) == (10.0, None)

    async def test_a_timer_set_twice_is_one_and_is_delivered_until_it_is_dropped(self, store: Store) -> None:
        key = await start(store, "r1")
        for due in (10.0, 20.0):
            await store.commit([RunChange(key, key, 1, timers=[TimerRow(due, key, 1, "timer")])])
        assert await store.due(99.0) == [(key, TimerRow(20.0, key, 1, "timer"))]
        drop = RunChange(key, key, 1, drop_timers=[(1, "timer"), (7, "timer")])
        await store.commit([drop])
        assert await store.due(99.0) == []
        drop.timers = [TimerRow(30.0, key, 1, "timer", 2)]
        await store.commit([drop])
        await store.commit([RunChange(key, key, 1, timers=[TimerRow(5.0, key, 2, "x")], drop_timers=[(1, "timer")])])
        assert [timer.n for _, timer in await store.due(99.0)] == [2]

    async def test_only_what_is_due_now_can_be_run(self, store: Store) -> None:
        """Of a future, a waiting, a completed and a cancelled run none comes; the ready and the due one do."""
        names = ("ready", "due", "future", "waits", "done", "gone")
        keys = {name: await start(store, name) for name in names}
        for name, due in (("due", 100.0), ("future", 900.0)):
            key = keys[name]
            change = parked(key, key)
            change.timers = [TimerRow(due, key, 0, "timer")]
            await store.commit([change])
        await store.commit([listening(keys["waits"], "w1", "topic"), parked(keys["waits"], keys["waits"])])
        await store.commit([ending(keys["done"], keys["done"]), ending(keys["gone"], keys["gone"], "canceled")])
        await store.commit([RunChange(key, key, 1, release=True) for key in keys.values()])
        ready = [*await store.claimable(), *(root for root, _ in await store.due(100.0))]
        assert ready == [keys["ready"], keys["due"]]
