"""Whether the store takes what this process commits, and whether it is this process's still."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from agentflow.errors import StoreError

LOST = frozenset({"AF-STORE-NEWER", "AF-STORE-GONE"})
"""Why a store is lost to this process: a newer version has changed it, or it was deleted or replaced."""


class Health:
    """What is known of the store."""

    def __init__(self) -> None:
        """Begin in good health."""
        self.refused: StoreError | None = None
        """Why the store refused the last commit; None: it didn't. What was refused is tried again until it succeeds."""
        self.outdated: StoreError | None = None
        """Why this process can't go on at all: one of `LOST`."""
        self.over = anyio.Event()
        """Set with `outdated`."""
        self.on_lost: Callable[[], None] = lambda: None
        """Lets everything go: nothing of what this process goes on to do is kept."""

    def notice(self, error: Exception) -> None:
        """Look whether an error means that the store isn't this process's any more."""
        if isinstance(error, StoreError) and error.code in LOST:
            self.outdated = error
            self.over.set()
            self.on_lost()
