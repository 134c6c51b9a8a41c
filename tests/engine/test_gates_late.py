"""What was approved is what runs: also where a step's fields change between the yes and its attempt."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from agentflow.engine import Answer
from agentflow.steps import parallel
from agentflow.steps import workflow as sub
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import doom
from tests.engine.asked import Deed, questions, rest
from tests.engine.lab import Lab, until

pytestmark = pytest.mark.anyio

PRICE = {"price": {"default": 9}}


@pytest.mark.parametrize("how", ["slot of the run", "slot of a key"])
async def test_fields_that_change_while_an_approved_step_queues_are_asked_for_anew(lab: Lab, how: str) -> None:
    deed, going = Deed(allowed=True), threading.Event()

    def dearer() -> int:
        assert going.wait(20)
        return 900

    common: dict[str, Any] = {"concurrency": {"key": "till", "limit": 1}} if how == "slot of a key" else {}
    limit: dict[str, Any] = {"max_parallel": 1} if how == "slot of the run" else {}
    flow = lab.workflow(
        parallel(
            "both",
            steps=[
                lab.call("dearer", dearer, update={"price": "{steps.dearer}"}, **common),
                lab.call("pay", deed, input={"value": "{context.price}"}, approve=True, **common),
            ],
        ),
        context=PRICE,
        **limit,
    )
    async with lab.open(flow) as engine:
        run = await engine.start("main", None)
        await until(engine, run.id, "step_waiting", "both/pay")
        (wait,) = await engine.waits(run.id)
        assert wait.details["would"]["input"] == {"value": 9}
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        going.set()
        (wait,) = await questions(engine, run, 1)
        assert (wait.details["would"]["input"], deed.done) == ({"value": 900}, [])
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).state == "completed"
    assert deed.done == [900]


async def test_fields_that_change_until_a_step_goes_on_after_a_crash_are_asked_for_anew(
    lab: Lab, tmp_path: Path
) -> None:
    deed, begun, going = Deed(allowed=True), threading.Event(), threading.Event()

    def pay(value: int) -> Any:
        begun.set()
        if value == 9:
            going.wait(20)
        return deed(value)

    def dearer() -> int:
        assert begun.wait(20)
        return 900

    store = str(tmp_path / "store.db")
    flow = lab.workflow(
        parallel(
            "both",
            steps=[
                lab.call("pay", pay, input={"value": "{context.price}"}, approve=True),
                lab.call("dearer", dearer, update={"price": "{steps.dearer}"}),
            ],
        ),
        context=PRICE,
    )
    async with lab.open(flow, store=store) as engine:
        run = await engine.start("main", None)
        await until(engine, run.id, "step_waiting", "both/pay")
        (wait,) = await engine.waits(run.id)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        await until(engine, run.id, "step_completed", "both/dearer")
        doom(engine)
        going.set()
    deed.done.clear()
    async with lab.open(flow, store=store, clock=FakeClock(lab.clock.now() + 60)) as engine:
        (wait,) = await questions(engine, run, 1)
        assert (wait.details["would"]["input"], deed.done) == ({"value": 900}, [])
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).state == "completed"
    assert deed.done == [900]


async def test_a_container_whose_fields_change_while_it_queues_for_its_key_is_asked_for_anew(lab: Lab) -> None:
    deed, going = Deed(allowed=True), threading.Event()

    def dearer() -> int:
        assert going.wait(20)
        return 900

    key: dict[str, Any] = {"concurrency": {"key": "till", "limit": 1}}
    child = lab.workflow(lab.call("do", deed, input={"value": "{input.price}"}), id="child", input={"price": "integer"})
    flow = lab.workflow(
        parallel(
            "both",
            steps=[
                lab.call("dearer", dearer, update={"price": "{steps.dearer}"}, **key),
                sub("pay", workflow="child", input={"price": "{context.price}"}, approve=True, **key),
            ],
        ),
        context=PRICE,
    )
    async with lab.open(flow, child) as engine:
        run = await engine.start("main", None)
        await until(engine, run.id, "step_waiting", "both/pay")
        (wait,) = await engine.waits(run.id)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        going.set()
        (wait,) = await questions(engine, run, 1)
        assert (wait.details["would"]["input"], deed.done) == ({"price": 900}, [])
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).state == "completed"
    assert deed.done == [900]
