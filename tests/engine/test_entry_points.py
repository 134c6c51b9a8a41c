"""Entry points: what stands before `starts_at` is skipped, with preset results."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.config import load_config
from agentflow.definition.models import EntryPoint, Step
from agentflow.engine import Answer, Engine
from agentflow.errors import InputError, NotFoundError
from agentflow.steps import set_, wait_for_input
from agentflow.testing import RunOutcome
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

GRADING = Path(__file__).parents[2] / "examples" / "distri" / "agentflow.yaml"
REVIEW = {"approved": True, "note": "well done"}
ESSAY = {"doc_id": "essay-1"}


def chain(lab: Lab, last: Any = None) -> list[Step]:
    """detect → content → eval → grade, each a function that counts itself."""
    steps = [set_("detect", value=1), set_("content", value=2), set_("eval", value={"rubric_id": "from eval"})]
    return [*steps, last or set_("grade", value="{steps.eval.rubric_id}")]


def entry(name: str, starts_at: str, **fields: Any) -> dict[str, Any]:
    return {"entry_points": (EntryPoint(id=name, starts_at=starts_at, **fields),)}


async def start(lab: Lab, steps: list[Step], **fields: Any) -> RunOutcome:
    """Start at the one entry point of a workflow, and look at what became of it."""
    async with lab.open(lab.workflow(*steps, **fields)) as engine:
        run = await engine.start("main", entry_point=fields["entry_points"][0].id)
        return await lab.finish(engine, run)


@pytest.mark.case("D-EP-1", "D-EP-4")
async def test_steps_before_the_start_are_canceled_and_a_preset_is_their_result(lab: Lab) -> None:
    gate = Gate()
    steps = chain(lab, lab.call("grade", gate))
    fields = entry("grade_only", "grade", preset_results={"eval": {"rubric_id": "preset"}})
    async with lab.open(lab.workflow(*steps, set_("show", value="{steps.eval.rubric_id}"), **fields)) as engine:
        run = await engine.start("main", entry_point="grade_only")
        await gate.inside()
        now = await lab.look(engine, run.id)
        assert [now.states[name] for name in ("detect", "content", "eval")] == ["canceled"] * 3
        assert {now.reasons[name] for name in ("detect", "content", "eval")} == {"entry_point"}
        assert (now.states["show"], now.results["eval"]) == ("submitted", {"rubric_id": "preset"})
        gate.open()
        assert (await lab.finish(engine, run)).output == "preset"


@pytest.mark.case("D-EP-2", "D-EP-5")
async def test_a_run_from_the_third_of_four_steps_skips_two_and_completes(lab: Lab) -> None:
    done = await start(lab, chain(lab), **entry("mid", "eval"))
    assert list(done.states.values()) == [*["canceled"] * 2, *["completed"] * 2]
    assert (done.state, done.output) == ("completed", "from eval")


@pytest.mark.case("D-EP-3")
async def test_an_unknown_entry_point_is_refused_and_makes_no_run(lab: Lab) -> None:
    async with lab.open(lab.workflow(*chain(lab), **entry("mid", "eval"))) as engine:
        with pytest.raises(NotFoundError, match="Entry point 'midd' not found") as caught:
            await engine.start("main", entry_point="midd")
        assert caught.value.hint == 'did you mean "mid"?'
        assert not await engine.list()


@pytest.mark.case("D-EP-6")
async def test_a_fan_out_before_the_start_is_skipped_as_a_whole(lab: Lab) -> None:
    steps = [
        set_("a", value=1, execution="parallel"),
        set_("b", value=2, execution="parallel"),
        set_("merge", value=["{steps.a?}", "{steps.b?}"], depends_on=["a", "b"]),
        set_("report", value="{steps.merge}", depends_on="merge"),
    ]
    done = await start(lab, steps, **entry("merged", "merge"))
    assert list(done.states.values()) == ["canceled", "canceled", "completed", "completed"]
    assert done.output == [None, None]


@pytest.mark.case("D-EP-10")
async def test_a_skip_if_on_a_step_that_the_entry_point_skips_changes_nothing(lab: Lab) -> None:
    steps = [set_("a", value=1, skip_if=True), set_("b", value=2)]
    done = await start(lab, steps, **entry("b", "b"))
    assert (done.state, done.reasons["a"]) == ("completed", "entry_point")


@pytest.mark.case("D-EP-14")
async def test_a_step_that_is_not_connected_to_the_start_is_skipped(lab: Lab) -> None:
    steps = [set_("a", value=1, execution="parallel"), wait_for_input("b", message="?", execution="parallel")]
    done = await start(lab, steps, **entry("b", "b"))
    assert done.states == {"a": "canceled", "b": "input-required"}


def grading(lab: Lab, store: Path | str = ":memory:") -> AbstractAsyncContextManager[Engine]:
    """Open an engine over distri's grading workflow."""
    runtime: Any = "wire" if lab.wire else None
    return Engine.open(
        store, config=load_config(GRADING), clock=lab.clock, always_replay=lab.always_replay, runtime=runtime, grace=0.0
    )


async def grade(lab: Lab, engine: Engine, entry_point: str) -> RunOutcome:
    return await lab.finish(engine, await engine.start("grading", ESSAY, entry_point=entry_point))


@pytest.mark.case("D-EP-7")
async def test_the_full_pipeline_parks_at_its_review_and_completes_after_the_answer(lab: Lab) -> None:
    async with grading(lab) as engine:
        parked = await grade(lab, engine, "full")
        assert parked.state == "input-required"
        assert list(parked.states.values()) == [*["completed"] * 3, "input-required", *["submitted"] * 2]
        await engine.resume(parked.run.id, Answer(REVIEW))
        done = await lab.finish(engine, parked.run)
    assert (done.state, set(done.states.values())) == ("completed", {"completed"})
    assert done.results["review"]["approved"] is True


@pytest.mark.case("D-EP-8")
async def test_grading_only_executes_the_last_two_steps_and_waits_for_nobody(lab: Lab) -> None:
    async with grading(lab) as engine:
        done = await grade(lab, engine, "grade_only")
    assert list(done.states.values()) == [*["canceled"] * 4, *["completed"] * 2]
    assert done.steps_of("step_started") == ["grade", "report"]
    assert "step_waiting" not in done.kinds


@pytest.mark.case("D-EP-9", "D-EP-11")
async def test_reviewing_and_grading_parks_and_tells_of_it_in_its_events(lab: Lab) -> None:
    async with grading(lab) as engine:
        parked = await grade(lab, engine, "review_and_grade")
        assert list(parked.states.values()) == [*["canceled"] * 3, "input-required", *["submitted"] * 2]
        assert parked.kinds[0] == "run_started"
        assert not set(parked.steps_of("step_started")) & {"detect", "content", "eval"}
        assert parked.steps_of("step_waiting") == ["review"]
        await engine.resume(parked.run.id, Answer(REVIEW))
        assert (await lab.finish(engine, parked.run)).state == "completed"


@pytest.mark.case("D-EP-12")
async def test_a_restart_while_it_is_parked_leaves_the_skipped_steps_skipped(lab: Lab, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with grading(lab, store) as engine:
        parked = await grade(lab, engine, "review_and_grade")
        assert parked.state == "input-required"
    async with grading(lab, store) as engine:
        with anyio.fail_after(LIMIT):
            await engine.resume(parked.run.id, Answer(REVIEW))
        done = await lab.finish(engine, parked.run)
    assert done.state == "completed"
    assert [done.states[name] for name in ("detect", "content", "eval")] == ["canceled"] * 3
    assert [step for step in done.steps_of("step_started") if step != "review"] == ["grade", "report"]


@pytest.mark.case("D-EP-13")
async def test_required_inputs_that_are_missing_are_all_named(lab: Lab) -> None:
    fields = entry("mid", "eval", required_inputs=("doc_id", "class_id"))
    async with lab.open(lab.workflow(*chain(lab), **fields)) as engine:
        with pytest.raises(InputError, match="doc_id, class_id"):
            await engine.start("main", {"other": 1}, entry_point="mid")
        assert not await engine.list()


@pytest.mark.parametrize("entry", [None, "late"])
async def test_an_input_that_is_not_declared_starts_nothing_at_any_entry(lab: Lab, entry: str | None) -> None:
    workflow = lab.workflow(
        set_("a", value=1),
        set_("b", value=2),
        input_schema={"type": "object", "properties": {"name": {"type": "string"}}},
        entry_points=[EntryPoint(id="late", starts_at="b")],
    )
    async with lab.open(workflow) as engine:
        with pytest.raises(InputError) as refused:
            await engine.start("main", {"nmae": "x"}, entry_point=entry)
        assert await engine.list() == []
    assert (refused.value.code, refused.value.hint) == ("AF-INPUT-UNKNOWN", 'did you mean "name"?')
