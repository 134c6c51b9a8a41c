"""Lists of tasks: runs and waits in the order of their last change, page by page, each shown to whom it concerns."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from typing import Any

from agentflow.principal import Principal
from agentflow.store.contract import Store
from agentflow.store.rows import RunChange, RunPatch
from agentflow.store.views import TaskQuery
from agentflow.testing.store_suite.builders import ending, parked, start, start_child, text_id, wait_task

ANN = Principal("ann", "acme")


async def _names(store: Store, **query: Any) -> list[str]:
    page = await store.task_page(TaskQuery(**query))
    assert page.total == len(page.tasks)
    return [task.id.lstrip("0") for task in page.tasks]


async def _some(store: Store) -> None:
    """Make runs of ann's and bob's in one tenant; w1 waits in a child of ann's r1, bob's w2 is assigned to ann."""
    one = await start(store, "r1", created_at=10.0, owner="ann", tenant="acme", context_id="talk")
    two = await start(store, "r2", created_at=20.0, owner="ann", tenant="acme")
    three = await start(store, "r3", created_at=30.0, owner="bob", tenant="acme")
    child = await start_child(store, "c1", one, one, owner="ann", tenant="acme")
    await store.commit([parked(child, one, wait_task(child, "w1", at=40.0))])
    await store.commit([ending(two, two, at=50.0)])
    wait = wait_task(three, "w2", 0, "tool", at=60.0)._replace(assignees=("ann",))
    await store.commit([RunChange(three, three, 1, patch=RunPatch(60.0, "input-required"), tasks=[wait])])


class ListingSuite:
    """Task lists."""

    async def test_lists_of_one_agent_hold_nothing_of_others(self, store: Store) -> None:
        for name, agent, at in (("r1", "desk", 10.0), ("r2", "shop", 20.0), ("r3", "", 30.0)):
            run = await start(store, name, created_at=at, agent=agent, context_id="talk")
            await store.commit([parked(run, run, wait_task(run, name.replace("r", "w"), at=at + 1))])
        assert await _names(store, agents=["desk"]) == ["r1", "w1"]
        assert await _names(store, agents=["desk", ""]) == ["r3", "r1", "w3", "w1"]
        assert await _names(store, agents=["shop"], context_id="talk") == ["r2", "w2"]
        assert await _names(store, agents=["shop"], kinds=["input"], changed_since=5.0) == ["w2"]
        assert await _names(store, agents=[]) == []

    async def test_tasks_are_runs_and_waits_those_first_that_changed_last(self, store: Store) -> None:
        await _some(store)
        assert await _names(store) == ["w2", "r3", "r2", "w1", "r1"]
        assert await _names(store, kinds=("run",)) == ["r3", "r2", "r1"]
        assert await _names(store, kinds=("tool", "input")) == ["w2", "w1"]
        assert await _names(store, states=("input-required",)) == ["w2", "r3", "w1"]
        assert await _names(store, states=("working", "completed")) == ["r2", "r1"]
        assert await _names(store, changed_since=50.0) == ["w2", "r3", "r2"]
        assert await _names(store, context_id="talk") == ["w1", "r1"]
        assert await _names(store, context_id="talk", states=("working",)) == ["r1"]
        assert await _names(store, context_id="other") == []

    async def test_a_principal_is_listed_its_own_tasks_and_open_waits_that_are_assigned_to_it(
        self, store: Store
    ) -> None:
        await _some(store)
        assert await _names(store, principal=ANN) == ["w2", "r2", "w1", "r1"]
        assert await _names(store, principal=ANN, context_id="talk") == ["w1", "r1"]
        assert await _names(store, principal=Principal("bob", "acme")) == ["w2", "r3"]
        assert await _names(store, principal=Principal("ann", "other")) == []
        assert await _names(store, principal=ANN, states=("input-required",), kinds=("tool",)) == ["w2"]
        await store.answer(text_id("w2"), {"value": 1}, by="ann", door="api", message_id=None, at=70.0)
        assert await _names(store, principal=ANN) == ["r2", "w1", "r1"]

    async def test_a_listed_task_tells_what_it_is(self, store: Store) -> None:
        await _some(store)
        [wait] = (await store.task_page(TaskQuery(kinds=("input",)))).tasks
        assert (wait.run_id, wait.step, wait.state, wait.message) == (
            text_id("c1"),
            "step0",
            "input-required",
            "Go on?",
        )
        assert (wait.context_id, wait.tenant, wait.owner, wait.generation) == ("talk", "acme", "ann", 1)
        [run] = (await store.task_page(TaskQuery(states=("completed",)))).tasks
        assert (run.kind, run.run_id, run.step, run.created_at, run.changed_at) == ("run", run.id, None, 20.0, 50.0)

    async def test_pages_of_tasks_miss_none_and_repeat_none(self, store: Store) -> None:
        for n in range(12):
            key = await start(store, f"r{n:02}", owner="ann", tenant="acme", context_id="talk")
            if n % 3 == 0:
                await store.commit([ending(key, key, at=100.0 + n // 6)])
            elif n % 3 == 1:
                await store.commit([parked(key, key, wait_task(key, f"w{n:02}"))])
        both: dict[str, Any] = {"principal": ANN, "context_id": "talk"}
        shown: tuple[dict[str, Any], ...] = ({}, {"principal": ANN}, {"context_id": "talk"}, both)
        for fields in shown:
            whole = (await store.task_page(TaskQuery(limit=100, **fields))).tasks
            pages: list[Any] = []
            after: tuple[float, str] | None = None
            while page := await store.task_page(TaskQuery(limit=3, after=after, **fields)):
                assert page.total == 16
                if not page.tasks:
                    break
                pages += page.tasks
                after = page.tasks[-1].place
            assert pages == whole
            assert len({task.id for task in pages}) == 16
            assert [task.place for task in pages] == sorted((task.place for task in pages), reverse=True)
