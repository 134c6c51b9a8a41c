"""The output of a stored run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.data import decode
from agentflow.store.rows import RunRow

if TYPE_CHECKING:
    from agentflow.store.contract import Readable


async def output_of(store: Readable, row: RunRow) -> Any:
    """Return a run's output: stored by itself, or the result of its last step."""
    if row.output is not None:
        return decode(row.output)
    if row.state != "completed" or row.output_step is None:
        return None
    raw = await store.result(row.run, row.output_step)
    return decode(raw) if raw is not None else None
