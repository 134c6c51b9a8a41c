"""Rows and views of the slots of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class SlotRow(NamedTuple):
    """A step that asks for a slot of a key, of which only so many steps of the whole store have one at once.

    Slots are given in the order in which they were asked for, as soon as there are free ones. What a step was given is
    its own until `free` names it, and so is its place in the queue.
    """

    n: int
    key: str
    limit: int
    within: Sequence[tuple[int, int]] = ()
    """(run, step) of the steps around it that hold slots: they can't end before this one does."""


class SlotView(NamedTuple):
    """A step's slot, or its place in the queue for one."""

    n: int
    key: str
    held: bool


class Grant(NamedTuple):
    """A slot that a commit has given to a step."""

    run: int
    n: int
    root: int
    holder: str | None
    """Who holds the tree. One that isn't the committer finds a command `slot`, and is to be woken."""


class SlotWait(NamedTuple):
    """What a step waits for, as doors show it."""

    run: int
    n: int
    key: str
    limit: int
    held: int
    """How many have one."""
    ahead: int
    """How many asked before it."""
    holders: Sequence[tuple[str, str]]
    """(run id, step address) of some of those that have one."""
