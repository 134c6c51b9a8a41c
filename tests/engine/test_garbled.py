"""What workers elsewhere bring, tell and ask that can't be read: it harms no step but theirs."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.data import decode, encode
from agentflow.errors import StepError
from tests.engine.hands import Fails
from tests.engine.lab import Lab
from tests.engine.workers import Workers

pytestmark = pytest.mark.anyio

LEFT: Any = {"artifacts": [], "messages": [], "status": None}
UNREADABLE = [
    b"{",
    b"[]",
    b'{"park":{}}',
    b'{"result":5}',
    encode({"result": "{"}),
    encode({"skip": 5}),
    encode({"stopped": 5}),
    encode({"failure": {"code": 5, "message": "x"}}),
    encode({"failure": {"code": "AF-FAILED", "message": "x", "retry_after": "soon"}}),
    encode({"result": "1", "left": {**LEFT, "artifacts": [[5, True, True, "{}"]]}}),
    encode({"result": "1", "left": {**LEFT, "artifacts": [["a", True, True, "{"]]}}),
    encode({"result": "1", "left": {**LEFT, "messages": [5]}}),
    encode({"result": "1", "left": {**LEFT, "status": 5}}),
    encode({"park": {"kind": "timer", "on": {"due": "soon"}, "state": None, "then": "enter"}}),
    encode({"park": {"kind": "wait", "on": {"kind": 5, "message": 7}, "state": None, "then": "enter"}}),
]


@pytest.mark.parametrize("raw", UNREADABLE)
async def test_an_outcome_that_cant_be_read_fails_its_step(lab: Lab, raw: bytes) -> None:
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        assert workers.holder is not None
        assert await workers.holder.returned(key, raw)
        done = await lab.finish(engine, run)
    assert (done.state, done.run.failure and done.run.failure.code) == ("failed", "AF-STEP-RAISED")


TOLD = [b"{", b"5", b"[5]", encode([["step_log"]]), b'[["run_completed", {}]]', encode([["step_log", 5]])]
CALLS = [
    b"{",
    b"[]",
    b"5",
    encode(["dance"]),
    encode([["input"]]),
    encode(["result"]),
    encode(["save"]),
    encode(["deliver", 5, False, True, "{}", False, 1]),
    encode(["deliver", "a", False, True, "{", False, 1]),
    encode(["publish", 5, None, None]),
]


async def test_what_a_worker_tells_that_cant_be_read_is_refused_and_its_step_goes_on(lab: Lab) -> None:
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        assert workers.holder is not None
        for raw in TOLD:
            with pytest.raises(StepError, match="can't be read") as refused:
                workers.holder.told(key, raw)
            assert refused.value.code == "AF-WORKER-INVALID"
        assert workers.holder.told(key, encode([["step_log", {"text": "said", "level": "info"}]]))
        assert await workers.bring(key, result="5")
        done = await lab.finish(engine, run)
    assert (done.output, done.steps_of("step_log")) == (5, ["a"])


async def test_what_a_worker_asks_that_cant_be_read_is_answered_with_an_error_and_its_step_goes_on(lab: Lab) -> None:
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        key = await workers.got()
        assert workers.holder is not None
        for raw in CALLS:
            answer = decode(await workers.holder.called(key, raw) or b"null")
            assert answer["error"]["code"] == "AF-WORKER-INVALID", raw
        assert await workers.ask(key, "input") == {"value": {}}
        assert await workers.bring(key, result="5")
        done = await lab.finish(engine, run)
    assert done.output == 5


@pytest.mark.parametrize("key", ["", "x", "1", "1/2", "x/1/1/0", "9" * 5000])
async def test_what_comes_for_no_attempt_at_all_is_over(lab: Lab, key: str) -> None:
    workers = Workers()
    async with lab.open(lab.workflow(lab.call("a", Fails(0))), runtime=workers) as engine:
        run = await engine.start("main")
        await workers.got()
        assert workers.holder is not None
        assert workers.holder.knows(key)
        assert not await workers.bring(key, result="6")
        await engine.cancel(run.id)
