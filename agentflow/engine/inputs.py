"""What waits to be applied to trees: commands, and who waits until one has been committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import anyio

from agentflow.engine.plan.commands import Command, Outcome


class Done:
    """Somebody waits until an input has been committed."""

    __slots__ = ("error", "event", "held", "inbox")

    def __init__(self, event: anyio.Event, inbox: int | None = None) -> None:
        """Make one that is not done, told by an event; `inbox` is the id of the command that it carries out."""
        self.inbox = inbox
        self.event = event
        self.error: BaseException | None = None
        self.held = True
        """False: the tree was held by somebody else, and nothing was done."""

    async def wait(self) -> None:
        """Return when it is committed; raises what kept it from being so."""
        await self.event.wait()
        if self.error is not None:
            raise self.error


@dataclass(slots=True)
class Input:
    """A command for a tree."""

    root: int
    command: Command
    done: Done | None = None


Item: TypeAlias = Input | Outcome
"""Outcomes, which are the most frequent of all, go without an envelope: nobody waits for them."""
