"""What a holder reads of a tree to go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentflow.store.rows import RunRow, SharedRow, StepRow
from agentflow.store.slot_rows import SlotView
from agentflow.store.usage_rows import UsageView
from agentflow.store.views import Inbox


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """All that a holder needs to go on with a run."""

    row: RunRow
    steps: Sequence[StepRow]
    shared: Sequence[SharedRow]
    """In commit order."""
    slots: Sequence[SlotView] = ()
    """Slots of its steps, and their places in queues."""


@dataclass(frozen=True, slots=True)
class LoadedTree:
    """A run with its descendants that haven't ended, and the commands that wait for them."""

    root: int
    epoch: int
    runs: Sequence[LoadedRun]
    """Parents before children."""
    inbox: Sequence[Inbox]
    damaged: frozenset[tuple[int, int]] = frozenset()
    """Steps (run, number) whose stored result is damaged and isn't given; only `salvage_tree` returns such trees."""

    usage: Sequence[UsageView] = ()
    """What its attempts have used, those of runs that have ended too."""

    @property
    def holder(self) -> str | None:
        """Who holds it."""
        return self.runs[0].row.holder
