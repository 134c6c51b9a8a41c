"""The one connection that writes: one transaction at a time, in turn, its COMMIT where it disturbs least."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio
import anyio.to_thread
import apsw

from agentflow.store.sqlite.place import BUSY_AFTER, Place, pause
from agentflow.store.sqlite.row_cache import RowCache
from agentflow.store.sqlite.schema import check_version
from agentflow.store.sqlite.sql import do, number

T = TypeVar("T")
A = TypeVar("A")

SLOW = 0.003
"""Seconds of a COMMIT from which on it goes to a thread. The hop costs 0.15 ms, so a fast disk is better without."""


class Writer:
    """Runs transactions one after the other.

    The statements run in the event loop's thread: fed from another one they would wait for the interpreter's lock at
    each row. Only COMMIT, the part that waits for the disk, goes to a thread when the disk is slow.
    """

    def __init__(self, db: apsw.Connection, place: Place) -> None:
        """Take over a connection."""
        self.db = db
        self._place = place
        self._faults = place.faults
        self._look = place.watch()
        self._waits = place.shared
        """Whether a commit may wait, for the disk or for another process."""
        self._busy = False
        self._synced = False
        """Whether the last transaction had to survive a power cut."""
        self._queue: deque[anyio.Event] = deque()
        self._cost = 0.0
        self._disk = ThreadPoolExecutor(1, "agentflow-commit")
        self._limiter = anyio.CapacityLimiter(1)  # steps may have all of the common threads, for long
        self._version = -1
        """Of the data, as our last transaction left it."""
        self.cache = RowCache()

    async def transact(
        self, work: Callable[[A], T], argument: A, freeze: Callable[[A], A] | None = None, *, large: bool = False,
        synced: bool = False, told: bool = True,
    ) -> T:  # fmt: skip
        """Run some work in a transaction of its own, and return its result once that is durable.

        Args:
            work: reads and writes by `db`; never suspends.
            argument: what the work gets.
            freeze: copies the argument when it has to wait for its turn.
            large: the work takes so long that the hop to a thread doesn't count: whatever the disk does, the event
                loop goes on.
            synced: it has to survive a power cut, however safe other transactions are.
            told: somebody is told of it at once. Else another one follows that is told of.

        Raises:
            StoreError: nothing was committed.
        """
        with self._faults:
            if self._busy or not self._begin(synced):
                if freeze is not None:
                    argument = freeze(argument)
                await self._turn(synced)
            try:
                result = work(argument)
                await self._commit(large)
                self._look(told)  # it may have been committed to a file that nobody can open any more
                self._version = self.db.data_version()
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._pass_on()
        return result

    @property
    def idle(self) -> bool:
        """Whether no transaction is under way."""
        return not self._busy

    def others(self) -> int:
        """Return a number that changes when another connection has committed. `Connection.data_version` changes too
        when we have.

        Raises:
            StoreError: our files aren't in their place any more.
        """
        self._look(True)
        with self._faults:
            return number(self.db, "PRAGMA data_version")

    async def end(self) -> None:
        """Wait for what is under way; nothing can be begun any more."""
        if self._busy:
            with anyio.CancelScope(shield=True):
                await self._wait()
        self._busy = True
        self._disk.shutdown(wait=False)

    def _begin(self, synced: bool) -> bool:
        try:
            if synced is not self._synced:  # it can't be said inside a transaction
                self._synced = synced
                self._place.set_sync(self.db, full=synced)
            do(self.db, "BEGIN IMMEDIATE")
        except (apsw.BusyError, apsw.LockedError):
            return False
        version = self.db.data_version()
        if version != self._version:
            try:
                check_version(self.db, self._place.path)
            except BaseException:
                self._roll_back()
                raise
            self._version = version
            self.cache.clear()
        self._busy = True
        return True

    async def _turn(self, synced: bool) -> None:
        if self._busy:
            await self._wait()
        self._busy = True
        limit = time.monotonic() + BUSY_AFTER
        try:
            while not self._begin(synced):
                if time.monotonic() > limit:
                    raise apsw.BusyError("another process kept the lock")
                await anyio.sleep(pause())
        except BaseException:
            self._pass_on()
            raise

    async def _wait(self) -> None:
        event = anyio.Event()
        self._queue.append(event)
        try:
            await event.wait()
        except BaseException:
            if event.is_set():
                self._pass_on()
            else:
                self._queue.remove(event)
            raise

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self._busy = False

    async def _commit(self, large: bool) -> None:
        if not self._waits or (self._cost < SLOW and not large):
            taken = self._commit_now()
        else:
            taken = 0.0
            # Shielded: whoever waits for a commit learns what became of it.
            with anyio.CancelScope(shield=True):
                # It begins at once: whoever reserves keys before the loop comes round would wait for it without end.
                committing = self._disk.submit(self._commit_now)
                taken = await anyio.to_thread.run_sync(committing.result, limiter=self._limiter)
        self._cost += (taken - self._cost) * 0.2

    def _commit_now(self) -> float:
        started = time.perf_counter()
        do(self.db, "COMMIT")
        return time.perf_counter() - started

    def _roll_back(self) -> None:
        self.cache.clear()
        if self.db.in_transaction:
            do(self.db, "ROLLBACK")
