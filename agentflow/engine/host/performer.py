"""Performs attempts in this process's workers: what they may ask of the host, and what becomes of their outcomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio

from agentflow.engine.attempt.execute import execute
from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.exchange import Attempt, Executing, Returned, Stopped
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.flush import Work
from agentflow.engine.host.handing import Handed, Handing
from agentflow.engine.host.mailbox import Mailbox
from agentflow.engine.host.reducers import Reducers
from agentflow.engine.host.slots import Slots
from agentflow.engine.host.times import Times
from agentflow.engine.host.transactor import MOST, Transactor
from agentflow.engine.plan.commands import Begun, Outcome
from agentflow.engine.plan.faults import defect
from agentflow.engine.plan.handing import attempt_of
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.runtime.local import LocalRuntime
from agentflow.errors import StoreError
from agentflow.faultpoints import reach
from agentflow.redaction import use
from agentflow.steps.failing import is_cancellation

Execute: TypeAlias = Callable[[Process, Port, Attempt, Executing], Awaitable[Returned]]
"""Executes an attempt: `attempt.execute` does, in this process."""


class Performer:
    """Executes claimed steps in the workers of this process. Implements the runtime's `Handler`."""

    def __init__(
        self,
        process: Process,
        port: Port,
        cache: TreeCache,
        slots: Slots,
        times: Times,
        mailbox: Mailbox,
        transactor: Transactor,
        reducers: Reducers,
        runtime: LocalRuntime[Work],
        elsewhere: Execute | None = None,
        handing: Handing | None = None,
    ) -> None:
        """Execute nothing yet.

        Args:
            process: what it offers to steps.
            port: answers what attempts ask.
            cache: the trees.
            slots: what counts them out.
            times: deadlines.
            mailbox: takes commands.
            transactor: takes outcomes.
            reducers: the user's.
            runtime: the workers here.
            elsewhere: executes attempts instead.
            handing: hands attempts to workers elsewhere; then only reducers work here.
        """
        self._handing = handing
        self._process = process
        self._port = port
        self._cache = cache
        self._slots = slots
        self._times = times
        self._mailbox = mailbox
        self._transactor = transactor
        self._reducers = reducers
        self._runtime = runtime
        self._elsewhere = elsewhere

    def enter(self) -> None:
        """A worker begins: whatever is cut in its task loses this agent's secrets before."""
        use(self._process.gate.redactor)

    async def perform(self, work: Work, lease: Executing) -> Sequence[Work]:
        """Execute a claimed step and commit what came of it."""
        run = self._cache.runs.get(work.run)
        node = run.live.get(work.n) if run is not None else None
        if run is None or node is None or node.phase != "run" or node.attempt != work.attempt:
            self._not_executed()
            return ()
        if lease.interrupted is not None:
            outcome, left = Stopped(lease.interrupted), None
        elif node.halting is not None and not work.again:
            outcome, left = Stopped("not_begun"), None
        else:
            node.lease = lease
            program = node.program
            if node.decided.unbegun:
                run, node = await self.begin(run, node)
            reduces = node.entered == "reducing"
            if program.timeout is not None and not reduces:
                self._times.deadline(run, node)
            if self._handing is not None and not reduces:
                if lease.interrupted is not None:  # while its beginning was stored
                    await anyio.lowlevel.checkpoint()
                await self._handing.hand_out(run, node, again=work.again)
                return ()
            left = None
            try:
                if reduces:
                    outcome = await self._reducers.work(run, node)
                else:
                    attempt = outcome = attempt_of(run, node)
                    if isinstance(attempt, Attempt):
                        outcome, left = await (self._elsewhere or execute)(self._process, self._port, attempt, lease)
                    if program.update is not None and run.program.reducers and isinstance(outcome, bytes):
                        outcome = await self._reducers.work(run, node, outcome)
            except BaseException as error:  # the last guard: it is this step's failure, and nobody else's
                if is_cancellation(error):
                    raise
                outcome, left = defect(run, error), None
            reach("mid-step")
        if node.program.timeout is not None:
            self._times.stopped(run.key, node.n, node.attempt)
        self._let_go(run, node, lease)
        transactor, items = self._transactor, self._mailbox.queue.items
        items.append(Outcome(run.tree.key, run.key, node.n, node.attempt, node.address, outcome, left))
        breathless = transactor.breathless
        if transactor.at_work or (self._runtime.waiting and not breathless and len(items) < MOST):
            self._mailbox.queue.wake()  # if this worker comes to wait in its next step, the pump flushes
            return ()
        return await transactor.flush(breathe=breathless or self._slots.running > len(items))

    async def begin(self, run: RunState, node: Node) -> tuple[RunState, Node]:
        """Store that a step begins which the death of its host has broken off before; who dies from now on counts.

        Returns:
            The run and the step, which may have been read anew meanwhile.
        """
        while True:
            try:
                await self._mailbox.apply(run.tree.key, Begun(run.key, node.n))
                break
            except StoreError:  # logged where it came about
                await anyio.sleep(0.2)
        now = self._cache.runs.get(run.key)
        step = now.live.get(node.n) if now is not None else None
        return (run, node) if now is None or step is None else (now, step)

    def _let_go(self, run: RunState, node: Node, lease: Executing) -> None:
        """Let nobody interrupt what a worker does after a step."""
        if node.lease is lease:
            node.lease = None
        again = self._cache.runs.get(run.key)
        if again is not run and again is not None:  # its tree was read anew meanwhile
            other = again.live.get(node.n)
            if other is not None and other.lease is lease:
                other.lease = None
        if self._slots.stopping:
            self._transactor.look()

    def _not_executed(self) -> None:
        """Give back the slot of a claimed step whose tree is lost, or that was stopped before it began."""
        self._slots.running -= 1
        self._transactor.go_on()

    @property
    def executing(self) -> bool:
        """Whether steps are being executed here, or are about to be."""
        return self._runtime.waiting or any(
            node.lease is not None and not isinstance(node.lease, Handed) and not node.decided.unbegun
            for node in self._cache.live()
        )
