"""Answers and requests: decided once, left for the holder in order."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

import pytest

from agentflow.errors import NotFoundError
from agentflow.store.contract import Store
from agentflow.store.rows import (
    RunChange,
)
from agentflow.testing.store_suite.builders import (
    bump,
    parked,
    start,
    start_child,
    text_id,
    wait_task,
)


async def _answer(store: Store, name: str, answer: dict[str, object], message_id: str | None = None) -> str:
    given = await store.answer(text_id(name), answer, by="ann", door="cli", message_id=message_id, at=120.0)
    return given.outcome


class CommandSuite:
    """What doors leave behind."""

    async def test_the_first_answer_wins_and_leaves_one_command(self, store: Store) -> None:
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        await store.commit([RunChange(child, root, 1, tasks=[wait_task(child, "w1", 3)])])
        first = await store.answer(
            text_id("w1"), {"value": {"ok": True}}, by="ann", door="cli", message_id="m1", at=120.0
        )
        assert (first.outcome, first.holder) == ("accepted", "host-a")
        assert first.task is not None
        assert first.task == await store.get_task(text_id("w1"))
        assert (first.task.task.state, first.task.answer, first.task.by) == (
            "completed",
            {"value": {"ok": True}},
            "ann",
        )
        assert (first.task.door, first.task.message_id, first.task.answered_at) == ("cli", "m1", 120.0)
        assert (first.task.run_id, first.task.root_id, first.task.workflow) == (text_id("c1"), text_id("r1"), "flow")
        ((of, row),) = await store.inbox()
        assert (of, row.run, row.kind, row.n, row.task) == (root, child, "answer", 3, text_id("w1"))
        assert row.data == {"answer": {"value": {"ok": True}}, "by": "ann", "door": "cli"}
        (event,) = await store.events(text_id("c1"))
        assert (event.type, event.step, event.data) == ("step_resumed", "step3", {"by": "ann", "door": "cli"})
        assert (event.task_id, event.generation, event.at) == (text_id("w1"), 1, 120.0)

    async def test_the_same_answer_again_is_the_same_and_another_one_is_a_conflict(self, store: Store) -> None:
        key = await start(store, "r1")
        tasks = [wait_task(key, name, n) for n, name in enumerate(("w1", "w2", "w3"))]
        await store.commit([RunChange(key, key, 1, tasks=tasks)])
        assert await _answer(store, "w1", {"value": {"a": 1, "b": True}}, "m1") == "accepted"
        assert await _answer(store, "w1", {"value": {"b": True, "a": 1}}) == "same"
        assert await _answer(store, "w1", {"value": "else"}, "m1") == "same"
        assert await _answer(store, "w1", {"value": {"a": 1, "b": 1}}) == "conflict"
        assert await _answer(store, "w1", {"decline": None}, "m2") == "conflict"
        assert await _answer(store, "w2", {"decline": "no"}) == "accepted"
        assert await _answer(store, "w3", {"failure": "broke"}) == "accepted"
        views = [await store.get_task(text_id(name)) for name in ("w1", "w2", "w3")]
        assert [view.task.state for view in views if view] == ["completed", "rejected", "failed"]
        assert len(await store.inbox()) == 3

    async def test_an_answer_to_a_wait_that_ended_or_never_was_changes_nothing(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([RunChange(key, key, 1, tasks=[wait_task(key, "w1")])])
        await store.commit([RunChange(key, key, 1, close_tasks=[(text_id("w1"), "canceled", None)])])
        assert await _answer(store, "w1", {"value": 1}) == "closed"
        assert await _answer(store, "w9", {"value": 1}) == "unknown"
        assert await store.inbox() == []
        assert len(await store.events(text_id("r1"))) == 1

    async def test_a_request_leaves_a_command_and_its_events(self, store: Store) -> None:
        root = await start(store, "r1")
        child = await start_child(store, "c1", root, root)
        assert await store.request(text_id("c1"), "cancel", {"force": True}, [bump("cancel_asked")]) == "host-a"
        ((of, row),) = await store.inbox([root])
        assert (of, row.run, row.kind, row.n, row.task, row.data) == (root, child, "cancel", -1, None, {"force": True})
        assert [event.type for event in await store.events(text_id("c1"))] == ["cancel_asked"]
        await store.commit([parked(root, root)])
        assert await store.request(text_id("r1"), "pause", None) is None
        with pytest.raises(NotFoundError):
            await store.request(text_id("nobody"), "cancel", None)

    async def test_a_note_stands_in_the_log_and_leaves_no_command(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([RunChange(key, key, 1, tasks=[wait_task(key, "w1")])])
        before = await store.get_task(text_id("w1"))
        await store.note(text_id("r1"), [bump("wait_refused", task=text_id("w1"))])
        assert [event.type for event in await store.events(text_id("r1"))][-1] == "wait_refused"
        assert [event.type for event in await store.task_log(text_id("w1"))][-1] == "wait_refused"
        after = await store.get_task(text_id("w1"))
        assert before is not None
        assert after is not None
        assert (after.generation, after.task) == (before.generation + 1, before.task)
        assert await store.inbox() == []
        with pytest.raises(NotFoundError):
            await store.note(text_id("nobody"), [bump("wait_refused")])

    async def test_commands_come_in_order_per_tree_and_each_exactly_once(self, store: Store) -> None:
        """A predecessor's queues per kind are our inbox per tree."""
        one, two = await start(store, "r1"), await start(store, "r2")
        assert await store.inbox([one]) == []
        for n in range(20):
            await store.request(text_id("r1" if n % 2 else "r2"), "note", n)
        assert [row.data for _, row in await store.inbox([one])] == list(range(1, 20, 2))
        assert [row.data for _, row in await store.inbox([two])] == list(range(0, 20, 2))
        assert [row.data for _, row in await store.inbox()] == list(range(20))
        drained: list[int] = []
        while found := await store.inbox():
            of, row = found[0]
            assert list(await store.commit([RunChange(row.run, of, 1, inbox_done=[row.id])])) == []
            drained.append(row.data)
        assert drained == list(range(20))
        assert await store.inbox() == []
        await store.request(text_id("r1"), "note", "next")
        ((_, row),) = await store.inbox()
        assert row.data == "next"

    async def test_a_command_that_nobody_finished_is_there_for_the_next_holder(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.request(text_id("r1"), "cancel", {"force": False})
        ((_, row),) = await store.inbox([key])
        store.holder = "host-b"
        tree = await store.acquire(key, dead=("host-a",))
        assert tree is not None
        assert list(tree.inbox) == [row]
        await store.commit([RunChange(key, key, 1, inbox_done=[row.id])])
        assert len(await store.inbox()) == 1
        await store.commit([RunChange(key, key, 2, inbox_done=[row.id])])
        assert await store.inbox() == []
