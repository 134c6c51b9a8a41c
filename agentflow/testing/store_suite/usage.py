"""What attempts have used: kept by entry and model, replaced by what is told later, and summed to the last digit."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from agentflow.data import encode
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange, RunPatch, StepRow
from agentflow.store.usage_rows import UsageQuery, UsageRow, Used
from agentflow.store.views import PurgeQuery
from agentflow.testing.store_suite.builders import fresh, new_run, start, text_id
from agentflow.usage import Usage

_LARGE = 9_000_000 * 10**12
"""As many trillionths as a row can hold: two of them are more than an integer of the database."""


def _row(n: int, model: str, parts: int, *, attempt: int = 1, entry: int = 0, at: float = 100.0) -> UsageRow:
    return UsageRow(n, attempt, entry, model, at, Usage(1, 10, 2, 3, parts, 0))


def _used(*rows: UsageRow) -> Used:
    total = sum((row.usage for row in rows), Usage())
    return Used(encode(total.data), rows)


class UsageSuite:
    """Usage in a store."""

    async def test_usage_is_read_back_with_its_step_and_replaced_by_what_is_told_later(self, store: Store) -> None:
        key = await start(store, "r1")
        step = StepRow(key, 3, "ask", "working", phase="run", attempt=1)
        await store.commit([RunChange(key, key, 1, steps=[step], used=_used(_row(3, "m", 5), _row(3, "o", 7)))])
        await store.commit([RunChange(key, key, 1, used=_used(_row(3, "m", 9), _row(3, "m", 1, attempt=2, entry=1)))])
        rows = await store.usage(key)
        assert [(r.step, r.attempt, r.entry, r.model, r.usage.parts) for r in rows] == [
            ("ask", 1, 0, "m", 9), ("ask", 1, 0, "o", 7), ("ask", 2, 1, "m", 1),
        ]  # fmt: skip
        assert {(r.run, r.run_id, r.workflow, r.n) for r in rows} == {(key, text_id("r1"), "flow", 3)}
        tree = await store.load(key)
        assert tree is not None
        assert list(tree.usage) == rows

    async def test_the_sum_of_a_run_stands_in_its_row(self, store: Store) -> None:
        key = await start(store, "r1")
        row = await store.get_run(text_id("r1"))
        assert row is not None
        assert row.usage is None
        await store.commit([RunChange(key, key, 1, used=Used(b'{"calls":1}'))])
        row = await store.get_run(text_id("r1"))
        assert row is not None
        assert row.usage == b'{"calls":1}'

    async def test_usage_of_a_run_that_has_ended_stays_in_its_tree(self, store: Store) -> None:
        root, child = await start(store, "r1"), await fresh(store)
        made = new_run("c1", parent=root, parent_step=1, workflow="below")
        await store.commit([RunChange(child, root, 1, create=made, used=_used(_row(0, "m", 4)))])
        await store.commit([RunChange(child, root, 1, patch=RunPatch(101.0, state="completed"))])
        tree = await store.load(root)
        assert tree is not None
        assert [(r.run, r.workflow, r.usage.parts) for r in tree.usage] == [(child, "below", 4)]

    async def test_usage_that_is_refused_is_not_stored(self, store: Store) -> None:
        key = await start(store, "r1")
        assert await store.commit([RunChange(key, key, 7, used=_used(_row(0, "m", 4)))])
        assert await store.usage(key) == []

    async def test_sums_are_exact_beyond_what_an_integer_holds(self, store: Store) -> None:
        for name, owner in (("r1", "alice"), ("r2", "bob"), ("r3", "bob")):
            key = await start(store, name, owner=owner, workflow=f"of {owner}", tenant="t")
            rows = (_row(0, "m", _LARGE + 1, at=200.0), _row(1, "n", 3))
            await store.commit([RunChange(key, key, 1, used=_used(*rows))])
        sums = await store.usage_sums(UsageQuery("owner"))
        assert [(each.name, each.runs, each.usage.parts) for each in sums] == [
            ("bob", 2, 2 * _LARGE + 8), ("alice", 1, _LARGE + 4),
        ]  # fmt: skip
        (named,) = await store.usage_sums(UsageQuery("workflow", "alice", "t"))
        assert named.name == "of alice"
        assert await store.usage_sums(UsageQuery("workflow", "alice", "other")) == []
        (model,) = await store.usage_sums(UsageQuery("model", since=150.0))
        assert (model.name, model.usage.calls, model.usage.input_tokens) == ("m", 3, 30)

    async def test_usage_is_deleted_with_its_run(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([RunChange(key, key, 1, used=_used(_row(0, "m", 4)))])
        ended = RunPatch(101.0, state="completed", ended_at=101.0)
        await store.commit([RunChange(key, key, 1, patch=ended, release=True)])
        assert await store.purge(PurgeQuery(1000.0, 10.0, ("completed",))) == 1
        assert await store.usage_sums(UsageQuery()) == []
