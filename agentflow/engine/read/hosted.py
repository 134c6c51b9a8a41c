"""Whether anybody executes a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentflow.engine.models import Run

if TYPE_CHECKING:
    from agentflow.store.liveness import Liveness


async def executed(liveness: Liveness, runs: Sequence[Run]) -> dict[str, bool | None]:
    """Tell of each run, by id, whether a live process executes it; None: it has ended, or nobody can know.

    A run that only waits for a time has no holder, but the process that let go of it may still look after it.
    """
    live = None if all(run.ended for run in runs) else await liveness.living()
    if live is None:
        return {run.id: None for run in runs}

    def told(run: Run) -> bool | None:
        if run.holder:
            return run.holder in live
        return None if live else False

    return {run.id: None if run.ended else told(run) for run in runs}
