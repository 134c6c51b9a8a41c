"""Takes commands in: those of this process, and those that other doors have committed to the store."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from agentflow.engine.exchange import Done
from agentflow.engine.host.loading import Loader
from agentflow.engine.host.queue import Input, Queue
from agentflow.engine.host.refolding import Refolding
from agentflow.engine.host.signals import Signals
from agentflow.engine.plan.carrying import command_of
from agentflow.engine.plan.commands import TOUCH, Command
from agentflow.store.contract import Store


class Mailbox:
    """Where commands for trees are left."""

    def __init__(self, store: Store, queue: Queue, loader: Loader, refolding: Refolding, signals: Signals) -> None:
        """Take nothing in yet."""
        self.queue = queue
        self.roots: Callable[[], Collection[int] | None] = lambda: None
        """The roots whose commands this process carries out; None: all."""
        self.loop: Any = None
        """The event loop that everything here happens in."""
        self._store = store
        self._loader = loader
        self._refolding = refolding
        self._signals = signals

    def put(self, root: int, command: Command) -> None:
        """Leave a command that nobody waits for."""
        self.queue.put(Input(root, command))

    def ask(self, root: int, command: Command) -> Done:
        """Leave a command; returns what tells when it is committed."""
        done = Done(self._signals.new())
        self.queue.put(Input(root, command, done))
        return done

    async def apply(self, root: int, command: Command) -> bool:
        """Have a command carried out and committed; False when somebody else holds the tree."""
        done = self.ask(root, command)
        await done.wait()
        return done.held

    def soon(self, call: Callable[[], None]) -> None:
        """Have the event loop call something; safe in any thread."""
        self.loop.call_soon_threadsafe(call)

    async def take_inbox(self, roots: Collection[int] | None = None, *, taken_too: bool = False) -> list[Done]:
        """Take in the commands that other doors committed; returns what tells when each is carried out.

        With `taken_too` also of those that were taken in before, and are still to be carried out.
        """
        taken: list[Done] = []
        for root, item in await self._store.inbox(roots, self._loader.holders, self._loader.agents):
            known = item.id in self.queue.seen
            if not known:
                self.queue.seen.add(item.id)
                if item.kind == "cancel":
                    self._refolding.hurry(root)
                taken.append(Done(self._signals.new(), item.id))
                self.queue.put(Input(root, command_of(item), taken[-1]))
            elif taken_too:  # it comes after that one
                taken.append(self.ask(root, TOUCH))
        return taken

    async def take_due(self) -> None:
        """Take in what the store has, if somebody has asked for that."""
        if self.queue.inbox_due:
            self.queue.inbox_due = False
            try:
                await self.take_inbox(self.roots())
            except BaseException:
                self.queue.look_at_inbox()  # the pump starts anew
                raise
