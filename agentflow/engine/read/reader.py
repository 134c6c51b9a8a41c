"""Reads runs, waits and tasks from a store: what the engine shows, and all that a process needs which only looks."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentflow.data import decode
from agentflow.engine.finding import find, known_task, run_of, shown_to
from agentflow.engine.models import Run, WaitView, run_view, wait_view
from agentflow.engine.read.hosted import executed
from agentflow.engine.read.outputs import output_of
from agentflow.errors import NotFoundError
from agentflow.principal import LOCAL, Principal
from agentflow.store.rows import Event, RunQuery, StepRow
from agentflow.store.views import MessageView, TaskPage, TaskQuery, TaskView

if TYPE_CHECKING:
    from agentflow.store.contract import Readable


class Reader:
    """Shows what a store holds. An engine has one."""

    def __init__(self, store: Readable, shown: Callable[[TaskView], TaskView] | None = None) -> None:
        """Read from a store.

        Args:
            store: the store.
            shown: returns a wait as people see it.
        """
        self.store = store
        self._shown = shown

    async def get(self, run_id: str, *, output: bool = True, principal: Principal = LOCAL) -> Run:
        """Return a run by its whole id, `output` with it; raises NotFoundError, and StoreError if that is damaged."""
        row = await run_of(self.store, run_id, principal)
        return run_view(row, await output_of(self.store, row) if output else None)

    async def list(self, query: RunQuery | None = None, *, principal: Principal = LOCAL) -> list[Run]:
        """Return one's runs, newest first; without outputs."""
        return [run_view(row) for row in await self.store.list_runs(shown_to(principal, query or RunQuery()))]

    async def hosted(self, runs: Sequence[Run]) -> dict[str, bool | None]:
        """Tell of each run, by id, whether a live process executes it; None: it has ended, or nobody can know."""
        return await executed(self.store.liveness, runs)

    async def find(self, ending: str, *, principal: Principal = LOCAL) -> str:
        """Return the whole id of the run that `@last`, an ending or a whole id names."""
        return await find(self.store, ending, "run", principal)

    async def find_wait(self, ending: str, *, principal: Principal = LOCAL) -> str:
        """Return the whole id of the wait that an ending or a whole id names."""
        return await find(self.store, ending, "wait", principal)

    async def waits(self, run_id: str | None = None, *, principal: Principal = LOCAL) -> builtins.list[WaitView]:
        """Return open waits of one's runs or assigned to one, oldest first; of a run with those of its child runs."""
        if run_id is not None:
            await run_of(self.store, run_id, principal)
        found = await self.store.list_tasks(run_id=run_id, tree=True, principal=principal)
        return [wait_view(self._shown(view) if self._shown is not None else view) for view in found]

    async def steps(self, run_id: str, *, principal: Principal = LOCAL) -> builtins.list[StepRow]:
        """Return the steps of a run that were reached; raises StoreError if a stored result is damaged."""
        await run_of(self.store, run_id, principal)
        return await self.store.list_steps(run_id)

    async def result(self, run_id: str, address: str, *, principal: Principal = LOCAL) -> Any:
        """Return a step's result."""
        await run_of(self.store, run_id, principal)
        step = await self.store.get_step(run_id, address)
        if step is None:
            raise NotFoundError(f'run "{run_id}" has no step "{address}"', code="AF-STEP-UNKNOWN")
        return decode(step.result) if step.result else None

    async def tasks(self, query: TaskQuery | None = None, *, principal: Principal = LOCAL) -> TaskPage:
        """Return a page of one's root runs, waits and agents' turns, the last changed first, and how many there are."""
        return await self.store.task_page((query or TaskQuery())._replace(principal=principal))

    async def history(
        self, task_id: str, limit: int | None = None, *, principal: Principal = LOCAL
    ) -> builtins.list[MessageView]:
        """Return the messages of a task, a run's or another, the newest `limit` of them, oldest first."""
        await known_task(self.store, task_id, principal)
        return await self.store.history(task_id, limit)

    async def artifacts(self, task_id: str, *, principal: Principal = LOCAL) -> builtins.list[Any]:
        """Return the artifacts of a run, or of an agent's turn, as they are now, chunks joined."""
        await known_task(self.store, task_id, principal)
        return await self.store.artifacts(task_id)

    async def task_log(
        self, task_id: str, after: int = 0, limit: int = 1000, *, principal: Principal = LOCAL
    ) -> builtins.list[Event]:
        """Return what changed in a task, a run's or another, after a generation: state, artifacts, messages."""
        await known_task(self.store, task_id, principal)
        return await self.store.task_log(task_id, after, limit)
