"""Hands attempts to workers elsewhere, and takes what comes of them: its number says what counts."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.attempt.received import told_from_json
from agentflow.engine.attempt.remote import carried_out
from agentflow.engine.attempt.sealing import Seal
from agentflow.engine.attempt.wire import attempt_to_json, returned_from_json
from agentflow.engine.exchange import Attempt, Done, Left, Parcel, Returned, Stopped, key_of
from agentflow.engine.failures import failed_by
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.queue import Queue
from agentflow.engine.host.slots import Slots
from agentflow.engine.host.times import Times
from agentflow.engine.plan.commands import Outcome
from agentflow.engine.plan.handing import attempt_of
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.runtime.base import Runtime
from agentflow.errors import Failure

log = logging.getLogger("agentflow")

PAUSE = 0.2
"""Seconds after which a step is claimed again that couldn't be handed out."""
UNWIND = 5.0
"""Seconds that a worker gets to stop an attempt: a step that is still at work is one too many for its key."""
LOOK = 10.0
"""Seconds between two looks at the runtime's health."""
ENDED = 10_000
"""How many attempts are known to be over."""


class Handing:
    """Implements the runtime's `Holder`."""

    def __init__(
        self, runtime: Runtime, process: Process, port: Port, cache: TreeCache, slots: Slots, times: Times, queue: Queue
    ) -> None:
        """Hand out nothing yet."""
        self.pause: Callable[[float], Awaitable[None]] = anyio.sleep
        """Waits `PAUSE` or `UNWIND`."""
        self._runtime = runtime
        self._gate = process.gate
        self._seal = Seal(process.env, process.public_env, process.gate.redactor)
        self._port = port
        self._cache = cache
        self._slots = slots
        self._times = times
        self._queue = queue
        self._out: dict[str, Handed] = {}
        self._ended: dict[str, Done] = {}
        """The attempts that have come to an end here last, oldest first: whether that is committed."""
        self._left = False
        self._group: TaskGroup | None = None
        self._ill: str | None = None
        """What was told of the runtime's health."""

    async def attend(self) -> None:
        """Take what workers bring; never ends by itself."""
        try:
            async with anyio.create_task_group() as self._group:
                for handed in self._out.values():
                    if handed.stopped is not None:
                        self._group.start_soon(self._stop_waiting, handed)
                self._group.start_soon(self._look_after)
                await self._runtime.attend(self)
        finally:
            self._group = None

    async def _look_after(self) -> None:
        while True:
            await anyio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        """Tell, once each, when there are steps that nobody may come to execute, and when that is over."""
        ill = await self._runtime.health() if self._out else None
        if ill is not None and ill != self._ill:
            log.warning("steps wait for workers: %s", self._gate.text(ill))
        elif ill is None and self._ill is not None:
            log.warning("workers take steps again")
        self._ill = ill

    async def hand_out(self, run: RunState, node: Node, *, again: bool) -> None:
        """Hand a claimed step to a worker.

        Args:
            run: its run.
            node: the step.
            again: a host before this one has done so already.
        """
        attempt = attempt_of(run, node)
        if isinstance(attempt, Attempt):
            try:
                parcel = Parcel(attempt.key, attempt_to_json(attempt, self._seal))
            except Exception as error:  # a field that isn't data
                attempt = failed_by(self._gate, error)
            else:
                known = attempt._replace(config={}, spec=None, ready=None, values=None, saved=None, arrived=None)
                handed = node.lease = self._out[attempt.key] = Handed(self, run.tree.key, known)
                await self._execute(parcel, handed, again=again)
                if node.halting is not None:  # the host before was stopping it
                    self.take_back(handed, node.halting)
                return
        node.lease = None
        self._queue.put(Outcome(run.tree.key, run.key, node.n, node.attempt, node.address, attempt))

    async def _execute(self, parcel: Parcel, handed: Handed, *, again: bool) -> None:
        """Give an attempt to the runtime. What goes wrong there is this attempt's loss, and nobody else's."""
        key = parcel.key
        try:
            await self._runtime.execute([parcel], again=again)
        except Exception as error:
            told = self._gate.text(f"{type(error).__name__}: {error}")
            log.error("step %s couldn't be handed out: %s", handed.attempt.address, told)
            await self.pause(PAUSE)
            if self._out.get(key) is handed:
                self._end(key, Stopped("lost"))
        if handed.stopped is not None:  # perhaps before the runtime knew of it
            self._interrupt(key, handed.stopped)

    def _interrupt(self, key: str, reason: str) -> None:
        try:
            self._runtime.interrupt([key], reason)
        except Exception as error:  # it counts no more anyway
            log.error("attempt %s can't be stopped: %s", key, self._gate.text(f"{type(error).__name__}: {error}"))

    def take_back(self, handed: Handed, reason: str) -> None:
        """Have an attempt stopped. It holds its slots until its worker has done so, is gone, or has had time enough.

        One of a tree that is lost goes on: who holds that now may have taken it over.
        """
        key = handed.attempt.key
        if self._out.get(key) is not handed:
            return
        if reason == "lost":
            self._forget(self._out.pop(key))
            return
        if handed.stopped is None:
            handed.stopped = reason
            if self._group is not None:  # else when it is attended to
                self._group.start_soon(self._stop_waiting, handed)
            self._interrupt(key, reason)

    async def _stop_waiting(self, handed: Handed) -> None:
        """Let an attempt that is to stop count no more, whatever its worker is still at."""
        await self.pause(UNWIND)
        if self._out.get(handed.attempt.key) is handed:
            self._end(handed.attempt.key, None)

    def _forget(self, handed: Handed) -> None:
        """Let one go without an outcome."""
        attempt = handed.attempt
        self._slots.running -= 1
        if attempt.timeout is not None:
            self._times.stopped(attempt.run, attempt.n, attempt.attempt)

    def leave(self) -> None:
        """Let all go on by themselves: who holds their trees next takes them over."""
        for handed in self._out.values():
            self._slots.running -= 1
            run = self._cache.runs.get(handed.attempt.run)
            node = run.live.get(handed.attempt.n) if run is not None else None
            if node is not None and node.lease is handed:
                node.lease = None
        self._out.clear()
        self._left = True

    def _end(self, key: str, value: Any, left: Left | None = None) -> None:
        handed = self._out.pop(key)
        if handed.stopped is not None:
            value, left = Stopped(handed.stopped), None
        done = self._ended[key] = Done(anyio.Event())
        if len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]
        attempt = handed.attempt
        if attempt.timeout is not None:
            self._times.stopped(attempt.run, attempt.n, attempt.attempt)
        self._queue.put(
            Outcome(handed.root, attempt.run, attempt.n, attempt.attempt, attempt.address, value, left, done)
        )

    # what workers bring

    def knows(self, key: str) -> bool:
        """Tell whether an attempt is handed out, or over; else this host, or another one, may still take it over."""
        if self._left:
            return False
        ended = self._ended.get(key)
        if key in self._out or (ended is not None and not ended.over):
            return True
        try:
            run_key, n = map(int, key.split("/", 2)[:2])
        except ValueError:  # no attempt at all
            return True
        run = self._cache.runs.get(run_key)
        if run is None:
            return False
        node = run.live.get(n)
        return node is None or node.phase != "run" or key_of(run.key, node.n, node.attempt, node.entry) != key

    async def returned(self, key: str, outcome: bytes) -> bool | None:
        """Take what an attempt came to, and return when it is committed; False: it is over. None: it isn't taken."""
        counts = key in self._out
        if counts:
            self._end(key, *self._read(outcome))
        ended = self._ended.get(key)
        if ended is not None:
            await ended.event.wait()
            if ended.over:
                return None
        return counts

    def _read(self, outcome: bytes) -> Returned:
        """Read what an attempt came to; what can't be read fails the step."""
        try:
            value, left = returned_from_json(outcome)
        except Exception as error:
            message = f"what the step came to can't be read: {type(error).__name__}: {error}"
            return self._gate.failure(Failure("AF-STEP-RAISED", message, retryable=False)), None
        if isinstance(value, Failure) and (value.code, value.kind) == ("AF-INTERRUPTED", "crash"):
            return Stopped("lost"), None  # somebody took it for over: a holder before this one, say
        return value, left

    def lost(self, key: str) -> None:
        """Note that whoever executed an attempt is gone."""
        if key in self._out:
            self._end(key, Stopped("lost"))

    def told(self, key: str, events: bytes) -> bool:
        """Take what an attempt tells of itself; False: it is over. Raises StepError where it can't be read."""
        handed = self._out.get(key)
        if handed is not None:
            self._port.tell(handed.attempt, _Notes(told_from_json(events)))
        return handed is not None

    async def called(self, key: str, call: bytes) -> bytes | None:
        """Carry out what an attempt asks; None: it is over."""
        handed = self._out.get(key)
        return await carried_out(self._port, handed.attempt, call) if handed is not None else None


class Handed:
    """How a step is reached that a worker elsewhere executes."""

    __slots__ = ("_handing", "attempt", "root", "stopped")

    def __init__(self, handing: Handing, root: int, attempt: Attempt) -> None:
        """Know what is handed out, without what only its worker needs."""
        self._handing = handing
        self.root = root
        self.attempt = attempt
        self.stopped: str | None = None
        """Why it is to stop."""

    def interrupt(self, reason: str) -> None:
        """Have it stopped."""
        self._handing.take_back(self, reason)


class _Notes:
    """What a worker has told."""

    def __init__(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self._events = events

    def flush(self) -> None:
        """There is nothing that waits."""

    def take(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return self._events
