"""Follows runs while their callers wait, and tells those what they can take: result, question, task, handle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import anyio

from agentflow.definition.models import McpSettings
from agentflow.engine import Engine, Run
from agentflow.errors import AgentflowError
from agentflow.principal import Principal
from agentflow_mcp.caller import Caller
from agentflow_mcp.dialogue import Dialogue
from agentflow_mcp.documents import finished, handle, run_data
from agentflow_mcp.replies import unfit
from agentflow_mcp.results import Request, Result, plain, refused
from agentflow_mcp.tasks import GRACE, task_of
from agentflow_mcp.waiting import Waiting

BEAT = 10.0
"""Seconds after which a caller hears again that its run goes on."""


class Follower:
    """Follows runs. A run lives in the engine: no call that ends, ends it."""

    def __init__(self, engine: Engine, hold: float, beat: float = BEAT) -> None:
        """Follow the runs of an engine.

        Args:
            engine: carries runs on.
            hold: seconds that a call waits for its run, before it gives a handle.
            beat: seconds after which a caller hears again that its run goes on.
        """
        self.engine = engine
        self._hold = hold
        self._beat = beat
        self._dialogue = Dialogue(engine, beat)
        self.waiting = Waiting(engine)

    async def followed(self, run: Run, caller: Caller, seconds: float, *, document: bool = False) -> Result:
        """Follow a run as long as its caller waits.

        Args:
            run: the run.
            caller: who waits.
            seconds: for how long.
            document: whether the run itself is told, and not only what it gives.

        Returns:
            Its result; what its caller is asked; a task, where it takes one; or a handle.
        """
        try:
            said = self._settings(run)
            as_task = caller.tasks and not document and said.mode != "sync"
            patience = min(GRACE if said.grace is None else said.grace, seconds)
            run = await self._rest(run.id, caller, patience if as_task else seconds)
            if run.ended and not document and not (as_task and said.mode == "task"):
                return finished(run)
            if as_task or (caller.rounds and not run.ended):
                waits = await self.engine.waits(run.id, principal=caller.principal)
                task = task_of(run, waits, self.engine.core.env.now(), forms=caller.forms)
                if as_task and (task.requests or not run.waiting or said.mode == "task"):
                    return Result(task.data, "", run_id=run.id, is_task=True)
                if caller.rounds and run.waiting and task.requests:
                    return Result({}, "", run_id=run.id, requests=_again(task.requests, caller.wrong))
            data = await self.told(run, caller.principal)
            return plain(data, failed="error" in data, run_id=run.id)
        except AgentflowError as error:  # the run is there: who started it must be able to find it
            return refused(error, {"task_id": run.id, "workflow": run.workflow})

    def hold_of(self, workflow: str) -> float:
        """Return how many seconds a call of a workflow waits for its run, before it gives a handle."""
        known = self.engine.config.workflows.get(workflow)
        return self._hold if known is None or known.mcp.hold is None else known.mcp.hold

    def _settings(self, run: Run) -> McpSettings:
        known = self.engine.config.workflows.get(run.workflow)
        return McpSettings() if known is None else known.mcp

    async def _rest(self, run_id: str, caller: Caller, seconds: float) -> Run:
        """Return a run when it has ended, asks something that its caller can't ask, or the time is over."""
        deadline = anyio.current_time() + seconds
        while True:
            left = max(deadline - anyio.current_time(), 0.0)
            run = await self.waiting.run(run_id, min(left, self._beat), caller.principal)
            if run.ended:
                return run
            if run.waiting:
                if not await self._dialogue.asked(run, caller):
                    return run
                deadline = max(deadline, anyio.current_time() + seconds)
            elif left <= self._beat or self.waiting.over:
                return run
            else:
                await caller.progress(run.now_text)

    async def told(self, run: Run, principal: Principal) -> dict[str, Any]:
        """Return a run as the tools that look after runs tell it: with what it waits for, and what to do now."""
        return run_data(run) if run.ended else handle(run, await self.engine.waits(run.id, principal=principal))


def _again(requests: Mapping[str, Request], wrong: Mapping[str, str]) -> dict[str, Request]:
    """Return requests that tell what was wrong with the answers before."""
    return {
        name: replace(each, message=unfit(each.message, wrong[name])) if name in wrong else each
        for name, each in requests.items()
    }
