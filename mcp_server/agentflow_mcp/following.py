"""Follows runs while their callers wait, and tells those what they can take: result, question, task, handle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from typing import Any, Final

import anyio

from agentflow.definition.models import McpSettings
from agentflow.engine import Engine, Run, WaitView
from agentflow.errors import AgentflowError, NotFoundError
from agentflow.principal import Principal
from agentflow_mcp.caller import Caller
from agentflow_mcp.dialogue import Dialogue
from agentflow_mcp.documents import answers_of, finished, handle, is_asked, is_human_only, run_data, wait_data
from agentflow_mcp.questions import Page, Question, Questions, by_name
from agentflow_mcp.results import Result, plain, refused
from agentflow_mcp.tasks import GRACE, task_of
from agentflow_mcp.telling import telling
from agentflow_mcp.waiting import Waiting

BEAT = 10.0
"""Seconds after which a caller hears again that its run goes on."""
_AS_IS: Final = McpSettings()


class Follower:
    """Follows runs. A run lives in the engine: no call that ends, ends it."""

    def __init__(self, engine: Engine, hold: float, beat: float = BEAT, page: Page | None = None) -> None:
        """Follow the runs of an engine.

        Args:
            engine: carries runs on.
            hold: seconds that a call waits for its run, before it gives a handle.
            beat: seconds after which a caller hears again that its run goes on.
            page: returns the address where a person answers a wait that no model may answer.
        """
        self.engine = engine
        self.questions = Questions(engine, page)
        self.waiting = Waiting(engine)
        self._hold = hold
        self._beat = beat
        self._dialogue = Dialogue(engine, self.questions, beat)

    async def followed(
        self, run: Run, caller: Caller, seconds: float, *, document: bool = False, patient: bool = False
    ) -> Result:
        """Follow a run as long as its caller waits.

        Args:
            run: the run.
            caller: who waits.
            seconds: for how long.
            document: whether the run itself is told, and not only what it gives.
            patient: whether what only others can answer is waited for, too: what was open already, for a new
                question is told at once.

        Returns:
            Its result; what its caller is asked; a task, where it takes one; or a handle.
        """
        try:
            said = self._settings(run)
            as_task = caller.tasks and not document and said.mode != "sync"
            always = caller.only_task or said.mode == "task"
            patience = 0.0 if caller.only_task else min(GRACE if said.grace is None else said.grace, seconds)
            if not run.ended:
                async with telling(self.engine, run, caller):
                    held = await self._open(run, caller) if patient else None
                    run = await self._rest(run.id, caller, patience if as_task else seconds, held)
            if run.ended and not document and not (as_task and always):
                return finished(run)
            found = await self._asked(run, caller, said, as_task=as_task)
            if found is not None:
                return found
            data = await self.told(run, caller.principal)
            return plain(data, failed="error" in data, run_id=run.id)
        except AgentflowError as error:  # the run is there: who started it must be able to find it
            return refused(error, {"task_id": run.id, "workflow": run.workflow})

    async def _asked(self, run: Run, caller: Caller, said: McpSettings, *, as_task: bool) -> Result | None:
        """Return a run as a task, or what the caller is asked before it goes on with its call; None: neither."""
        if not as_task and not (caller.rounds and run.waiting):
            return None
        waits = [] if run.ended else await self.engine.waits(run.id, principal=caller.principal)
        asked = await self.questions.of(waits, caller)
        first = said.ask_first and caller.rounds
        if as_task and not (first and self._unsaid(asked, caller)):
            task = task_of(run, waits, asked, self.engine.core.env.now())
            if task.requests or not run.waiting or said.mode == "task" or caller.only_task:
                return Result(task.data, "", run_id=run.id, is_task=True)
        if caller.rounds:
            named = by_name(self._unsaid(asked, caller))
            if named:
                requests = {name: each.request for name, each in named.items()}
                keys = {name: each.key for name, each in named.items()}
                return Result({}, "", run_id=run.id, requests=requests, keys=keys)
        return None

    def _unsaid(self, asked: Mapping[str, Question], caller: Caller) -> list[Question]:
        """Return the questions that the caller's user hasn't dismissed in this call."""
        return [each for each in asked.values() if each.view.id not in caller.dismissed | caller.opened]

    async def ended(self, run_id: str, caller: Caller) -> Run:
        """Return a run at its end, however long that takes, and ask the caller's user meanwhile.

        It is returned before when nobody waits here any more. Raises NotFoundError.
        """
        tried = set[str]()
        while True:
            run = await self.waiting.run(run_id, self._beat, caller.principal)
            if run.ended or self.waiting.over:
                return run
            if run.waiting and not await self._dialogue.asked(run, caller, math.inf, tried):
                await self.waiting.changed(run, self._beat, caller.principal)
            await caller.progress(run.now_text)

    def hold_of(self, workflow: str) -> float:
        """Return how many seconds a call of a workflow waits for its run, before it gives a handle."""
        known = self.engine.config.workflows.get(workflow)
        return self._hold if known is None or known.mcp.hold is None else known.mcp.hold

    def _settings(self, run: Run) -> McpSettings:
        known = self.engine.config.workflows.get(run.workflow)
        return _AS_IS if known is None else known.mcp

    async def _open(self, run: Run, caller: Caller) -> frozenset[str]:
        """Return the ids of what a run waits for now."""
        waits = await self.engine.waits(run.id, principal=caller.principal) if run.waiting else ()
        return frozenset(view.id for view in waits)

    async def _rest(self, run_id: str, caller: Caller, seconds: float, held: Set[str] | None) -> Run:
        """Return a run when it has ended, asks something that its caller can't ask, or the time is over.

        `held` are the waits that only others can answer, and this call waits for them; None: it waits for nobody.
        """
        deadline = anyio.current_time() + seconds
        tried = set[str]()
        while True:
            left = max(deadline - anyio.current_time(), 0.0)
            run = await self.waiting.run(run_id, min(left, self._beat), caller.principal)
            if run.ended:
                return run
            if run.waiting and await self._dialogue.asked(run, caller, seconds, tried):
                deadline = max(deadline, anyio.current_time() + seconds)
            elif left == 0.0 or self.waiting.over:
                return run
            elif run.waiting:
                if not await self._is_for_others(run, caller, held):
                    return run
                await self.waiting.changed(run, min(left, self._beat), caller.principal)
                await caller.progress("waits for somebody else")
            elif left <= self._beat:
                return run
            else:
                await caller.progress(run.now_text)

    async def _is_for_others(self, run: Run, caller: Caller, held: Set[str] | None) -> bool:
        """Tell whether a call is held although its run waits: its caller can't answer, or has gone to do it."""
        if held is None and not caller.opened:
            return False
        waits = await self.engine.waits(run.id, principal=caller.principal)
        if any(view.id not in caller.opened and not _holds(view, held) for view in waits):
            return False
        return not (caller.rounds and self._unsaid(await self.questions.of(waits, caller), caller))

    async def told(self, run: Run, principal: Principal) -> dict[str, Any]:
        """Return a run as the tools that look after runs tell it: with what it waits for, and what to do now."""
        if run.ended:
            return run_data(run)
        waits = await self.engine.waits(run.id, principal=principal)
        pages = {view.id: url for view in waits if (url := self.questions.page_of(view, principal)) is not None}
        data = handle(run, waits, pages)
        if any(view.connection is not None for view in waits):
            data |= await self._lacks(run)
        return data

    async def _lacks(self, run: Run) -> dict[str, Any]:
        """Return all that a run's workflow lacks, once it waits for some of it: a user needs to be asked once only."""
        try:
            needs = await self.engine.preflight(run.workflow, principal=Principal(run.owner, run.tenant))
        except NotFoundError:  # it isn't the config's
            return {}
        return {"missing": needs.to_data()["missing"]}

    async def told_whole(self, run: Run, principal: Principal) -> dict[str, Any]:
        """Return a run as `told` does, and who has answered what it waited for, by which door."""
        waits = await self.engine.told.waits(run.id, ended=True)
        data, answers = await self.told(run, principal), answers_of(waits)
        return {**data, "answers": answers} if answers else data

    def wait_told(self, view: WaitView, principal: Principal) -> dict[str, Any]:
        """Return an open wait as tools tell it."""
        return wait_data(view, self.questions.page_of(view, principal))


def _holds(view: WaitView, held: Set[str] | None) -> bool:
    """Tell whether a call waits for others to answer this: its caller knows of it, or nobody is asked."""
    return held is not None and (not is_asked(view) or (is_human_only(view) and view.id in held))
