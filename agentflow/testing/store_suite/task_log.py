"""What a task tells: its log by generation, messages, artifacts in chunks, and to whom its waits are shown."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from typing import Any

from agentflow.data import encode
from agentflow.principal import Principal
from agentflow.store.contract import Store
from agentflow.store.rows import ArtifactRow, EventRow, MessageRow, RunChange, RunPatch
from agentflow.testing.store_suite.builders import (
    bump,
    fresh,
    new_run,
    note,
    parked,
    start,
    start_child,
    text_id,
    wait_task,
)


def _chunk(run: int, name: str, parts: list[str], *, append: bool = False, **fields: Any) -> ArtifactRow:
    row = ArtifactRow(run, name, append, encode({"artifactId": name, "parts": parts}), 100.0)
    return row._replace(**fields)


class ToldSuite:
    """Logs, messages, artifacts."""

    async def test_chunks_of_an_artifact_are_joined_in_order_of_first_appearance(self, store: Store) -> None:
        key = await start(store, "r1")
        chunks = [("a", False, ["1"]), ("b", False, ["x"]), ("a", True, ["2"]), ("b", False, ["y"])]
        rows = [_chunk(key, name, parts, append=append) for name, append, parts in chunks]
        await store.commit([RunChange(key, key, 1, artifacts=rows)])
        assert await store.artifacts(text_id("r1")) == [
            {"artifactId": "a", "parts": ["1", "2"]},
            {"artifactId": "b", "parts": ["y"]},
        ]
        assert await store.artifacts(text_id("nobody")) == []

    async def test_a_step_that_begins_an_artifact_anew_takes_back_its_own_chunks_only(self, store: Store) -> None:
        key = await start(store, "r1")
        rows = [
            _chunk(key, "a", ["of 1"], step=1),
            _chunk(key, "a", ["broken off"], append=True, step=2),
            _chunk(key, "a", ["again"], append=True, step=2, anew=True),
            _chunk(key, "a", ["more"], append=True, step=2),
        ]
        await store.commit([RunChange(key, key, 1, artifacts=rows)])
        [whole] = await store.artifacts(text_id("r1"))
        assert whole["parts"] == ["of 1", "again", "more"]

    async def test_each_chunk_and_message_has_the_generation_of_its_event(self, store: Store) -> None:
        key = await start(store, "r1")
        events = [note("a"), bump("artifact"), bump("message"), bump("artifact"), bump("run_status")]
        rows = [_chunk(key, "a", ["1"], last_chunk=False), _chunk(key, "a", ["2"], append=True)]
        messages = [MessageRow(None, b"1", 1.0, "m1", "agent")]
        await store.commit([RunChange(key, key, 1, artifacts=rows, messages=messages, events=events)])
        chunks = await store.chunks(text_id("r1"))
        assert [(number, chunk.append, chunk.last_chunk) for number, chunk in chunks] == [
            (2, False, False),
            (4, True, True),
        ]
        assert [number for number, _ in await store.chunks(text_id("r1"), after=2)] == [4]
        [message] = await store.history(text_id("r1"))
        assert (message.id, message.role, message.generation, message.data) == ("m1", "agent", 3, 1)

    async def test_the_log_of_a_task_is_read_by_its_generation(self, store: Store) -> None:
        key = await start(store, "r1")
        task = wait_task(key, "w1")
        await store.commit([parked(key, key, task)])
        await store.answer(task.id, {"value": 7}, by="ann", door="cli", message_id="m1", at=120.0)
        log = await store.task_log(task.id)
        assert [(event.generation, event.type) for event in log] == [(1, "step_waiting"), (2, "step_resumed")]
        assert await store.task_log(task.id, after=1) == log[1:]
        assert await store.task_log(task.id, limit=1) == log[:1]
        assert [event.type for event in await store.task_log(text_id("r1"))] == ["run_started"]
        assert await store.task_log(text_id("nobody")) == []

    async def test_messages_belong_to_their_task(self, store: Store) -> None:
        key = await start(store, "r1")
        task = wait_task(key, "w1")
        messages = [MessageRow(None, b"1", 1.0), MessageRow(task.id, b"2", 1.0), MessageRow(None, b"3", 1.0)]
        await store.commit([RunChange(key, key, 1, tasks=[task], messages=messages)])
        assert [message.data for message in await store.history(text_id("r1"))] == [1, 3]
        assert [message.data for message in await store.history(text_id("r1"), limit=1)] == [3]
        assert [message.data for message in await store.history(task.id)] == [2]
        assert [message.data for message in await store.history(task.id, tree=True)] == [2]
        child = await start_child(store, "c1", key, key)
        await store.commit([RunChange(child, key, 1, messages=[MessageRow(None, b"4", 1.0)])])
        await store.answer(task.id, {"value": 7}, by="ann", door="cli", message_id="m1", at=120.0)
        whole = await store.history(text_id("r1"), tree=True)
        answer = {"messageId": "m1", "role": "user", "parts": [{"data": 7}]}
        assert [message.data for message in whole] == [1, 2, 3, 4, answer]
        assert await store.history(text_id("r1"), limit=2, tree=True) == whole[-2:]
        assert await store.history(text_id("nobody")) == []

    async def test_the_message_that_starts_a_run_is_the_first_of_its_history(self, store: Store) -> None:
        store.holder = "host-a"
        key = await fresh(store)
        begins = new_run("r1", message=b'{"parts":[]}', message_id="m1")
        said = MessageRow(None, b"2", 101.0)
        events = [bump("run_started"), bump("message")]
        await store.commit([RunChange(key, key, 1, create=begins, events=events, messages=[said])])
        first, second = await store.history(text_id("r1"))
        assert (first.id, first.role, first.generation, first.data) == ("m1", "user", 1, {"parts": []})
        assert (second.role, second.generation) == ("agent", 2)
        run = await store.get_run(text_id("r1"))
        assert run is not None
        assert run.start_message == b'{"parts":[]}'

    async def test_an_answer_is_a_message_of_its_wait(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([parked(key, key, wait_task(key, "w1"), wait_task(key, "w2", 1))])
        await store.answer(text_id("w1"), {"value": [7]}, by="ann", door="cli", message_id="m1", at=120.0)
        await store.answer(
            text_id("w2"), {"value": 8}, by="ann", door="a2a", message_id="m2", at=121.0, message=b'{"parts":[1]}'
        )
        [one] = await store.history(text_id("w1"))
        assert (one.id, one.role, one.generation, one.at) == ("m1", "user", 2, 120.0)
        assert one.data == {"messageId": "m1", "role": "user", "parts": [{"data": [7]}]}
        assert [message.data for message in await store.history(text_id("w2"))] == [{"parts": [1]}]

    async def test_a_message_names_the_wait_that_it_has_answered(self, store: Store) -> None:
        key, other = await start(store, "r1"), await start(store, "r2")
        await store.commit([parked(key, key, wait_task(key, "w1"), wait_task(key, "w2", 1))])
        assert await store.answered(key, "m1") is None
        await store.answer(text_id("w1"), {"value": 7}, by="ann", door="cli", message_id="m1", at=120.0)
        view = await store.answered(key, "m1")
        assert view is not None
        assert (view.task.id, view.answer) == (text_id("w1"), {"value": 7})
        assert await store.answered(other, "m1") is None
        assert await store.answered(key, "m2") is None

    async def test_what_an_event_answers_is_no_message(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([parked(key, key, wait_task(key, "w1", kind="event"))])
        await store.answer(text_id("w1"), {"value": 1}, by="event", door="event", message_id=None, at=120.0)
        assert await store.history(text_id("w1")) == []

    async def test_waits_are_shown_to_the_owner_to_assignees_and_to_members_of_groups(self, store: Store) -> None:
        key = await start(store, "r1", owner="ann", tenant="acme")
        tasks = [
            wait_task(key, "w1"),
            wait_task(key, "w2", 1)._replace(assignees=("bob",)),
            wait_task(key, "w3", 2)._replace(assignees=("group:law", "eve")),
        ]
        await store.commit([parked(key, key, *tasks)])

        async def shown(owner: str, tenant: str = "acme", *groups: str) -> list[str]:
            who = Principal(owner, tenant, groups=groups)
            seen = await store.list_tasks(principal=who)
            assert seen == await store.list_tasks(run_id=text_id("r1"), principal=who)
            return [view.task.id[-2:] for view in seen]

        assert await shown("ann") == ["w1", "w2", "w3"]
        assert await shown("bob") == ["w2"]
        assert await shown("carl", "acme", "law") == await shown("eve") == ["w3"]
        assert await shown("law") == await shown("group:law") == await shown("carl") == []
        assert await shown("ann", "other") == await shown("bob", "other") == await shown("ann", "") == []
        await store.answer(text_id("w2"), {"value": 1}, by="bob", door="cli", message_id=None, at=120.0)
        assert await shown("bob") == []

    async def test_a_run_tells_when_its_state_last_changed_or_it_asked_anew(self, store: Store) -> None:
        key = await start(store, "r1", tenant="acme", agent="helper", retention=60.0)
        await store.commit([RunChange(key, key, 1, events=[EventRow("x", None, None, 150.0)])])
        await store.commit([RunChange(key, key, 1, patch=RunPatch(160.0, "working", message="on"))])
        before = await store.get_run(text_id("r1"))
        await store.commit([RunChange(key, key, 1, patch=RunPatch(170.0, "input-required"))])
        after = await store.get_run(text_id("r1"))
        await store.commit([RunChange(key, key, 1, patch=RunPatch(180.0, "input-required"))])
        anew = await store.get_run(text_id("r1"))
        assert before is not None
        assert after is not None
        assert anew is not None
        assert (before.changed_at, after.changed_at, anew.changed_at) == (100.0, 170.0, 180.0)
        assert (after.tenant, after.agent, after.retention) == ("acme", "helper", 60.0)
