"""A cancel that comes to a task which is done meanwhile."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow import Workflow
from agentflow.engine import Answer, Engine
from agentflow.principal import LOCAL, Principal
from agentflow.steps.constructors import wait_for_input
from agentflow_a2a.operations import Caller, Operations
from agentflow_a2a.refusals import RefusedError
from agentflow_a2a.resting import Resting

pytestmark = pytest.mark.anyio
ASKS = Workflow(id="asks", steps=[wait_for_input("one", message="One?")])


class Late:
    """An engine whose run is answered, and ends, between a cancel's look at it and the cancel."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def cancel(self, task_id: str, *, principal: Principal) -> Any:
        [wait] = await self._inner.waits(task_id)
        await self._inner.resume(wait.id, Answer("yes"))
        await self._inner.wait(task_id)
        return await self._inner.cancel(task_id, principal=principal)


async def test_a_cancel_that_came_after_the_end_is_refused_though_the_task_was_open_when_it_was_asked() -> None:
    with anyio.fail_after(30):
        async with Engine.open(":memory:", workflows=[ASKS]) as engine:
            run = await engine.start("asks")
            await engine.wait(run.id)
            late: Any = Late(engine)
            operations = Operations(late, Resting(late, anyio.Event()))
            with pytest.raises(RefusedError) as refused:
                await operations.cancel(run.id, Caller(LOCAL))
            told = await operations.get(run.id, None, Caller(LOCAL))
    assert refused.value.kind == "task_not_cancelable"
    assert told["status"]["state"] == "TASK_STATE_COMPLETED"
