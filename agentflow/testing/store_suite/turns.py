"""Tasks of agents' turns: listed like others, no waits, with messages and artifacts of their own."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from agentflow.store.contract import Store
from agentflow.store.rows import ArtifactRow, MessageRow, RunChange, TaskRow
from agentflow.store.slot_rows import SlotRow
from agentflow.store.views import TaskQuery
from agentflow.testing.store_suite.builders import bump, ending, start, step, text_id, wait_task


def _turn(run: int, name: str, n: int = 0) -> TaskRow:
    return wait_task(run, name, n, "agent")._replace(state="working", details=b'{"agent":"helper"}')


def _opened(run: int, name: str, n: int = 0) -> RunChange:
    """Describe a turn that begins with what it asks."""
    task = _turn(run, name, n)
    said = MessageRow(task.id, b'{"role":"user"}', 100.0, f"m-{name}", "user")
    events = [bump("task_opened", task.step, task=task.id), bump("message", task.step, task=task.id)]
    return RunChange(run, run, 1, tasks=[task], messages=[said], events=events)


class TurnSuite:
    """What agents' turns are in a store."""

    async def test_a_turn_is_a_listed_task_and_no_wait(self, store: Store) -> None:
        key = await start(store, "r1", created_at=50.0)
        asking = _turn(key, "t2", 1)._replace(state="input-required", updated_at=120.0)
        await store.commit([_opened(key, "t1"), RunChange(key, key, 1, tasks=[asking])])
        page = await store.task_page(TaskQuery())
        assert [(task.id[-2:], task.kind, task.step) for task in page.tasks] == [
            ("t2", "agent", "step1"),
            ("t1", "agent", "step0"),
            ("r1", "run", None),
        ]
        assert (await store.list_tasks(), await store.find("t1", "wait")) == ([], [])
        view = await store.get_task(text_id("t1"))
        assert view is not None
        assert (view.task.kind, view.task.details, view.run_id, view.generation) == (
            "agent", b'{"agent":"helper"}', text_id("r1"), 2,
        )  # fmt: skip

    async def test_a_turn_changes_its_state_and_what_has_ended_stays_so(self, store: Store) -> None:
        key = await start(store, "r1")
        await store.commit([_opened(key, "t1")])

        async def state() -> tuple[str, float, bytes | None]:
            view = await store.get_task(text_id("t1"))
            assert view is not None
            return view.task.state, view.task.updated_at, view.task.details

        task = _turn(key, "t1")._replace(details=None)
        asks = task._replace(state="input-required", updated_at=110.0)
        goes_on = task._replace(updated_at=120.0)
        await store.commit([RunChange(key, key, 1, tasks=[asks])])
        assert await state() == ("input-required", 110.0, b'{"agent":"helper"}')
        await store.commit([RunChange(key, key, 1, tasks=[goes_on])])
        assert await state() == ("working", 120.0, b'{"agent":"helper"}')
        closed = RunChange(key, key, 1, close_tasks=[(task.id, "failed", "no")])
        closed.events = [bump("task_closed", "step0", at=130.0, task=task.id)]
        await store.commit([closed])
        await store.commit([RunChange(key, key, 1, tasks=[goes_on]), ending(key, key, at=140.0)])
        assert (await state())[0] == "failed"
        assert [event.type for event in await store.task_log(task.id)] == ["task_opened", "message", "task_closed"]

    async def test_what_an_agent_says_and_gives_is_its_turns_and_has_the_generations_of_its_events(
        self, store: Store
    ) -> None:
        key = await start(store, "r1")
        await store.commit([_opened(key, "t1")])
        task = text_id("t1")

        def chunk(name: str, of: str | None) -> ArtifactRow:
            return ArtifactRow(key, name, False, f'{{"artifactId":"{name}"}}'.encode(), 100.0, task=of)

        change = RunChange(key, key, 1, artifacts=[chunk("own", None), chunk("given", task)])
        change.messages = [MessageRow(task, b"1", 100.0), MessageRow(None, b"2", 100.0), MessageRow(task, b"3", 100.0)]
        change.events = [
            bump("artifact"),
            bump("artifact", "step0", task=task),
            bump("message", "step0", task=task),
            bump("message"),
            bump("message", "step0", task=task),
            bump("task_closed", "step0", task=task),
        ]
        await store.commit([change])
        assert await store.artifacts(text_id("r1")) == [{"artifactId": "own", "parts": []}]
        assert await store.artifacts(task) == [{"artifactId": "given", "parts": []}]
        assert [(number, row.task) for number, row in await store.chunks(task)] == [(3, task)]
        assert await store.chunks(task, after=3) == []
        said = [(one.generation, one.role, one.data) for one in await store.history(task)]
        assert said == [(2, "user", {"role": "user"}), (4, "agent", 1), (5, "agent", 3)]
        for tree in (False, True):  # whoever talks with the run hasn't talked with the agent
            assert [(one.generation, one.data) for one in await store.history(text_id("r1"), tree=tree)] == [(3, 2)]

    async def test_a_turn_whose_step_has_to_queue_is_not_opened(self, store: Store) -> None:
        one, two = await start(store, "r1"), await start(store, "r2")
        changes: list[RunChange] = []
        for key, name in ((one, "t1"), (two, "t2")):
            change = _opened(key, name)
            change.steps = [step(key, 0, phase="run", attempt=1)]
            change.unclaimed = [step(key, 0, phase=None, attempt=0)]
            change.slots = [SlotRow(0, "gpu", 1)]
            change.events.append(bump("step_started", "step0"))
            changes.append(change)
        assert list(await store.commit(changes)) == []
        assert [row.n for row in changes[1].queued] == [0]
        assert [task.id[-2:] for task in (await store.task_page(TaskQuery(kinds=("agent",)))).tasks] == ["t1"]
        assert [len(await store.history(text_id(name))) for name in ("t1", "t2")] == [1, 0]
        assert [event.type for event in await store.events(text_id("r2"))] == ["run_started"]
