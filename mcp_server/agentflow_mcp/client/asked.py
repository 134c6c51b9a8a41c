"""Calls that are under way, and what servers of the older protocol ask while they are.

Such a question comes on the connection, and says not which call it is for. It is the one call's that it can be of:
where several are open, it waits until the others have ended, as a call that asks doesn't end before it is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import anyio

from agentflow.ids import new_id

PARTING = 5.0
"""Seconds that a server gets to be told that nobody wants a result any more."""
CANCEL: Final[Mapping[str, Any]] = {"action": "cancel"}
log = logging.getLogger("agentflow")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server asks: a form, or a visit of an address."""

    message: str
    schema: Mapping[str, Any] | None = None
    url: str | None = None


Said: TypeAlias = "tuple[Asked, Mapping[str, Any]]"
"""A question, and the reply that was given to it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A call has come to its end."""

    value: Any = None
    error: BaseException | None = None


class Call:
    """A call that is under way. It goes on while its step is parked on a question."""

    def __init__(
        self,
        work: Callable[[Call], Awaitable[Any]],
        ended: Callable[[Call], None],
        said: Said | None = None,
    ) -> None:
        """Begin it.

        Args:
            work: what it does.
            ended: is told when it is over.
            said: the reply that was given to a question of a call before it, which this one stands for.
        """
        self.id = new_id()
        self.progress: Callable[[float | None, str], None] | None = None
        """Takes what the server tells of it, while its step listens."""
        self._said = said
        self.reply: asyncio.Future[Mapping[str, Any]] | None = None
        """What is waited for, while it asks."""
        self._events: asyncio.Queue[Asked | Done] = asyncio.Queue()
        self._ended = ended
        self._task = asyncio.get_running_loop().create_task(self._run(work))

    async def _run(self, work: Callable[[Call], Awaitable[Any]]) -> None:
        try:
            done = Done(await work(self))
        except asyncio.CancelledError:
            return
        except BaseException as error:  # it is its step's failure
            done = Done(error=error)
        finally:
            self._ended(self)
        self._events.put_nowait(done)

    async def next(self) -> Asked | Done:
        """Wait for what comes of it next: its end, or a question. Whoever is stopped meanwhile stops it."""
        try:
            return await self._events.get()
        except BaseException:
            with anyio.move_on_after(PARTING, shield=True):
                await self.stop()
            raise

    async def ask(self, asked: Asked) -> Mapping[str, Any]:
        """Ask its step, and wait for the reply."""
        said, self._said = self._said, None
        if said is not None and said[0] == asked:
            return said[1]
        self.reply = asyncio.get_running_loop().create_future()
        self._events.put_nowait(asked)
        try:
            return await self.reply
        finally:
            self.reply = None

    def answer(self, reply: Mapping[str, Any]) -> None:
        """Give the reply to what it asks."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(reply)

    async def stop(self) -> None:
        """End it; the server is told."""
        self._task.cancel()
        await asyncio.wait([self._task])


class Calls:
    """The calls that are under way on a connection."""

    def __init__(self) -> None:
        """Begin with none."""
        self._open: dict[str, Call] = {}
        self._changed = asyncio.Event()
        self._unplaced = 0
        """Questions of which it isn't known yet whose they are."""

    def begin(self, work: Callable[[Call], Awaitable[Any]], said: Said | None = None) -> Call:
        """Begin a call; see `Call`."""
        call = Call(work, self._ended, said)
        self._open[call.id] = call
        return call

    def find(self, call_id: str) -> Call | None:
        """Return a call that is under way here."""
        return self._open.get(call_id)

    def _ended(self, call: Call) -> None:
        self._open.pop(call.id, None)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def end(self) -> None:
        """The connection is gone: nobody replies any more."""
        for call in list(self._open.values()):
            call.answer(CANCEL)

    async def ask(self, asked: Asked) -> Mapping[str, Any]:
        """Ask the step whose call it is."""
        may = list(self._open.values())
        self._unplaced += 1
        self._tell()
        try:
            while True:
                left = [call for call in may if call.id in self._open and call.reply is None]
                if len(left) == 1:
                    break
                if len(left) <= self._unplaced:  # none, or each of them asks
                    log.warning("a server asked something during %d calls at once; it was told to go on", len(left))
                    return CANCEL
                await self._changed.wait()
        finally:
            self._unplaced -= 1
        return await left[0].ask(asked)
