"""Retrying a run by a mended definition: kept is what neither changes nor follows from a change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from agentflow.definition.models import Step, Workflow
from agentflow.engine import RetryPlan
from agentflow.errors import ConflictError, InputError, NotFoundError
from agentflow.steps import delay, parallel, sequence, set_, workflow
from agentflow.store import open_store
from agentflow.store.contract import Store
from agentflow.testing import RunOutcome
from tests.engine.hands import Fails
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store() -> AsyncGenerator[Store]:
    made = await open_store(":memory:")
    yield made
    await made.close()


class Mender:
    """Runs one definition, then retries the run by another one."""

    def __init__(self, lab: Lab, store: Store) -> None:
        self.lab = lab
        self.store = store
        self.run = ""

    async def first(self, *flows: Workflow, given: Any = None, entry_point: str | None = None) -> RunOutcome:
        async with self.lab.open(*flows, store=self.store) as engine:
            done = await self.lab.finish(engine, await engine.start("main", given, entry_point=entry_point))
        self.run = done.run.id
        return done

    async def plan(self, *flows: Workflow, start: str | None = None, new: bool = True) -> RetryPlan:
        async with self.lab.open(*flows, store=self.store) as engine:
            plan = await engine.retry(self.run, start, new_definition=new, dry_run=True)
        assert isinstance(plan, RetryPlan)
        return plan

    async def again(self, *flows: Workflow, start: str | None = None) -> RunOutcome:
        async with self.lab.open(*flows, store=self.store) as engine:
            return await self.lab.finish(engine, await engine.retry(self.run, start, new_definition=True))  # type: ignore[arg-type]


@pytest.fixture
def mender(lab: Lab, store: Store) -> Mender:
    return Mender(lab, store)


def flow(*steps: Step, **fields: Any) -> Workflow:
    return Workflow(id="main", steps=steps, **fields)


async def test_a_run_that_failed_by_a_mistake_in_its_config_goes_on_with_the_mended_one(
    lab: Lab, mender: Mender
) -> None:
    costly = Fails(0, {"total": 7})
    fetch = lab.call("fetch", costly)
    wrong, right = set_("sum", value="{steps.fetch.totl}"), set_("sum", value="{steps.fetch.total}")
    assert (await mender.first(flow(fetch, wrong))).state == "failed"
    assert (await mender.plan(flow(fetch, right), new=False)).new_definition is False
    plan = await mender.plan(flow(fetch, right))
    assert (plan.kept, plan.again, plan.changed, plan.from_step) == (["fetch"], ["sum"], ["sum"], "sum")
    assert plan.new_definition is True
    done = await mender.again(flow(fetch, right))
    assert (done.state, done.output, costly.calls) == ("completed", 7, 1)
    assert done.run.definition != (await mender.first(flow(fetch, wrong))).run.definition


@pytest.mark.parametrize(
    ("mended", "kept", "changed"),
    [
        pytest.param([("a", 1), ("b", 2), ("c", 3)], ["a", "b", "c"], [], id="nothing"),
        pytest.param([("a", 1), ("b", 9), ("c", 3)], ["a"], ["b"], id="a step in the middle"),
        pytest.param([("a", 1), ("x", 0), ("b", 2), ("c", 3)], ["a"], ["x", "b"], id="a step put between"),
        pytest.param([("a", 1), ("c", 3)], ["a"], ["c"], id="a step taken away"),
        pytest.param([("b", 2), ("a", 1), ("c", 3)], [], ["b", "a", "c"], id="another order"),
        pytest.param([("a", 1), ("b", 2), ("c", 3), ("d", 4)], ["a", "b", "c"], ["d"], id="a step at the end"),
    ],
)
async def test_what_follows_from_a_change_runs_again(
    mender: Mender, mended: Sequence[tuple[str, int]], kept: list[str], changed: list[str]
) -> None:
    await mender.first(flow(*(set_(name, value=value) for name, value in (("a", 1), ("b", 2), ("c", 3)))))
    plan = await mender.plan(flow(*(set_(name, value=value) for name, value in mended), label="new"))
    assert (plan.kept, plan.changed) == (kept, changed)
    assert plan.again == [name for name, _ in mended if name not in kept]


async def test_steps_beside_a_change_and_a_changed_label_are_kept(mender: Mender) -> None:
    sides = [set_("l", value=1, execution="parallel"), set_("r", value=2, execution="parallel")]
    await mender.first(flow(*sides, set_("end", value=3)))
    plan = await mender.plan(
        flow(set_("l", value=1, execution="parallel", label="Left"), set_("r", value=0, execution="parallel"),
             set_("end", value=3))
    )  # fmt: skip
    assert (plan.kept, plan.changed, plan.again) == (["l"], ["r"], ["r", "end"])


async def test_from_a_step_means_it_too_and_it_is_one_of_the_new_definition(mender: Mender) -> None:
    old = [set_("a", value=1), set_("b", value=2), set_("c", value=3)]
    await mender.first(flow(*old))
    plan = await mender.plan(flow(*old, set_("d", value=4)), start="b")
    assert (plan.kept, plan.again) == (["a"], ["b", "c", "d"])
    with pytest.raises(NotFoundError, match='has no step "b"'):
        await mender.plan(flow(set_("a", value=1)), start="b")


async def test_a_failed_step_that_is_gone_and_a_mended_output_need_no_step_again(lab: Lab, mender: Mender) -> None:
    await mender.first(flow(set_("a", value=1), lab.call("gone", Fails())))
    done = await mender.again(flow(set_("a", value=1), output="{steps.a}"))
    assert (done.state, done.output, done.tries) == ("completed", 1, {"a": 0})


async def test_a_changed_sub_workflow_changes_the_steps_that_call_it(lab: Lab, mender: Mender) -> None:
    costly = Fails(0, "x")
    main = flow(lab.call("a", costly), workflow("call", workflow="mid"), set_("z", value="{steps.call}"))
    middle = Workflow(id="mid", steps=[workflow("inner", workflow="leaf")])

    def leaf(text: str) -> Workflow:
        return Workflow(id="leaf", steps=[set_("say", value=text)])

    assert (await mender.first(main, middle, leaf("{input.nope}"))).state == "failed"
    plan = await mender.plan(main, middle, leaf("good"))
    assert (plan.kept, plan.changed, plan.again) == (["a"], ["call"], ["call", "z"])
    done = await mender.again(main, middle, leaf("good"))
    assert (done.state, done.output, costly.calls) == ("completed", "good", 1)


async def test_steps_that_use_shared_keys_run_again_when_the_keys_change(mender: Mender) -> None:
    steps = [set_("a", value=1), set_("b", value=2, update={"log": "b"}), set_("c", value="{context.log}")]
    await mender.first(flow(*steps, context={"log": {"default": [], "reducer": "append"}}))
    plan = await mender.plan(flow(*steps, context={"log": {"default": ["x"], "reducer": "append"}}))
    assert (plan.kept, plan.changed) == (["a"], ["b", "c"])
    done = await mender.again(flow(*steps, context={"log": {"default": ["x"], "reducer": "append"}}))
    assert done.output == ["x", "b"]


async def test_a_kept_container_keeps_its_result(mender: Mender) -> None:
    box = parallel("box", steps=[set_("l", value=1), set_("r", value=2)])
    await mender.first(flow(box, set_("end", value="{steps.box.r.nope}")))
    done = await mender.again(flow(box, set_("end", value="{steps.box.r}")))
    assert (done.state, done.output) == ("completed", 2)


async def test_the_old_input_must_fit_the_new_definition(mender: Mender) -> None:
    await mender.first(flow(set_("a", value=1)), given={"n": "many"})
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"default": 5}}}
    with pytest.raises(InputError):
        await mender.plan(flow(set_("a", value=1), input_schema=schema))
    schema["properties"]["n"] = {"type": "string"}  # type: ignore[index]
    done = await mender.again(flow(set_("a", value=1), set_("b", value="{input.m}"), input_schema=schema))
    assert done.output == 5


async def test_a_changed_entry_point_is_entered_anew(mender: Mender) -> None:
    steps = [set_("a", value=1), set_("b", value=2), set_("c", value=3)]
    await mender.first(flow(*steps, entry_points=[{"id": "late", "starts_at": "c"}]), entry_point="late")
    done = await mender.again(flow(*steps, entry_points=[{"id": "late", "starts_at": "b"}]))
    assert (done.reasons["a"], done.states["b"]) == ("entry_point", "completed")
    with pytest.raises(NotFoundError, match='no entry point "late" any more'):
        await mender.plan(flow(*steps))


async def test_a_workflow_that_the_config_has_no_more_is_told(lab: Lab, mender: Mender) -> None:
    await mender.first(flow(set_("a", value=1)))
    with pytest.raises(NotFoundError, match='no workflow "main" any more'):
        await mender.plan(Workflow(id="other", steps=[set_("a", value=1)]))


async def test_a_child_run_names_its_root_and_the_command_that_retries_it(lab: Lab) -> None:
    leaf = Workflow(id="leaf", steps=[lab.call("say", Fails())])
    main = flow(sequence("box", steps=[workflow("call", workflow="leaf")]), delay("nap", for_="1s"))
    async with lab.open(main, leaf) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        child = (await engine.store.list_steps(done.run.id))[1].task
        assert child is not None
        with pytest.raises(ConflictError) as caught:
            await engine.retry(child)
    root = done.run.id[-6:]
    assert caught.value.code == "AF-RUN-CHILD"
    assert caught.value.what == f'run {child[-6:]} was started by step "box/call" of run {root}, and is retried with it'
    assert caught.value.hint == f"agentflow runs retry {root} --from box"
