"""A failure deep inside runs of runs is told once, with the way to it."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.errors import StepError
from agentflow.steps import for_each, parallel, sequence
from agentflow.steps import workflow as sub
from tests.engine.hands import Fails
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


async def test_three_runs_tell_the_cause_once_and_the_way_once(lab: Lab) -> None:
    inner = lab.workflow(lab.call("boom", Fails()), id="inner")
    middle = lab.workflow(sub("deeper", workflow="inner"), id="middle")
    async with lab.open(inner, middle, lab.workflow(sub("call", workflow="middle"))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    failure = done.run.failure
    assert failure is not None
    assert failure.message == 'the run of "middle" failed: RuntimeError: broken'
    assert (failure.step, failure.code) == ("call", "AF-PYTHON-RAISED")
    assert [(each["workflow"], each["step"]) for each in failure.data["runs"]] == [
        ("middle", "deeper"),
        ("inner", "boom"),
    ]
    assert failure.data["exception"] == "RuntimeError"
    assert done.run.now_text is not None
    assert done.run.now_text.count("failed") == 1


async def test_containers_between_the_runs_are_part_of_the_way(lab: Lab) -> None:
    inner = lab.workflow(sequence("box", steps=[lab.call("boom", Fails())]), id="inner")
    body = parallel("side", steps=[sub("call", workflow="inner")])
    async with lab.open(inner, lab.workflow(for_each("each", in_=[1], steps=[body]))) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    failure = done.run.failure
    assert failure is not None
    assert failure.message == 'the run of "inner" failed: RuntimeError: broken'
    assert failure.step == "each[0]/side/call"
    assert [each["step"] for each in failure.data["runs"]] == ["box/boom"]


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (2, '"w1" starts "w0" starts "w1", more than 100 levels deep'),
        (3, '"w2" starts "w0" starts "w1" starts "w2", more than 100 levels deep'),
        (7, "sub-workflows are nested more than 100 levels deep"),
    ],
)
async def test_runs_that_start_each_other_for_ever_are_named_once(lab: Lab, count: int, told: str) -> None:
    flows = [
        lab.workflow(sub("call", workflow="{input.to}", input={"to": f"w{(n + 2) % count}"}), id=f"w{n}")
        for n in range(count)
    ]
    async with lab.open(*flows) as engine:
        done = await lab.finish(engine, await engine.start("w0", {"to": f"w{1 % count}"}))
    failure = done.run.failure
    assert failure is not None
    assert failure.code == "AF-LIMIT-DEPTH"
    assert failure.message.count("failed:") == 1
    assert failure.message == f'the run of "w1" failed: {told}'


async def test_own_data_of_a_failure_is_never_taken_for_a_way(lab: Lab) -> None:
    def fail(data: Any) -> None:
        raise StepError("no", data=data)

    odd: list[Any] = [{"runs": "x", "cause": "y"}, {"runs": [1], "cause": "y"}, {"runs": [{}]}, {"cause": 3}]
    for data in odd:
        child = lab.workflow(lab.call("x", fail, input={"data": data}), id="child")
        async with lab.open(child, lab.workflow(sub("call", workflow="child"))) as engine:
            done = await lab.finish(engine, await engine.start("main"))
        assert done.errors["call"].message == 'the run of "child" failed: no'
        assert [each["step"] for each in done.errors["call"].data["runs"]] == ["x"]
