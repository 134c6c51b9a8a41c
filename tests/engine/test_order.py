"""Which step runs when: sequences, blocks side by side, dependencies, and the first of several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step
from agentflow.engine import Engine
from agentflow.errors import NotFoundError
from agentflow.steps import api_call, native, script, set_, tool_call
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab, until
from tests.steps.http_server import Answer, serve

pytestmark = pytest.mark.anyio


def together(count: int) -> Callable[[], Awaitable[int]]:
    """Return a function that ends only once so many of its calls run at the same time."""
    inside = 0
    everybody = anyio.Event()

    async def meet() -> int:
        nonlocal inside
        inside += 1
        if inside == count:
            everybody.set()
        with anyio.fail_after(LIMIT):
            await everybody.wait()
        return inside

    return meet


async def nothing() -> None:
    """Do nothing."""


@pytest.mark.case("D-RUN-1", "A-1")
async def test_steps_without_dependencies_complete_in_the_definitions_order(lab: Lab) -> None:
    done = await lab.run(*(lab.call(name, nothing) for name in "abc"))
    assert done.state == "completed"
    assert done.states == dict.fromkeys("abc", "completed")
    assert done.steps_of("step_completed") == ["a", "b", "c"]


@pytest.mark.case("D-RUN-2", "D-RUN-10", "A-6")
async def test_parallel_steps_all_run_at_the_same_time(lab: Lab) -> None:
    meet = together(3)
    done = await lab.run(*(lab.call(name, meet, execution="parallel") for name in "abc"))
    assert done.state == "completed"
    assert done.kinds[1:4] == ["step_started"] * 3
    assert sorted(done.results) == ["a", "b", "c"]


@pytest.mark.case("D-RUN-3", "W-E-1")
async def test_a_chain_runs_one_step_a_round_whatever_order_it_is_written_in(lab: Lab) -> None:
    fetch = lab.call("fetch", nothing)
    process = lab.call("process", nothing, depends_on="fetch")
    save = lab.call("save", nothing, depends_on="process")
    for steps in permutations((process, save)):
        done = await lab.run(fetch, *steps)
        assert [event.step for event in done.events if event.type in {"step_started", "step_completed"}] == [
            *["fetch"] * 2,
            *["process"] * 2,
            *["save"] * 2,
        ]


@pytest.mark.case("D-RUN-4")
async def test_a_step_that_depends_on_two_starts_after_both_have_ended(lab: Lab) -> None:
    meet = together(2)
    done = await lab.run(
        lab.call("a", meet, execution="parallel"),
        lab.call("b", meet, execution="parallel"),
        lab.call("c", nothing, depends_on=["a", "b"]),
    )
    kinds = [(event.type, event.step) for event in done.events]
    assert {("step_started", "a"), ("step_started", "b")} == set(kinds[1:3])
    assert kinds.index(("step_started", "c")) > max(kinds.index(("step_completed", name)) for name in "ab")
    assert done.state == "completed"


@pytest.mark.case("A-7")
async def test_a_diamond_keeps_its_order_and_its_sides_overlap(lab: Lab) -> None:
    meet = together(2)
    done = await lab.run(
        lab.call("a", nothing),
        lab.call("b", meet, depends_on="a"),
        lab.call("c", meet, depends_on="a"),
        lab.call("d", nothing, depends_on=["b", "c"]),
    )
    completed = done.steps_of("step_completed")
    assert (completed[0], set(completed[1:3]), completed[3]) == ("a", {"b", "c"}, "d")


async def test_a_sequential_step_waits_for_everything_above_and_explicit_ones_do_not_break_a_block(lab: Lab) -> None:
    """[a, b(a), c(a), d]: d waits for b and c."""
    gate = Gate()
    steps = [lab.call("a", nothing), lab.call("b", gate, depends_on="a"), lab.call("c", nothing, depends_on="a")]
    async with lab.open(lab.workflow(*steps, lab.call("d", nothing))) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "c")
        assert "d" not in {row.address for row in await engine.steps(run.id) if row.state != "submitted"}
        gate.open()
        assert (await lab.finish(engine, run)).steps_of("step_completed") == ["a", "c", "b", "d"]


async def test_a_parallel_block_waits_for_what_stands_above_it(lab: Lab) -> None:
    done = await lab.run(
        lab.call("above", nothing),
        lab.call("x", nothing, execution="parallel"),
        lab.call("y", nothing, execution="parallel"),
        lab.call("below", nothing),
    )
    started = done.steps_of("step_started")
    assert (started[0], set(started[1:3]), started[3]) == ("above", {"x", "y"}, "below")


@pytest.mark.case("D-RUN-7")
async def test_a_completed_run_that_is_adopted_again_runs_nothing(lab: Lab) -> None:
    """Their `run_next` on a completed run gives no results."""
    calls: list[str] = []
    step = lab.call("a", lambda: calls.append("a"))
    async with lab.open(lab.workflow(step)) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        with anyio.fail_after(LIMIT):
            await engine.adopt(done.run.id)
        assert await lab.look(engine, done.run.id) == done
    assert calls == ["a"]


@pytest.mark.case("D-RUN-8")
async def test_a_workflow_without_steps_completes_at_once(lab: Lab) -> None:
    async with lab.open(lab.workflow()) as engine:
        run = await engine.start("main")
        assert (run.state, run.output) == ("completed", None)
        assert (await lab.look(engine, run.id)).kinds == ["run_started", "run_completed"]


@pytest.mark.case("D-RUN-9")
async def test_an_unknown_workflow_is_not_found_and_the_nearest_is_named(lab: Lab) -> None:
    async with lab.open(lab.workflow(set_("a", value=1), id="report")) as engine:
        with pytest.raises(NotFoundError, match="Workflow not found") as caught:
            await engine.start("repport")
        assert caught.value.hint == 'did you mean "report"?'
        assert not await engine.list()


@pytest.mark.case("D-RUN-13")
async def test_steps_of_several_kinds_depend_on_each_other_and_complete(lab: Lab) -> None:
    def double(n: int) -> dict[str, int]:
        return {"n": 2 * n}

    config = {"skills": {"native:network": {"private": True}, "native:shell": {}, "native:python": {}}}
    async with serve(lambda _: Answer(body={"n": 21})) as server:
        steps = [
            api_call("read", url=f"{server.url}/n"),
            tool_call("double", tool_name="double", input={"n": "{steps.read.body.n}"}, depends_on="read"),
            script("show", run='echo "{\\"got\\": $N}"', env={"N": "{steps.double.n}"}, depends_on="double"),
        ]
        done = await lab.run(*steps, options={"config": config, "tools": {"double": double}})
    assert (done.state, done.output) == ("completed", {"got": 42}), done.errors


@pytest.mark.case("D-RUN-14")
async def test_notes_of_a_step_are_kept_in_order_with_its_address(lab: Lab) -> None:
    """Their `add_note`: a line of the step's log."""

    async def note(ctx: Any) -> None:
        ctx.log("first")
        ctx.log("second")

    done = await lab.run(lab.call("a", note))
    assert [(e.step, e.data["text"]) for e in done.events if e.type == "step_log"] == [("a", "first"), ("a", "second")]


@pytest.mark.case("A-13")
async def test_a_step_behind_a_skipped_one_runs_once(lab: Lab) -> None:
    calls: list[str] = []
    done = await lab.run(
        lab.call("a", nothing),
        lab.call("b", nothing, depends_on="a", if_=False),
        lab.call("c", lambda: calls.append("c"), depends_on="b"),
    )
    assert (done.state, calls) == ("completed", ["c"])


@pytest.mark.case("A-14")
async def test_the_first_of_several_is_enough_and_its_dependent_runs_once(lab: Lab) -> None:
    slow, calls = Gate(), list[str]()
    steps = [
        lab.call("fast", nothing, execution="parallel"),
        lab.call("slow", slow, execution="parallel"),
        lab.call("next", lambda: calls.append("next"), depends_on_any=["fast", "slow"]),
    ]
    async with lab.open(lab.workflow(*steps)) as engine:
        run = await engine.start("main")
        await until(engine, run.id, "step_completed", "next")
        assert (await lab.look(engine, run.id)).states["slow"] == "working"
        slow.open()
        assert (await lab.finish(engine, run)).state == "completed"
    assert calls == ["next"]


@pytest.mark.case("A-15")
async def test_all_of_one_and_any_of_two_waits_for_the_one_and_the_first_of_the_two(lab: Lab) -> None:
    x, y, z = Gate(), Gate(), Gate()
    steps = [
        *(lab.call(name, gate, execution="parallel") for name, gate in (("x", x), ("y", y), ("z", z))),
        lab.call("next", nothing, depends_on="x", depends_on_any=["y", "z"]),
    ]
    async with lab.open(lab.workflow(*steps)) as engine:
        run = await engine.start("main")
        y.open()
        await until(engine, run.id, "step_completed", "y")
        assert (await lab.look(engine, run.id)).states["next"] == "submitted"
        x.open()
        await until(engine, run.id, "step_completed", "next")
        assert (await lab.look(engine, run.id)).states["z"] == "working"
        z.open()
        assert (await lab.finish(engine, run)).state == "completed"


async def most_at_once(lab: Lab, engine: Engine, gates: list[Gate]) -> int:
    """Start a run, see how many of its steps run together, then let all of them end."""
    run = await engine.start("main")
    await anyio.wait_all_tasks_blocked()
    now = sum(gate.entered for gate in gates)
    for gate in gates:
        gate.open()
    assert (await lab.finish(engine, run)).state == "completed"
    return now


def six(lab: Lab, **common: Any) -> tuple[list[Gate], list[Step]]:
    gates = [Gate() for _ in range(6)]
    return gates, [lab.call(f"s{n}", gate, execution="parallel", **common) for n, gate in enumerate(gates)]


async def test_no_more_steps_of_a_run_execute_at_once_than_it_allows(lab: Lab) -> None:
    """Invariant 8."""
    gates, steps = six(lab)
    async with lab.open(lab.workflow(*steps, max_parallel=2)) as engine:
        assert await most_at_once(lab, engine, gates) == 2


async def test_no_more_steps_execute_at_once_than_the_host_allows(lab: Lab) -> None:
    """Invariant 8."""
    gates, steps = six(lab)
    async with lab.open(lab.workflow(*steps), config={"limits": {"host_parallel": 3}}) as engine:
        assert await most_at_once(lab, engine, gates) == 3


async def test_no_more_steps_with_one_key_execute_at_once_than_the_key_allows(lab: Lab) -> None:
    """Invariant 8."""
    gates, steps = six(lab, concurrency={"key": "db", "limit": 2})
    async with lab.open(lab.workflow(*steps)) as engine:
        assert await most_at_once(lab, engine, gates) == 2


async def test_a_run_whose_steps_all_wait_for_a_key_goes_on_once_another_run_gives_it_back(lab: Lab) -> None:
    """Invariant 8."""
    gate = Gate()
    holds = lab.workflow(lab.call("a", gate, concurrency={"key": "db", "limit": 1}))
    wants = lab.workflow(set_("b", value=1, concurrency={"key": "db", "limit": 1}), id="wants")
    async with lab.open(holds, wants) as engine:
        first = await engine.start("main")
        await gate.inside()
        second = await engine.start("wants")
        assert (await lab.look(engine, second.id)).state == "working"
        assert not (await lab.look(engine, second.id)).steps_of("step_started")
        gate.open()
        assert (await lab.finish(engine, first)).state == "completed"
        assert (await lab.finish(engine, second)).state == "completed"


async def test_a_key_that_has_no_value_fails_its_step(lab: Lab) -> None:
    key = {"key": "{steps.a.missing}", "limit": 1}
    done = await lab.run(lab.call("a", nothing), lab.call("b", nothing, concurrency=key), set_("c", value=1))
    assert (done.state, done.states["b"], done.errors["b"].code) == ("failed", "failed", "AF-REF-MISSING")


async def test_a_step_needs_what_it_requires_by_its_type_without_saying_so(lab: Lab) -> None:
    done = await lab.run(script("s", command="true", requires=[native("shell")]), options={"skills": ["native:shell"]})
    assert done.state == "completed"
