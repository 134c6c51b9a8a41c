"""Performs attempts in this process's workers: what they may ask of the host, and what becomes of their outcomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from agentflow.engine.attempt.execute import execute
from agentflow.engine.attempt.notes import Later
from agentflow.engine.attempt.ports import Told
from agentflow.engine.attempt.reducers import Reducers
from agentflow.engine.gate import PUBLISHED
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.environment import Environment
from agentflow.engine.host.mailbox import Mailbox
from agentflow.engine.host.slots import Slots
from agentflow.engine.host.times import Times
from agentflow.engine.host.transactor import MOST, Transactor
from agentflow.engine.plan.commands import Begun, Command, Outcome, Saved, Stopped
from agentflow.engine.plan.faults import defect
from agentflow.engine.plan.marks import UNBEGUN
from agentflow.engine.plan.state import Node, RunState
from agentflow.engine.runtime.base import Work, WorkLease
from agentflow.engine.runtime.embedded import EmbeddedRuntime
from agentflow.errors import StoreError
from agentflow.faultpoints import reach
from agentflow.redaction import use
from agentflow.steps.failing import is_cancellation

Publish = Callable[[str, Any, "str | None", str], Awaitable[int]]
"""Publishes what was admitted: topic, data, id, owner; returns how many waits it reached."""


class Performer:
    """Executes claimed steps. Implements the runtime's `Handler`, and `AttemptPort`."""

    def __init__(
        self,
        env: Environment,
        cache: TreeCache,
        slots: Slots,
        times: Times,
        mailbox: Mailbox,
        transactor: Transactor,
        reducers: Reducers,
        runtime: EmbeddedRuntime,
        telling: Later,
        publish: Publish,
    ) -> None:
        """Execute nothing yet."""
        self.gate = env.gate
        self.limits = env.limits
        self.services = env.services
        self.env = env.env
        self.public_env = env.public_env
        self.now = env.now
        self._cache = cache
        self._slots = slots
        self._times = times
        self._mailbox = mailbox
        self._transactor = transactor
        self._reducers = reducers
        self._runtime = runtime
        self._telling = telling
        self._publish = publish

    # as the runtime's handler

    def enter(self) -> None:
        """A worker begins: whatever is cut in its task loses this agent's secrets before."""
        use(self.gate.redactor)

    async def perform(self, work: Work, lease: WorkLease) -> Sequence[Work]:
        """Execute a claimed step and commit what came of it."""
        run = self._cache.runs.get(work.run)
        node = run.live.get(work.n) if run is not None else None
        if run is None or node is None or node.phase != "run" or node.attempt != work.attempt:
            self._not_executed()
            return ()
        if lease.interrupted is not None:
            outcome, left = Stopped(lease.interrupted), None
        elif node.halting is not None:
            outcome, left = Stopped("not_begun"), None
        else:
            node.lease = lease
            if node.memo is not None and UNBEGUN in node.memo:
                await self.begin(run, node)
            reduces = node.entered == "reducing"
            if node.program.timeout is not None and not reduces:
                self._times.deadline(run, node)
            left = None
            try:
                if reduces:
                    outcome = await self._reducers.work(run, node)
                else:
                    outcome, left = await execute(self, run, node, lease)
                    if node.program.update is not None and run.program.reducers and isinstance(outcome, bytes):
                        outcome = await self._reducers.work(run, node, outcome)
            except BaseException as error:  # the last guard: it is this step's failure, and nobody else's
                if is_cancellation(error):
                    raise
                outcome, left = defect(run, error), None
            reach("mid-step")
        if node.program.timeout is not None:
            self._times.stopped(run.key, node.n, node.attempt)
        self._let_go(work, node, lease)
        transactor, items = self._transactor, self._mailbox.queue.items
        items.append(Outcome(run.tree.key, run.key, node.n, node.attempt, node.address, outcome, left))
        breathless = transactor.breathless
        if not transactor.may_plan or (self._runtime.waiting and not breathless and len(items) < MOST):
            self._mailbox.queue.wake()  # if this worker comes to wait in its next step, the pump flushes
            return ()
        return await transactor.flush(breathe=breathless or self._slots.running > len(items))

    async def begin(self, run: RunState, node: Node) -> None:
        """Store that a step begins which the death of its host has broken off before; who dies from now on counts."""
        while True:
            try:
                await self._mailbox.apply(run.tree.key, Begun(run.key, node.n))
                return
            except StoreError:  # logged where it came about
                await anyio.sleep(0.2)

    def _let_go(self, work: Work, node: Node, lease: WorkLease) -> None:
        """Let nobody interrupt what a worker does after a step; the step's node may have been read anew meanwhile."""
        run = self._cache.runs.get(work.run)
        current = run.live.get(work.n) if run is not None else None
        for known in (node, current):
            if known is not None and known.lease is lease:
                known.lease = None
        if self._slots.stopping:
            self._transactor.look()

    def _not_executed(self) -> None:
        """Give back the slot of a claimed step whose tree is lost, or that was stopped before it began."""
        self._slots.running -= 1
        self._transactor.go_on()

    @property
    def executing(self) -> bool:
        """Whether steps are being executed, or are about to be."""
        return self._runtime.waiting or any(
            node.lease is not None and UNBEGUN not in (node.memo or ()) for node in self._cache.live()
        )

    # as what attempts may ask

    def soon(self, call: Callable[[], None]) -> None:
        """Have the event loop call something; safe in any thread."""
        self._mailbox.soon(call)

    def later(self, told: Told) -> None:
        """Let something have its turn a few times a second."""
        self._telling.add(told)

    def send(self, run: RunState, command: Command) -> None:
        """Leave a command for the tree of a run."""
        self._mailbox.put(run.tree.key, command)

    async def save_state(self, run: RunState, node: Node, state: Any) -> None:
        """Commit the state of a running step."""
        await self._mailbox.apply(run.tree.key, Saved(run.key, node.n, state))

    async def publish(self, topic: str, data: Any, event_id: str | None, owner: str) -> int:
        """Publish an event of a running step, as its run's owner."""
        gate = self.gate
        data = gate.data(data, PUBLISHED)
        gate.encoded([topic, event_id], PUBLISHED)
        gate.without_secrets([topic, event_id], "the topic or id of an event")
        return await self._publish(topic, data, event_id, owner)
