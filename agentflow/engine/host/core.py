"""The parts of a host that executes runs, put together; each of them is a file beside this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
from anyio.lowlevel import current_token

from agentflow.engine.attempt.notes import Later
from agentflow.engine.attempt.ports import Process
from agentflow.engine.host.admission import Admission
from agentflow.engine.host.cache import TreeCache
from agentflow.engine.host.committer import Committer
from agentflow.engine.host.computing import Computing
from agentflow.engine.host.environment import Environment
from agentflow.engine.host.flush import Work
from agentflow.engine.host.handing import Handing
from agentflow.engine.host.health import Health
from agentflow.engine.host.loading import Loader
from agentflow.engine.host.mailbox import Mailbox
from agentflow.engine.host.performer import Execute, Performer
from agentflow.engine.host.port import HostPort
from agentflow.engine.host.queue import Item, Queue
from agentflow.engine.host.reducers import Reducers
from agentflow.engine.host.refolding import Refolding
from agentflow.engine.host.signals import Signals
from agentflow.engine.host.slots import Slots
from agentflow.engine.host.times import Times
from agentflow.engine.host.transactor import Transactor
from agentflow.engine.host.withdrawing import Withdrawing
from agentflow.engine.runtime.base import Runtime
from agentflow.engine.runtime.local import LocalRuntime
from agentflow.redaction import use
from agentflow.store.contract import Store


class Core:
    """What holds trees and moves them on."""

    def __init__(
        self, env: Environment, store: Store, elsewhere: Execute | None = None, workers: Runtime | None = None
    ) -> None:
        """Make a core that holds nothing yet.

        Args:
            env: what the planner may ask.
            store: where trees are kept.
            elsewhere: executes attempts instead of this process.
            workers: hands them to workers elsewhere.
        """
        self.env = env
        env.hands_out = workers is not None
        self.store = store
        self.runtime = LocalRuntime[Work]()
        self.signals = Signals()
        self.cache = TreeCache()
        self.queue = Queue(self.signals.new)
        self.health = Health()
        self.slots = Slots(env.limits.host_parallel, self.cache, self.queue)
        self.times = Times(env.now)
        self.reducers = Reducers(env.services.python, env.gate)
        self.refolding = Refolding(self.reducers, env.program, self._again)
        self.loader = Loader(env, store, self.cache, self.queue, self.slots, self.health, self.refolding)
        withdrawing = Withdrawing(env, store, self.signals.new)
        self.committer = Committer(
            env, store, self.cache, self.queue, self.slots, self.times, self.health, self.loader, withdrawing
        )
        self.transactor = Transactor(
            env, self.cache, self.queue, self.slots, self.loader, self.committer, self.refolding
        )
        self.withdrawing = withdrawing
        self.mailbox = Mailbox(store, self.queue, self.loader, self.refolding, self.signals)
        self.noting = Later(self.signals.new)
        process = Process(
            env.gate,
            env.services,
            env.env,
            env.public_env,
            env.types,
            env.now,
            self.mailbox.soon,
            self.noting.add,
            env.fed,
        )
        port = HostPort(self.cache, self.mailbox, env.limits, self._publish, withdrawing, env.credentials)
        self.workers = workers
        self.handing = None
        if workers is not None:
            self.handing = Handing(workers, process, port, self.cache, self.slots, self.times, self.queue)
        self.performer = Performer(
            process, port, self.cache, self.slots, self.times, self.mailbox, self.transactor, self.reducers,
            self.runtime, elsewhere, self.handing,
        )  # fmt: skip
        if elsewhere is None and workers is None:
            self.transactor.compute = Computing(process, port, self.slots).compute
        self.admission = Admission(self.queue.wake)

    def _again(self, items: Sequence[Item]) -> None:
        self.queue.put_first(items)
        self.queue.wake()

    async def _publish(self, topic: str, data: Any, event_id: str | None, tenant: str, owner: str) -> int:
        count, _ = await self.store.publish(topic, data, event_id, self.env.now(), owner=owner, tenant=tenant)
        await self.mailbox.take_inbox(self.mailbox.roots())
        return count

    async def pump(self) -> None:
        """Flush whatever no worker flushes; never ends by itself."""
        use(self.env.gate.redactor)
        self.mailbox.loop = current_token().native_token
        while True:
            await self.queue.wait()
            self.admission.turn()
            await self.mailbox.take_due()
            if self.queue.items and not self.transactor.at_work:
                self.runtime.push(await self.transactor.flush())

    # what is going on

    async def ailments(self) -> list[str]:
        """Return what keeps runs from going on."""
        error = self.health.outdated or self.health.refused
        found = [": ".join(filter(None, (error.what, error.why)))] if error is not None else []
        ill = await self.workers.health() if self.workers is not None else None
        return [self.env.gate.text(text) for text in (*found, ill) if text is not None]

    async def idle(self) -> None:
        """Return when nothing runs and nothing is left to carry out."""
        await self._until(lambda: not self.transactor.busy)

    async def executed(self) -> None:
        """Return when no step is being executed, whether or not what came of them can be saved."""
        await self._until(lambda: not self.performer.executing)

    async def saved(self, patience: float) -> bool:
        """Return when all is saved; False: the store refuses it, or nothing was saved for some seconds."""
        transactor, health = self.transactor, self.health
        while transactor.busy:
            flushes = transactor.flushes
            with anyio.move_on_after(patience):
                await self._until(lambda: not transactor.busy or health.refused is not None)
            if transactor.busy and (health.refused is not None or flushes == transactor.flushes):
                return False
        return True

    async def _until(self, over: Callable[[], bool]) -> None:
        while not over():
            if self.transactor.quiet.is_set():
                self.transactor.quiet = anyio.Event()
            await self.transactor.quiet.wait()
