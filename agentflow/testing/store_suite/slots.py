"""Slots of keys: counted over all runs, given in the order in which they were asked for."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from collections.abc import Sequence

from agentflow.store.contract import Store
from agentflow.store.rows import EventRow, RunChange
from agentflow.store.slot_rows import SlotRow
from agentflow.testing.store_suite.builders import ending, start, start_child, step, text_id


def _asks(run: int, n: int, key: str = "gpu", limit: int = 1, within: Sequence[tuple[int, int]] = ()) -> RunChange:
    slots = [SlotRow(n, key, limit, within)]
    return RunChange(run, run, 1, steps=[step(run, n, phase=None)], slots=slots)


def _claims(run: int, n: int) -> RunChange:
    """Claim a step whose key has one slot."""
    change = RunChange(run, run, 1, steps=[step(run, n, phase="run", attempt=1)], slots=[SlotRow(n, "gpu", 1)])
    change.unclaimed = [step(run, n, phase=None, attempt=0)]
    change.events.append(EventRow("step_started", f"step{n}", None, 2.0, None, False))
    return change


async def _seen(store: Store, name: str) -> tuple[str | None, int, int]:
    """Return phase and attempt of a run's first step, and how often it has begun."""
    row = (await store.salvage_steps(text_id(name)))[0][0]
    kinds = [event.type for event in await store.events(text_id(name))]
    return row.phase, row.attempt, kinds.count("step_started")


def _given(*changes: RunChange) -> list[tuple[int, int]]:
    return [(grant.run, grant.n) for change in changes for grant in change.grants]


class SlotSuite:
    """Who may have how many, and who is next."""

    async def _commit(self, store: Store, *changes: RunChange) -> list[tuple[int, int]]:
        assert list(await store.commit(changes)) == []
        return _given(*changes)

    async def test_slots_are_counted_over_runs_and_given_in_order(self, store: Store) -> None:
        one, two = await start(store, "r1"), await start(store, "r2")
        changes = [_asks(one, 0, limit=2), _asks(two, 0, limit=2), _asks(one, 1, limit=2), _asks(two, 1, limit=2)]
        assert await self._commit(store, *changes) == [(one, 0), (two, 0)]
        assert await self._commit(store, _asks(one, 1, "disk")) == [(one, 1)]
        assert await self._commit(store, RunChange(two, two, 1, free=[0])) == [(one, 1)]
        assert await self._commit(store, RunChange(one, one, 1, free=[0, 1])) == [(two, 1)]

    async def test_asking_again_keeps_the_place_and_giving_it_back_lets_the_next_one_come(self, store: Store) -> None:
        key = await start(store, "r1")
        assert await self._commit(store, *(_asks(key, n) for n in (0, 1, 2, 1))) == [(key, 0)]
        await self._commit(store, RunChange(key, key, 1, free=[1]))
        again = RunChange(key, key, 1, free=[0], slots=[SlotRow(0, "gpu", 1)])
        assert await self._commit(store, again) == [(key, 2)]
        assert await self._commit(store, RunChange(key, key, 1, free=[2])) == [(key, 0)]

    async def test_a_step_is_claimed_with_its_slot_or_stored_as_one_that_waits(self, store: Store) -> None:
        """Nobody is told of what the claiming commit has decided itself."""
        one, two = await start(store, "r1"), await start(store, "r2")
        first, second = _claims(one, 0), _claims(two, 0)
        assert await self._commit(store, first, second) == []
        assert (list(first.queued), list(second.queued)) == ([], list(second.unclaimed))
        assert [await _seen(store, name) for name in ("r1", "r2")] == [("run", 1, 1), (None, 0, 0)]
        next_one = _claims(one, 1)
        next_one.free = [0]
        assert await self._commit(store, next_one) == [(two, 0)]
        assert list(next_one.queued) == list(next_one.unclaimed)
        last = _claims(two, 1)
        last.free = [0]
        assert await self._commit(store, last) == [(one, 1)]

    async def test_a_slot_for_a_tree_of_another_host_is_a_command_for_it(self, store: Store) -> None:
        mine, other = await start(store, "r1"), await start(store, "r2", holder="host-b")
        store.holder = "host-a"
        assert await self._commit(store, _asks(mine, 0)) == [(mine, 0)]
        store.holder = "host-b"
        assert await self._commit(store, _asks(other, 3)) == []
        store.holder = "host-a"
        change = RunChange(mine, mine, 1, free=[0])
        assert await self._commit(store, change) == [(other, 3)]
        assert [(grant.root, grant.holder) for grant in change.grants] == [(other, "host-b")]
        assert [(root, row.kind, row.n) for root, row in await store.inbox()] == [(other, "slot", 3)]

    async def test_a_run_that_ends_and_one_that_is_deleted_give_all_back(self, store: Store) -> None:
        one, two, three = [await start(store, name) for name in ("r1", "r2", "r3")]
        await self._commit(store, _asks(one, 0), _asks(two, 0), _asks(three, 0))
        assert await self._commit(store, ending(one, one)) == [(two, 0)]
        assert await self._commit(store, RunChange(two, two, 1, delete=True)) == []
        assert [(root, row.kind, row.n) for root, row in await store.inbox()] == [(three, "slot", 0)]
        tree = await store.load(three)
        assert tree is not None
        assert [(slot.n, slot.key, slot.held) for slot in tree.runs[0].slots] == [(0, "gpu", True)]

    async def test_what_is_loaded_tells_who_has_a_slot_and_who_waits(self, store: Store) -> None:
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        inner = RunChange(child, root, 1, steps=[step(child, 4, phase=None)], slots=[SlotRow(4, "gpu", 1)])
        await self._commit(store, _asks(root, 0), inner)
        tree = await store.load(root)
        assert tree is not None
        assert [[(slot.n, slot.held) for slot in run.slots] for run in tree.runs] == [[(0, True)], [(4, False)]]
        (wait,) = await store.slot_waits(root)
        assert (wait.run, wait.n, wait.key, wait.limit, wait.held, wait.ahead) == (child, 4, "gpu", 1, 1, 0)
        assert list(wait.holders) == [(text_id("r1"), "step0")]

    async def test_trees_of_dead_hosts_that_have_slots_are_found(self, store: Store) -> None:
        one, two = await start(store, "r1", agent="shop"), await start(store, "r2")
        await self._commit(store, _asks(one, 0), _asks(two, 0))
        assert await store.slot_holders(["gpu"], ["host-a"]) == [(one, "shop")]
        assert await store.slot_holders(["gpu"], ["host-b"]) == []
        assert await store.slot_holders(["disk"], ["host-a"]) == []

    async def test_who_would_wait_for_ever_is_told_and_keeps_no_place(self, store: Store) -> None:
        """Two that hold a slot each, and inside of each one that asks for the other's."""
        one, two = await start(store, "r1"), await start(store, "r2")
        await self._commit(store, _asks(one, 0, "a"), _asks(two, 0, "b"))
        first, second = _asks(one, 1, "b", within=[(one, 0)]), _asks(two, 1, "a", within=[(two, 0)])
        assert await self._commit(store, first) == []
        assert await self._commit(store, second) == []
        assert (list(first.deadlocked), list(second.deadlocked)) == ([], [1])
        assert await self._commit(store, RunChange(two, two, 1, free=[0])) == [(one, 1)]

    async def test_who_waits_inside_for_a_slot_that_others_will_give_back_is_patient(self, store: Store) -> None:
        one, two = await start(store, "r1"), await start(store, "r2")
        await self._commit(store, _asks(one, 0, limit=2), _asks(two, 0, limit=2))
        inner = _asks(one, 1, limit=2, within=[(one, 0)])
        assert await self._commit(store, inner) == []
        assert list(inner.deadlocked) == []
        other = _asks(two, 1, limit=2, within=[(two, 0)])
        await self._commit(store, other)
        assert list(other.deadlocked) == [1]
