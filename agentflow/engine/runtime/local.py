"""The local runtime: a pool of long-lived workers in the process of the engine.

A task and a cancel scope per step would cost more than the step itself, so workers live on and keep their scope: a
cancel or a timeout of a step cancels its worker's scope, and the worker enters a fresh one. Nor is a worker woken per
step: one that works through the queue wakes a second one, which goes on as soon as a step of the first has to wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic

import anyio
from anyio.abc import TaskGroup, TaskStatus

from agentflow.engine.runtime.base import Handler, W


class LocalRuntime(Generic[W]):
    """Workers of one process."""

    def __init__(self) -> None:
        """Make a runtime without workers."""
        self._queue: deque[W] = deque()
        self._idle: list[Worker[W]] = []
        self._workers = 0
        self._woken = 0
        """Workers that were woken or started and haven't come to it yet."""
        self._slots = 0
        self._handler: Handler[W] | None = None
        self._group: TaskGroup | None = None

    @property
    def waiting(self) -> bool:
        """Whether works are queued: whoever asks, as a worker, takes the next."""
        return bool(self._queue)

    def push(self, works: Sequence[W]) -> None:
        """Queue works and see to it that somebody takes them; never waits."""
        self._queue.extend(works)
        self._rouse()

    def _rouse(self) -> None:
        """Wake or start a worker, unless one is on its way."""
        if not self._queue or self._woken:
            return
        if self._idle:
            self._idle.pop().wake.set()
        elif self._workers < self._slots and self._group is not None and self._handler is not None:
            self._workers += 1
            self._group.start_soon(Worker(self, self._handler).serve)
        else:
            return
        self._woken += 1

    async def serve(self, handler: Handler[W], *, slots: int, task_status: TaskStatus[None]) -> None:
        """Run workers until cancelled."""
        self._handler, self._slots = handler, slots
        async with anyio.create_task_group() as group:
            self._group = group
            task_status.started()
            await anyio.sleep_forever()

    def come(self) -> None:
        """Note that a worker that was woken or started has come to it."""
        self._woken -= 1

    def take(self) -> W | None:
        """Return the next work, or None."""
        if not self._queue:
            return None
        work = self._queue.popleft()
        self._rouse()
        return work

    def rest(self, worker: Worker[W]) -> None:
        """Note that a worker has nothing to do."""
        self._idle.append(worker)


class Worker(Generic[W]):
    """Performs one work after the other."""

    def __init__(self, runtime: LocalRuntime[W], handler: Handler[W]) -> None:
        self.wake = anyio.Event()
        self.interrupted: str | None = None
        self._runtime = runtime
        self._handler = handler
        self._scope: anyio.CancelScope | None = None
        self._work: W | None = None

    def interrupt(self, reason: str) -> None:
        """Cancel the work that is being performed."""
        if self._work is not None and self.interrupted is None:
            self.interrupted = reason
            if self._scope is not None:
                self._scope.cancel()

    @property
    def scope(self) -> anyio.CancelScope:
        """The scope that an interrupt cancels."""
        if self._scope is None:
            raise RuntimeError("the worker isn't serving")
        return self._scope

    async def serve(self) -> None:
        """Work until the runtime is cancelled."""
        self._runtime.come()
        self._handler.enter()
        while True:
            with anyio.CancelScope() as scope:
                self._scope = scope
                await self._loop()
            work = self._work
            if work is None:
                return
            # the scope was cancelled by an interrupt: the handler says what becomes of the work
            ready = await self._handler.perform(work, self)
            self._work, self.interrupted = None, None
            self._runtime.push(ready)

    async def _loop(self) -> None:
        runtime, handler = self._runtime, self._handler
        while True:
            work = self._work = runtime.take()
            if work is None:
                self.wake = anyio.Event()
                runtime.rest(self)
                await self.wake.wait()
                runtime.come()
                continue
            while work is not None:
                ready = await handler.perform(work, self)
                work = self._work = None
                if ready:
                    if len(ready) > 1:
                        runtime.push(ready[1:])
                    work = self._work = ready[0]
