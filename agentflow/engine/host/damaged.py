"""Ending a tree that can't be rebuilt, as what is stored of it is damaged or needs what isn't here: by `runs cancel`.

Nothing is computed from its results, so nothing can come of wrong ones: hooks and compensation are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agentflow.data import encode
from agentflow.engine.decided import salvaged_of
from agentflow.errors import AgentflowError, StoreError
from agentflow.store.loaded import LoadedRun, LoadedTree
from agentflow.store.rows import TERMINAL, EventRow, RunChange, RunPatch, StepRow

REASON = "run_canceled"


def is_damaged(error: object) -> bool:
    """Tell whether an error means that something stored is damaged."""
    return isinstance(error, StoreError) and error.code == "AF-STORE-DAMAGED"


def wants_end(tree: LoadedTree) -> bool:
    """Tell whether a tree has ended, or is to be cancelled: a command waits for that, or it was begun already."""
    root = tree.runs[0].row
    if root.state in TERMINAL:
        return True
    begun = salvaged_of(root.memo).canceling is not None
    return begun or any(item.kind == "cancel" and item.run == tree.root for item in tree.inbox)


def let_go(tree: LoadedTree) -> list[RunChange]:
    """Return what releases a tree that can't be gone on with here, and the slots of keys that nobody works with.

    What its holder's death broke off asks again when somebody goes on with it. What is half done, containers and open
    waits, keeps its slots until then, or until it is cancelled.
    """
    free = tree.holder is None
    epoch = tree.epoch + 1 if free else tree.epoch
    changes = [RunChange(tree.root, tree.root, epoch, take=free, release=True)]
    for item in tree.runs:
        broken_off = {step.n for step in item.steps if step.phase in (None, "run")}
        slots = [slot.n for slot in item.slots if slot.n in broken_off]
        if slots:
            changes.append(RunChange(item.row.run, tree.root, epoch, free=slots))
    return [] if free and len(changes) == 1 else changes


def ended(tree: LoadedTree, why: Exception, now: float) -> Sequence[RunChange]:
    """Return what ends a tree that nobody holds; of one that has ended it takes the commands away.

    Args:
        tree: the tree, loaded for that.
        why: what keeps it from being rebuilt.
        now: the time.
    """
    epoch = tree.epoch + 1
    taking = RunChange(tree.root, tree.root, epoch, take=True)
    over = tree.runs[0].row.state in TERMINAL
    changes = [] if over else [_ended(tree, item, why, now) for item in reversed(tree.runs)]
    changes = changes or [RunChange(tree.root, tree.root, epoch)]
    changes[-1].inbox_done = [item.id for item in tree.inbox]
    changes[-1].release = True
    for change in changes:
        change.epoch = epoch
    return [taking, *changes]


def broken_off(tree: LoadedTree) -> Iterator[tuple[LoadedRun, StepRow]]:
    """Yield the steps that were being executed, none where the tree has ended: whatever they left is to be ended."""
    if tree.runs[0].row.state not in TERMINAL:
        for item in tree.runs:
            yield from ((item, step) for step in item.steps if step.phase == "run" and step.state not in TERMINAL)


def _ended(tree: LoadedTree, item: LoadedRun, why: Exception, now: float) -> RunChange:
    row = item.row
    change = RunChange(row.run, tree.root, 0)
    for step in item.steps:
        if step.state in TERMINAL or (step.state == "submitted" and step.attempt == 0):
            continue
        change.steps.append(
            step._replace(state="canceled", reason=REASON, phase=None, result=None, memo=None, ended_at=now)
        )
        change.events.append(EventRow("step_canceled", step.address, encode({"reason": REASON}), now))
    what, code = (why.what, why.code) if isinstance(why, AgentflowError) else (str(why), "AF-DEFECT")
    told = f"canceled without its hooks and compensation: {what}"
    change.patch = RunPatch(now, "canceled", REASON, message=told, ended_at=now, now_text="", memo=b"")
    data: dict[str, Any] = {"without_hooks": True, "damaged": {"code": code, "message": what}}
    change.events.append(EventRow("run_canceled", None, encode(data), now, bumps=True))
    return change
