"""`{context.last_response}`: the last answer of a service in a run, whatever became of the step that asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.definition.models import RetryPolicy, Step
from agentflow.engine import Run
from agentflow.steps import api_call, for_each, parallel, sequence, set_, while_
from tests.engine.hands import Fails
from tests.engine.lab import Lab
from tests.steps.http_server import Answer, serve

pytestmark = pytest.mark.anyio

OPTIONS: dict[str, Any] = {"config": {"skills": {"native:network": {"private": True}, "native:python": {}}}}
LAST = set_("last", value="{context.last_response}")


async def last(lab: Lab, *steps: Step, url: str) -> Any:
    """Return what the last answer is after some steps; `{input.url}` is the service."""
    done = await lab.run(*steps, LAST, input={"url": url}, options=OPTIONS)
    assert done.state == "completed", done.errors
    return done.output


def ask(path: str, **fields: Any) -> Step:
    return api_call("ask", url="{input.url}" + path, **fields)


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_it_outlives_the_iteration_that_asked(lab: Lab, count: int) -> None:
    steps = [ask("/", if_="{index} == 0"), set_("x", value=1)]
    loop = while_("loop", condition=True, max_iterations=count, steps=steps, on_error="continue")
    async with serve(lambda _: Answer(body={"v": 42})) as server:
        assert await last(lab, loop, url=server.url) == {"v": 42}


async def test_it_outlives_the_attempt_that_asked(lab: Lab) -> None:
    once = ask("/", if_="{context.last_response?} == null")
    box = sequence("box", steps=[once, lab.call("flaky", Fails(1))], retry=RetryPolicy(max_attempts=2, base=0.01))
    async with serve(lambda _: Answer(body={"v": 42})) as server:
        assert await last(lab, box, url=server.url) == {"v": 42}
        assert len(server.requests) == 1


async def test_it_is_the_newest_of_all(lab: Lab) -> None:
    loop = for_each("loop", in_=[1, 2, 3], steps=[ask("/{item}")], max_parallel=1)
    async with serve(lambda request: Answer(body={"path": request.target})) as server:
        assert await last(lab, loop, url=server.url) == {"path": "/3"}


def inside(step: Step) -> Step:
    return sequence("box", steps=[step])


def itself(step: Step) -> Step:
    return step


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("around", [itself, inside])
async def test_a_run_that_is_retried_goes_on_with_the_answer_of_a_step_that_it_keeps(
    lab: Lab, tmp_path: Path, around: Callable[[Step], Step], elsewhere: bool
) -> None:
    late = api_call("late", url="{input.url}/late")
    steps = [
        around(ask("/kept")),
        LAST,
        lab.call("flaky", Fails(2)),
        set_("then", value="{context.last_response.path}"),
    ]
    flow = lab.workflow(*steps, parallel("p", steps=[late], if_="{context.last_response.path} == '/kept'"))
    path = tmp_path / "runs.db"
    async with serve(lambda request: Answer(body={"path": request.target})) as server:
        async with lab.open(flow, store=path, **OPTIONS) as engine:
            run = (await lab.finish(engine, await engine.start("main", {"url": server.url}))).run
            again = await engine.retry(run.id)
            assert isinstance(again, Run)
            assert (await lab.finish(engine, again)).state == "failed"
        async with lab.open(flow, store=path, host="none" if elsewhere else "all", **OPTIONS) as engine:
            last = await engine.retry(again.id)
            assert isinstance(last, Run)
        async with lab.open(flow, store=path, **OPTIONS) as engine:
            done = await lab.finish(engine, last)
    assert done.state == "completed", done.errors
    assert done.results["then"] == "/kept"
    assert [request.target for request in server.requests] == ["/kept", "/late"]
