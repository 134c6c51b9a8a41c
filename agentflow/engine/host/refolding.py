"""Trees whose stored updates reducers of the user's are folding: what comes in for them waits, and nobody else does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import anyio
from anyio.abc import TaskGroup

from agentflow.engine.host.queue import Item
from agentflow.engine.host.reducers import Reducers
from agentflow.engine.plan.carried import Folded
from agentflow.engine.plan.state import Tree
from agentflow.engine.program import Program
from agentflow.errors import StepError
from agentflow.store.loaded import LoadedRun, LoadedTree

MOST = 64
"""Trees that are folded at a time, each in a thread."""
PATIENCE = 2.0
"""Seconds for which a run that is to be cancelled waits for its reducers: one that blocks mustn't keep it."""


class Refolding:
    """Folds what is stored of trees that are about to be held, in threads."""

    def __init__(
        self,
        reducers: Reducers,
        program: Callable[[str], Program],
        again: Callable[[Sequence[Item]], None],
    ) -> None:
        """Begin.

        Args:
            reducers: who calls them.
            program: returns the program of a definition that is known.
            again: takes what has waited, in order.
        """
        self._reducers = reducers
        self._program = program
        self._again = again
        self.at_work: dict[int, _Work] = {}
        """What is being folded, by the trees' roots."""
        self._done: dict[int, dict[int, Folded]] = {}
        self._room = anyio.CapacityLimiter(MOST)
        self._group: TaskGroup | None = None
        self.taken: dict[int, LoadedTree] = {}
        """Trees of hosts that have died, which were taken and are still to be rebuilt."""

    def knows(self, loaded: LoadedTree) -> bool:
        """Tell whether all is folded that a tree needs."""
        known = self._done.get(loaded.root, {})
        return not any(unknown(run, known, self._program) for run in loaded.runs)

    def begin(self, loaded: LoadedTree, item: Item) -> None:
        """Have a tree folded; an input waits for it."""
        work = self.at_work[loaded.root] = _Work(loaded, [item])
        if any(each.kind == "cancel" for each in loaded.inbox):
            work.hurry()
        if self._group is not None:
            self._group.start_soon(self._fold, work)

    def defers(self, item: Item) -> bool:
        """Let an input wait, if its tree is being folded."""
        work = self.at_work.get(item.root)
        if work is None:
            return False
        work.items.append(item)
        return True

    def hurry(self, root: int) -> None:
        """Wait for the reducers of a tree no longer than is decent: it is to be cancelled."""
        work = self.at_work.get(root)
        if work is not None:
            work.hurry()

    async def folded(self, loaded: LoadedTree, old: Tree | None) -> Mapping[int, Folded]:
        """Return what reducers of the user's have made of a tree's stored updates.

        Args:
            loaded: the tree, as the store has it.
            old: the same tree in memory, where it is only read anew: it knows.
        """
        if not any(run.shared for run in loaded.runs):
            return {}
        if old is None:
            known = self._done.pop(loaded.root, {})
        else:
            known = {key: run.shared.stored for key, run in old.runs.items() if run.shared.stored is not None}
        missing = [run for run in loaded.runs if unknown(run, known, self._program)]
        return {**known, **await self._reducers.folded(missing, self._program)} if missing else known

    async def serve(self) -> None:
        """Fold whatever is to be folded; never ends by itself."""
        async with anyio.create_task_group() as self._group:
            for work in list(self.at_work.values()):
                self._group.start_soon(self._fold, work)
            await anyio.sleep_forever()

    async def _fold(self, work: _Work) -> None:
        loaded = work.loaded
        self._done[loaded.root] = {}
        for run in loaded.runs:
            program = self._program(run.row.definition)
            if run.shared and program.reducers:
                self._done[loaded.root][run.row.run] = _broken_off(run, program)
                with work.scope:
                    async with self._room:
                        self._done[loaded.root][run.row.run] = await self._reducers.fold(program, run.shared)
        if loaded.holder is not None:
            self.taken[loaded.root] = loaded
        self.at_work.pop(loaded.root, None)
        self._again(work.items)


class _Work:
    """A tree that is being folded, and what waits for it."""

    def __init__(self, loaded: LoadedTree, items: list[Item]) -> None:
        self.loaded = loaded
        self.items = items
        self._deadline = float("inf")
        self._scopes: list[anyio.CancelScope] = []

    @property
    def scope(self) -> anyio.CancelScope:
        """A scope that ends when nobody has patience any more."""
        scope = anyio.CancelScope(deadline=self._deadline)
        self._scopes = [scope]
        return scope

    def hurry(self) -> None:
        """Have patience for a while only."""
        self._deadline = min(self._deadline, anyio.current_time() + PATIENCE)
        for scope in self._scopes:
            scope.deadline = self._deadline


def unknown(run: LoadedRun, known: Mapping[int, Folded], program: Callable[[str], Program]) -> bool:
    """Tell whether reducers of the user's still have to fold what is stored of a run."""
    if not run.shared or not program(run.row.definition).reducers:
        return False
    found = known.get(run.row.run)
    return found is None or found.updates != len(run.shared)


def _broken_off(run: LoadedRun, program: Program) -> Folded:
    """Return what is known of a run whose reducers didn't come to an end."""
    message = "its reducer was still at work when the run was to be cancelled"
    error = StepError(message, code="AF-STEP-RAISED", retryable=False)
    return Folded(len(run.shared), {row.key: error for row in run.shared if row.key in program.reducers})
