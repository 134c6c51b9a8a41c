"""Runs, steps, tasks, artifacts and messages are kept as they were given."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

import pytest

from agentflow.errors import ConflictError, NotFoundError
from agentflow.principal import Principal
from agentflow.store.contract import Store
from agentflow.store.distri import WorkflowRecords
from agentflow.store.rows import (
    RunChange,
    RunPatch,
    SharedRow,
    StepRow,
)
from agentflow.testing.store_suite.builders import new_run, parked, start, start_child, step, text_id, wait_task


class RecordSuite:
    """distri's seven operations, and what a commit keeps."""

    async def test_a_run_is_read_back_as_it_was_created(self, store: Store) -> None:
        """distri's agent is our workflow."""
        records = WorkflowRecords(store)
        made = await records.create_run(
            new_run(
                "r1",
                workflow="report",
                entry_point="fast",
                input=b'{"a":1}',
                owner="ann",
                labels={"team": "x"},
                pins={"sub": "d9"},
                door="cli",
                message=b'{"parts":[]}',
                retry_of=text_id("r0"),
                idempotency_key="k",
                fingerprint="f",
            )
        )
        run = await records.get_run(text_id("r1"))
        assert run is not None
        assert run == made
        assert (run.workflow, run.entry_point, run.input, run.owner) == ("report", "fast", b'{"a":1}', "ann")
        assert (run.labels, run.pins, run.door) == ({"team": "x"}, {"sub": "d9"}, "cli")
        assert (run.start_message, run.retry_of) == (b'{"parts":[]}', text_id("r0"))
        assert (run.idempotency_key, run.fingerprint, run.definition) == ("k", "f", "d1")
        assert (run.id, run.root_id, run.context_id, run.parent_id) == (text_id("r1"),) * 3 + (None,)
        assert (run.state, run.created_at, run.updated_at, run.ended_at) == ("working", 100.0, 100.0, None)

    async def test_a_run_keeps_the_id_it_was_given_and_another_one_is_unknown(self, store: Store) -> None:
        """A predecessor gives ids itself; ours come from the caller, who has them before the commit."""
        await start(store, "r1")
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert run == await store.get_run(run.id)
        assert await store.get_run(text_id("r2")) is None

    async def test_update_context_changes_the_free_context_keys_only(self, store: Store) -> None:
        records = WorkflowRecords(store)
        before = await records.create_run(new_run("r1", input=b'{"a":1}'))
        await records.update_context(before.id, {"k": [1, {"x": None}]})
        await records.update_context(before.id, {"k2": "v"})
        after = await records.get_run(before.id)
        assert after is not None
        assert after.context == b'{"k2":"v"}'
        assert after.updated_at >= before.updated_at
        assert (after.input, after.state, after.seq) == (before.input, before.state, before.seq)
        with pytest.raises(NotFoundError):
            await records.update_context(text_id("nobody"), {})

    async def test_a_step_that_goes_on_stays_one_row(self, store: Store) -> None:
        records = WorkflowRecords(store)
        run = await records.create_run(new_run("r1"))
        await records.upsert_step(run.id, step(run.run, 0, started_at=1.0))
        await records.upsert_step(run.id, step(run.run, 0, "completed", result=b"7", ended_at=2.0))
        (row,) = await records.list_steps(run.id)
        assert (row.state, row.result, row.ended_at) == ("completed", b"7", 2.0)
        assert row == await records.get_step(run.id, "step0")

    async def test_steps_are_listed_per_run_in_order_of_their_first_insertion(self, store: Store) -> None:
        records = WorkflowRecords(store)
        one, two = await records.create_run(new_run("r1")), await records.create_run(new_run("r2"))
        for n, address in ((2, "a"), (0, "b"), (1, "c"), (2, "a")):
            await records.upsert_step(one.id, StepRow(one.run, n, address, "working"))
        await records.upsert_step(two.id, StepRow(two.run, 0, "x", "working"))
        assert [row.address for row in await records.list_steps(one.id)] == ["a", "b", "c"]
        assert [row.address for row in await records.list_steps(two.id)] == ["x"]

    async def test_what_is_sound_is_salvaged_whole(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([RunChange(key, key, 1, steps=[step(key, 0, "completed", result=b"1"), step(key, 1)])])
        assert await store.salvage_steps(text_id("r1")) == (await store.list_steps(text_id("r1")), frozenset())
        assert await store.salvage_steps(text_id("nobody")) == ([], frozenset())
        assert await store.salvage_tree(key) == await store.load(key)
        assert await store.salvage_tree(99_999) is None

    async def test_a_deleted_run_is_gone_with_its_descendants_and_all_rows(self, store: Store) -> None:
        root = await start(store, "r1", labels={"a": "b"}, idempotency_key="k")
        child = await start_child(store, "c1", root, root)
        await start_child(store, "g1", child, root)
        await store.commit([RunChange(child, root, 1, steps=[step(child, 0)], tasks=[wait_task(child, "w1")])])
        other = await start(store, "r2")
        await store.commit([RunChange(root, root, 1, release=True)])
        records = WorkflowRecords(store)
        await records.delete_run(text_id("r1"))
        await records.delete_run(text_id("r1"))
        for name in ("r1", "c1", "g1"):
            assert await store.get_run(text_id(name)) is None
            assert await store.list_steps(text_id(name)) == []
            assert await store.events(text_id(name)) == []
        assert await store.get_task(text_id("w1")) is None
        assert await store.find_idempotent("", "local", "", "flow", "k") is None
        assert [event.run for event in await store.all_events()] == [other]

    async def test_an_update_of_a_step_keeps_result_and_memo_and_clears_the_error(self, store: Store) -> None:
        records = WorkflowRecords(store)
        run = await records.create_run(new_run("r1"))
        await records.upsert_step(run.id, step(run.run, 0, "failed", result=b"1", memo=b'{"m":1}', error=b'{"e":1}'))
        await records.upsert_step(run.id, step(run.run, 0, "working", attempt=2))
        row = await records.get_step(run.id, "step0")
        assert row is not None
        assert (row.result, row.memo, row.error, row.attempt) == (b"1", b'{"m":1}', None, 2)
        await records.upsert_step(run.id, step(run.run, 0, memo=b""))
        row = await records.get_step(run.id, "step0")
        assert row is not None
        assert row.memo is None
        with pytest.raises(NotFoundError):
            await records.upsert_step(text_id("nobody"), step(1, 0))

    async def test_creating_a_run_again_overwrites_it_and_unknown_ones_are_nothing(self, store: Store) -> None:
        records = WorkflowRecords(store)
        first = await records.create_run(new_run("r1", input=b"1"))
        await records.upsert_step(first.id, step(first.run, 0))
        await records.create_run(new_run("r1", input=b"2"))
        again = await records.get_run(first.id)
        assert again is not None
        assert again.input == b"2"
        assert await records.list_steps(first.id) == []
        assert await records.get_run(text_id("nobody")) is None
        assert await records.list_steps(text_id("nobody")) == []
        assert await records.get_step(text_id("nobody"), "a") is None

    async def test_an_overwritten_runs_definition_stays_for_the_new_one(self, store: Store) -> None:
        records = WorkflowRecords(store)
        key = await start(store, "r1", definition="d7", idempotency_key="k")
        await store.commit([RunChange(key, key, 1, release=True)], {"d7": b"{}"})
        await records.create_run(new_run("r1", definition="d7", idempotency_key="k"))
        assert await store.get_definition("d7") == b"{}"
        await records.delete_run(text_id("r1"))
        assert await store.get_definition("d7") is None

    async def test_a_run_that_a_host_has_is_not_changed_from_outside(self, store: Store) -> None:
        records = WorkflowRecords(store)
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        for name, key in (("r1", root), ("c1", child)):
            before = await store.get_run(text_id(name))
            for refused in (
                records.create_run(new_run(name)),
                records.update_context(text_id(name), {"a": 1}),
                records.upsert_step(text_id(name), step(key, 0)),
                records.delete_run(text_id(name)),
            ):
                with pytest.raises(ConflictError):
                    await refused
            assert await store.get_run(text_id(name)) == before
            assert await records.list_steps(text_id(name)) == []
        await store.commit([RunChange(root, root, 1, release=True)])
        await records.upsert_step(text_id("c1"), step(child, 0))
        assert [row.address for row in await records.list_steps(text_id("c1"))] == ["step0"]

    async def test_a_change_from_outside_fences_a_host_that_had_the_run_before(self, store: Store) -> None:
        root = await start(store, "r1")
        await store.commit([RunChange(root, root, 1, release=True)])
        await WorkflowRecords(store).upsert_step(text_id("r1"), step(root, 0))
        late = RunChange(root, root, 1, steps=[step(root, 0, "failed")])
        assert [fenced.run for fenced in await store.commit([late])] == [root]
        assert await store.claimable() == [root]

    async def test_a_run_is_not_created_under_the_idempotency_key_of_another(self, store: Store) -> None:
        records = WorkflowRecords(store)
        await records.create_run(new_run("r1", idempotency_key="k"))
        with pytest.raises(ConflictError):
            await records.create_run(new_run("r2", idempotency_key="k"))
        again = await records.create_run(new_run("r1", idempotency_key="k", input=b"2"))
        assert again.input == b"2"

    async def test_every_field_of_a_step_round_trips(self, store: Store) -> None:
        key = await start(store, "r1")
        row = StepRow(
            key, 5, "box/child[3]/x", "working", "why", "wait", 3, 2, 4, 1, text_id("t1"), 1.5, 2.5, b'{"e":1}',
            b'{"memo":[1]}', b'{"r":1}', 7,
        )  # fmt: skip
        await store.commit([RunChange(key, key, 1, steps=[row])])
        assert await store.get_step(text_id("r1"), "box/child[3]/x") == row
        assert await store.result(key, 5) == b'{"r":1}'
        assert await store.result(key, 6) is None

    async def test_a_patch_changes_what_it_names(self, store: Store) -> None:
        key = await start(store, "r1")
        everything = RunPatch(
            150.0, "working", "compensating", b'{"e":1}', b'{"o":1}', 3, "msg", True, None, "now", 4, b'{"m":1}'
        )
        await store.commit([RunChange(key, key, 1, patch=everything)])
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.reason, run.error, run.output, run.output_step) == ("compensating", b'{"e":1}', b'{"o":1}', 3)
        assert (run.message, run.paused, run.now_text, run.last_response, run.memo) == (
            "msg", True, "now", 4, b'{"m":1}',
        )  # fmt: skip
        assert run.updated_at == 150.0
        await store.commit([RunChange(key, key, 1, patch=RunPatch(160.0, paused=False, memo=b""))])
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.paused, run.memo, run.reason, run.message, run.state) == (
            False, None, "compensating", "msg", "working",
        )  # fmt: skip
        two = [RunChange(key, key, 1, patch=RunPatch(170.0, "failed")) for _ in range(2)]
        two[1].patch = RunPatch(171.0, message="later")
        await store.commit(two)
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert (run.state, run.reason, run.ended_at, run.message) == ("failed", None, 170.0, "later")

    async def test_the_root_of_a_child_is_that_of_its_parent(self, store: Store) -> None:
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        grandchild = await start_child(store, "g1", child, root)
        run = await store.get_run(text_id("g1"))
        assert run is not None
        assert (run.run, run.root, run.root_id) == (grandchild, root, text_id("r1"))
        assert (run.parent, run.parent_id, run.parent_step) == (child, text_id("c1"), 0)
        assert (run.context_id, run.holder, run.epoch) == (text_id("r1"), "host-a", 1)

    async def test_updates_of_shared_keys_are_loaded_in_commit_order(self, store: Store) -> None:
        key = await start(store, "r1")
        for value in (b"1", b"2"):
            await store.commit([RunChange(key, key, 1, shared=[SharedRow(key, "findings", "step0", value)])])
        tree = await store.load(key)
        assert tree is not None
        assert [row.value for row in tree.runs[0].shared] == [b"1", b"2"]

    async def test_definitions_are_kept_by_hash(self, store: Store) -> None:
        await store.commit([], {"h1": b"{}", "h2": b"[]"})
        await store.commit([], {"h1": b"other"})
        assert await store.get_definition("h1") == b"{}"
        assert await store.get_definition("h3") is None

    async def test_waits_are_listed_oldest_first(self, store: Store) -> None:
        root = await start(store, "r1", owner="ann")
        child = await start_child(store, "c1", root, root, owner="ann")
        await store.commit([parked(child, root, wait_task(child, "w2", at=20.0), wait_task(child, "w1", 1, at=10.0))])
        await store.commit([parked(root, root, wait_task(root, "w3", at=30.0), wait_task(root, "w4", 1, "operator"))])
        other = await start(store, "r2")
        agent = wait_task(other, "w5", 0, "agent")
        await store.commit([RunChange(other, other, 1, tasks=[agent])])

        async def names(**query: object) -> list[str]:
            return [view.task.id[-2:] for view in await store.list_tasks(**query)]  # pyright: ignore[reportArgumentType]  any of the keywords

        assert await names() == ["w1", "w2", "w3", "w4"]
        assert await names(limit=1) == ["w1"]
        assert await names(before=text_id("w3")) == ["w1", "w2"]
        assert await names(run_id=text_id("r1")) == ["w3", "w4"]
        assert await names(run_id=text_id("r1"), tree=True) == ["w1", "w2", "w3", "w4"]
        assert await names(principal=Principal("ann")) == ["w1", "w2", "w3", "w4"]
        assert await names(principal=Principal("local")) == await names(principal=Principal("ann", "acme")) == []
        await store.commit([RunChange(child, root, 1, close_tasks=[(text_id("w1"), "canceled", "no")])])
        assert await names() == ["w2", "w3", "w4"]
        assert await names(open_only=False, run_id=text_id("c1")) == ["w1", "w2"]
