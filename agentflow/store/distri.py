"""distri's seven operations, over any store: the sidecar record of a run, by the run's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentflow.clock import Clock, SystemClock
from agentflow.data import encode
from agentflow.errors import ConflictError, Defect, NotFoundError
from agentflow.store.contract import Store
from agentflow.store.rows import NewRun, RunChange, RunPatch, RunRow, StepRow


class WorkflowRecords:
    """Creates, changes and deletes runs for who isn't their host.

    A write takes the run's tree, changes it and lets it go, all in one commit: it is refused where a host has the tree,
    as it would belie what that host has in memory.
    """

    def __init__(self, store: Store, *, clock: Clock | None = None) -> None:
        """Work on a store; the clock tells when a context was replaced."""
        self._store = store
        self._clock = clock or SystemClock()

    async def create_run(self, run: NewRun) -> RunRow:
        """Create a root run; one with the same id is overwritten.

        Raises:
            ConflictError: a host has the run that is there, or another one has the idempotency key.
        """
        if run.parent is not None:
            raise Defect("A child run is created by a commit of its tree.")
        store = self._store
        (key,) = await store.new_keys()
        body = await store.get_definition(run.definition)  # it may go with the run that is overwritten
        create = RunChange(key, key, 1, create=run, release=True)
        while await store.commit(
            [*await self._deletion(run.id), create], None if body is None else {run.definition: body}
        ):
            if await store.get_run(run.id) is None:
                raise ConflictError(f"The idempotency key of run {run.id} is another run's.")
        made = await store.get_run(run.id)
        if made is None:
            raise NotFoundError(f"There is no run {run.id}.")
        return made

    async def get_run(self, run_id: str) -> RunRow | None:
        """Return a run, or None."""
        return await self._store.get_run(run_id)

    async def update_context(self, run_id: str, context: Mapping[str, Any]) -> None:
        """Replace the run's free context keys.

        Raises:
            NotFoundError: there is no such run.
            ConflictError: a host has its tree.
        """
        await self._write(run_id, patch=RunPatch(self._clock.now(), context=encode(context)))

    async def delete_run(self, run_id: str) -> None:
        """Delete a run, its descendants, and all rows of theirs.

        Raises:
            ConflictError: a host has its tree.
        """
        while await self._store.commit(await self._deletion(run_id)):
            pass

    async def upsert_step(self, run_id: str, step: StepRow) -> None:
        """Insert or update one step.

        Raises:
            NotFoundError: there is no such run.
            ConflictError: a host has its tree.
        """
        known = await self._store.get_step(run_id, step.address)
        await self._write(run_id, steps=[step if known is None else step._replace(n=known.n)])

    async def get_step(self, run_id: str, address: str) -> StepRow | None:
        """Return one step by its address, or None."""
        return await self._store.get_step(run_id, address)

    async def list_steps(self, run_id: str) -> list[StepRow]:
        """Return all steps that have rows, in order of their first insertion; [] for an unknown run."""
        return await self._store.list_steps(run_id)

    async def _write(self, run_id: str, **fields: Any) -> None:
        while await self._store.commit(_of(await self._free(run_id), **fields)):
            pass  # another write came between: it is tried again on what that has left

    async def _deletion(self, run_id: str) -> list[RunChange]:
        """Return the changes that delete a run; none where there is none."""
        try:
            return _of(await self._free(run_id), delete=True)
        except NotFoundError:
            return []

    async def _free(self, run_id: str) -> RunRow:
        """Return a run that no host has."""
        row = await self._store.get_run(run_id)
        if row is None:
            raise NotFoundError(f"There is no run {run_id}.")
        if row.holder is not None:
            raise ConflictError(
                f"Run {run_id} can't be changed from outside: a host executes it.",
                hint="Answer, pause or cancel it; or let its host end first.",
            )
        return row


def _of(row: RunRow, **fields: Any) -> list[RunChange]:
    """Return a change of a run whose tree is taken for it, and let go."""
    epoch = row.epoch + 1
    return [
        RunChange(row.root, row.root, epoch, take=True, release=True),
        RunChange(row.run, row.root, epoch, **fields),
    ]
