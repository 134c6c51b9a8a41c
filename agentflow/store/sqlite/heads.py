"""The heads of runs in one transaction: each is written once, as short as can be."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypeAlias

from agentflow.store.common import ended
from agentflow.store.rows import RunChange, RunPatch
from agentflow.store.sqlite import statements as sql
from agentflow.store.sqlite.row_cache import Head

Values: TypeAlias = tuple[Any, ...]


class _End:
    """A patch that ends a run and says no more than most do."""

    __slots__ = ("released", "values")

    def __init__(self, values: Values) -> None:
        self.values = values
        self.released = False
        """Whether the run's tree is let go of, too."""


class Heads:
    """Collects what changes in heads of runs. How far their logs go is known when all is written."""

    def __init__(self, known: MutableMapping[int, Head]) -> None:
        """Begin with heads as the last transaction has left them; they change with this one."""
        self._known = known
        self._touched: dict[int, Head] = {}
        self._begun: dict[int, Values] = {}
        self._ended: dict[int, _End] = {}
        self._stated: set[int] = set()

    def begin(self, run: int, head: Head, values: Values) -> None:
        """Add a head; its values lack how far its log goes."""
        self._known[run] = self._touched[run] = head
        self._begun[run] = values

    def touch(self, run: int, head: Head) -> None:
        """Note that a head has changed."""
        self._touched[run] = head

    def patch(self, run: int, head: Head, patch: RunPatch) -> tuple[str, Values] | None:
        """Take in a patch; the head gets its state.

        Returns:
            A statement with its values; None: it is kept until all is written.
        """
        head.updated_at = max(head.updated_at, patch.at)
        self._touched[run] = head
        over = ended(head.state)
        outcome = (None, None, None) if over else (patch.error, patch.output, patch.output_step)
        reason = None if over else patch.reason
        texts = (patch.message, patch.now_text, patch.last_response, patch.tolerated, patch.memo, patch.memo)
        if (patch.state is None or over) and patch.paused is None and run not in self._stated:
            return sql.PATCH_HEAD, (*outcome, *texts, reason, run)
        # From here on this run's patches stay together, so that a later one wins.
        first = run not in self._stated
        self._stated.add(run)
        ended_at, changed_at = None, None
        replaces = patch.state is not None and not over
        if patch.state is not None and not over:
            # A run that waits and is told so again asks for something else.
            changed_at = None if head.state == patch.state == "working" else patch.at
            head.state = patch.state
            if ended(patch.state):
                ended_at = patch.at if patch.ended_at is None else patch.ended_at
                if first and _is_plain(patch):
                    values = (patch.state, patch.at, reason, ended_at, patch.output_step, patch.now_text)
                    self._ended[run] = _End(values)
                    return None
        states = (replaces, reason, reason, changed_at, head.state, patch.paused, ended_at)
        return sql.PATCH_STATE, (*outcome, *texts, *states, run)

    def release(self, run: int) -> bool:
        """Let go of a tree; False: that is to be written by itself."""
        end = self._ended.get(run)
        if end is None:
            return False
        end.released = True
        return True

    def write(self, rare: MutableMapping[str, list[Values]]) -> list[Values]:
        """Give all that was collected to `rare`, by statement; returns the values of `UPDATE_HEAD`."""
        touched = self._touched
        for run, values in self._begun.items():
            head = touched.pop(run)
            rare[sql.NEW_HEAD].append((*values, head.seq, head.generation, head.extras, head.updated_at))
        for run, end in self._ended.items():
            head = touched.pop(run, None) or self._known[run]
            statement = sql.END_AND_RELEASE if end.released else sql.END_HEAD
            rare[statement].append((*end.values, head.seq, head.generation, head.extras, head.updated_at, run))
        self._begun.clear()
        self._ended.clear()
        hot = [(h.seq, h.generation, h.extras, h.updated_at, run) for run, h in touched.items()]
        touched.clear()
        return hot


def _is_plain(patch: RunPatch) -> bool:
    """Tell whether a patch that ends a run says no more than most do."""
    given = (patch.error, patch.output, patch.message, patch.last_response, patch.tolerated, patch.paused)
    return patch.memo == b"" and given == (None, None, None, None, None, None)


def moment(change: RunChange, head: Head) -> float:
    """Return the time of a change."""
    return change.patch.at if change.patch else max([head.updated_at, *[event.at for event in change.events]])
