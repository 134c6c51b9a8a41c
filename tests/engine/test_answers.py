"""An answer is one path and one commit, whoever holds the tree; of two that come at once one counts."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentflow.engine import Answer, Engine
from agentflow.errors import ConflictError, InputError
from agentflow.steps import parallel, set_, wait_for_event, wait_for_input
from tests.engine.hands import Gate
from tests.engine.held import Held, held_store
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

WAITS = [wait_for_input(name, message="?", execution="parallel") for name in ("one", "two")]


@pytest.mark.parametrize("held", [True, False], ids=["held here", "held by nobody"])
async def test_an_answer_takes_one_commit_with_what_follows_from_it(lab: Lab, tmp_path: Path, held: bool) -> None:
    gate = Gate("done")
    beside = [lab.call("work", gate, execution="parallel")] if held else []
    after = lab.call("after", lambda: 1)
    flow = lab.workflow(*beside, wait_for_input("ask", message="?", execution="parallel"), after)
    async with held_store(tmp_path / "runs.db") as store, store.open(lab, flow) as engine:
        run = await engine.start("main")
        if held:
            await gate.inside()
        else:
            await engine.wait(run.id)
        await anyio.wait_all_tasks_blocked()
        (wait,) = await engine.waits(run.id)
        before, store.after = len(store.commits), True
        store.hold()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.resume, wait.id, Answer("yes"))
            await store.entered()
            phases = {row.address: row.phase for row in await engine.steps(run.id) if row.address in {"ask", "after"}}
            kinds = [event.type for event in await engine.store.events(run.id)]
            assert len(store.commits) - before == 1
            assert phases == ({"ask": None} if held else {"ask": None, "after": "run"})
            assert kinds[kinds.index("step_resumed") :][:2] == ["step_resumed", "step_completed"]
            store.let_go()
        gate.open()
        done = await lab.finish(engine, run)
    assert (done.state, done.results["ask"], done.kinds.count("step_resumed")) == ("completed", "yes", 1)


async def test_of_two_answers_at_once_the_first_that_is_stored_counts_and_what_else_came_is_done_again(
    lab: Lab, tmp_path: Path
) -> None:
    """Somebody in another process is quicker, while this one's answers are about to be committed."""
    gate = Gate("held")
    box, after = parallel("box", steps=WAITS, execution="parallel"), set_("after", value="{steps.box}")
    beside = lab.workflow(lab.call("work", gate, execution="parallel"), box, after)
    async with held_store(tmp_path / "runs.db") as store, store.open(lab, beside) as engine:
        run = await engine.start("main")
        await gate.inside()
        await anyio.wait_all_tasks_blocked()
        waits = {wait.step: wait for wait in await engine.waits(run.id)}
        refused = await answer_both(store, engine, [waits["box/one"].id, waits["box/two"].id])
        assert refused == [waits["box/one"].id]
        gate.open()
        done = await lab.finish(engine, run)
    assert done.results["after"] == {"one": "theirs", "two": "ours"}
    assert done.kinds.count("step_resumed") == 2
    assert (done.state, gate.entered) == ("completed", 1)


async def answer_both(store: Held, engine: Engine, ids: list[str]) -> list[str]:
    """Answer two waits at once, the first of which is answered by somebody else before that is committed."""
    refused: list[str] = []

    async def answers(task: str) -> None:
        try:
            await engine.resume(task, Answer("ours"))
        except ConflictError:
            refused.append(task)

    store.hold()
    with anyio.fail_after(LIMIT):
        async with anyio.create_task_group() as group:
            for task in ids:
                group.start_soon(answers, task)
            await store.entered()
            await store.store.answer(ids[0], {"value": "theirs"}, by="other", door="api", message_id=None, at=0.0)
            store.let_go()
    return refused


@pytest.mark.parametrize("held", [True, False], ids=["held here", "held by nobody"])
async def test_a_message_that_has_answered_a_wait_answers_no_other_by_that_ones_id(lab: Lab, held: bool) -> None:
    gate = Gate("done")
    beside = [lab.call("work", gate, execution="parallel")] if held else []
    with anyio.fail_after(LIMIT):
        async with lab.open(lab.workflow(*beside, *WAITS)) as engine:
            run = await engine.start("main")
            if held:
                await gate.inside()
            else:
                await engine.wait(run.id)
            await anyio.wait_all_tasks_blocked()
            first, second = sorted(await engine.waits(run.id), key=lambda wait: wait.step)
            await engine.resume(first.id, Answer("yes"), message_id="m1")
            again = await engine.resume(second.id, Answer("yes"), message_id="m1")
            assert (again.id, again.step) == (first.id, "one")
            other = await engine.resume(second.id, Answer("no"), message_id="m1")
            assert (other.id, other.answer) == (first.id, {"value": "yes"})
            assert [wait.step for wait in await engine.waits(run.id)] == ["two"]
            await engine.resume(second.id, Answer("yes"), message_id="m2")
            gate.open()
            assert (await engine.wait(run.id)).state == "completed"


async def test_of_one_message_that_comes_to_two_waits_at_once_one_answer_counts(lab: Lab) -> None:
    with anyio.fail_after(LIMIT):
        async with lab.open(lab.workflow(*WAITS)) as engine:
            run = await engine.wait((await engine.start("main")).id)
            answered: list[str] = []

            async def answer(wait: str) -> None:
                answered.append((await engine.resume(wait, Answer("yes"), message_id="m1")).step)

            async with anyio.create_task_group() as group:
                for wait in await engine.waits(run.id):
                    group.start_soon(answer, wait.id)
            (left,) = await engine.waits(run.id)
            assert set(answered) == {"one", "two"} - {left.step}


async def test_an_answer_is_no_event(lab: Lab) -> None:
    with anyio.fail_after(LIMIT):
        async with lab.open(lab.workflow(wait_for_event("paid", topic="paid"))) as engine:
            run = await engine.wait((await engine.start("main")).id)
            for name in (run.id, (await engine.waits(run.id))[0].id):
                with pytest.raises(InputError, match="waits for an event, not for an answer"):
                    await engine.resume(name, Answer({"sum": 3}))
            await engine.publish("paid", {"sum": 4})
            assert (await engine.wait(run.id)).output == {"sum": 4}
