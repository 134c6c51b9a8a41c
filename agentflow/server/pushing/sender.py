"""The sender: looks which receivers have something to get, claims them, and sends to many of them at once.

Nothing waits for it. What it has to do stands in the store: a receiver's place in the log of its task, and when it is
tried again. So whatever dies, another sender on that database goes on; a receiver may get a change twice then.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import anyio
from anyio.abc import TaskGroup

from agentflow.definition.config_file import PushSection
from agentflow.engine import Engine
from agentflow.engine.plan.state import RunState
from agentflow.errors import AgentflowError
from agentflow.server.pushing.delivering import Delivery, Outcome, Target
from agentflow.store.outbox import Push
from agentflow.store.rows import RunChange

AT_ONE_PLACE = 4
"""To how many receivers at one place is sent at once: one that is slow doesn't keep all others waiting."""
TURN = 200
"""What is sent to a receiver before it lets others have its turn."""
FEW = 100
"""After a page with less than this nothing more is looked for in the same turn."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 3600.0
"""Seconds after the first failure; each further one doubles them."""
KEEP = 0.25
"""Seconds after which is kept how far a receiver has got that gets much; so much may come twice after a crash."""
MANY = 1000
"""Runs that are known beyond those that count."""
DEAD = 1.0
"""Seconds after which is looked again whether a process that had claimed receivers has died."""
log = logging.getLogger("agentflow")


class Payload(NamedTuple):
    """Something to send."""

    body: bytes
    generation: int | None
    """The change that has wholly arrived with it; None: there is more of that one."""


class Page(NamedTuple):
    """What a receiver hasn't got yet."""

    payloads: Sequence[Payload]
    generation: int
    """Of the last change in it, or before it."""
    over: bool
    """Nothing will follow."""


class Source(Protocol):
    """Knows what is sent, and where: a surface, in the words of its protocol."""

    @property
    def media(self) -> str:
        """Content type of what is sent."""
        ...

    def target(self, push: Push) -> Target:
        """Return where it goes; raises AgentflowError where that can't be read."""
        ...

    def spent(self, push: Push) -> str:
        """Return what is kept, sealed, of a receiver that gets nothing more."""
        ...

    async def page(self, push: Push) -> Page | None:
        """Return what it hasn't got yet, or the first of that; None: its task is gone."""
        ...


@dataclass(slots=True)
class _Look:
    """What has to be looked at."""

    all: bool = True
    runs: set[int] | None = None

    def take(self) -> set[int] | None:
        """Return the runs to look at; None: all."""
        taken = None if self.all else self.runs or set()
        self.all, self.runs = False, None
        return taken

    def add(self, run: int) -> None:
        """Look at a run, too."""
        self.runs = (self.runs or set()) | {run}


class Sender:
    """Sends what the tasks of one engine's agent tell."""

    def __init__(self, engine: Engine, source: Source, delivery: Delivery, settings: PushSection) -> None:
        """Send nothing yet."""
        self._engine = engine
        self._outbox = engine.store.outbox
        self._source = source
        self._delivery = delivery
        self._settings = settings
        self._agents = engine.core.env.agents
        self._look = _Look()
        self._woken = anyio.Event()
        self._known = dict[int, int]()
        """Runs whose changes are sent to somebody, and to how many at most."""
        self._busy = Counter[int]()
        """To how many of them is being sent."""
        self._under_way = dict[int, Push]()
        """Receivers that are being sent to, by key, as far as they have got."""
        self._most = MANY
        """How many runs are known before it is looked which ones still count."""
        self._left = False
        """Whether some had to wait for others."""

    def added(self, push: Push) -> None:
        """There is a new receiver, or one that has to be tried anew."""
        self._known[push.run] = self._known.get(push.run, 0) + 1
        self._look.all = self._look.all or len(self._known) > self._most
        self._wake(push.run)

    async def run(self) -> None:
        """Send, until cancelled."""
        committer = self._engine.core.committer
        committer.on_commit.append(self._committed)
        committer.on_change.append(self._everything)
        try:
            async with anyio.create_task_group() as group:
                while True:
                    try:
                        due = await self._turn(group)
                    except Exception as error:  # the store is busy, its disk full: nothing of that ends the server
                        self._complain(error)
                        self._look.all = True
                        due = self._now() + DEAD
                    await self._until(due)
        finally:
            committer.on_commit.remove(self._committed)
            committer.on_change.remove(self._everything)
            with anyio.CancelScope(shield=True):
                await self._delivery.aclose()

    def _now(self) -> float:
        return self._engine.core.env.now()

    def _committed(self, changes: Sequence[RunChange], ended: Mapping[int, RunState]) -> None:
        if not self._known:
            return
        for change in changes:
            # Those that are being sent to look by themselves what has come meanwhile.
            if change.events and self._known.get(change.run, 0) > self._busy[change.run]:
                self._wake(change.run)

    def _everything(self) -> None:
        self._look.all = True
        self._woken.set()

    def _wake(self, run: int) -> None:
        self._look.add(run)
        self._woken.set()

    async def _turn(self, group: TaskGroup) -> float | None:
        """Begin to send to those who have something to get; returns when to look again at the latest."""
        self._woken = anyio.Event()
        runs = self._look.take()
        dead: set[str] = set()
        others: set[str] = set()
        if runs is None:
            others = await self._outbox.senders(self._agents) - {self._engine.store.holder}
            dead = await self._engine.store.liveness.dead(others)
            self._known = await self._outbox.runs(self._agents)
            self._most = 2 * len(self._known) + MANY
        found = await self._outbox.waiting(self._now(), self._agents, dead, runs) if runs != set() else []
        chosen = self._choose(found)
        if chosen:
            for push in await self._outbox.claim([push.key for push in chosen], dead):
                self._under_way[push.key] = push
                self._busy[push.run] += 1
                group.start_soon(self._send, push)
        due = await self._outbox.next_push(self._agents)
        if others - dead:
            due = min(due or self._now() + DEAD, self._now() + DEAD)
        if self._left and self._under_way and due is not None and due <= self._now():
            return None  # the next one that has had its turn wakes us
        return due

    def _choose(self, found: Sequence[Push]) -> list[Push]:
        places = Counter(push.place for push in self._under_way.values())
        free = self._settings.parallel - len(self._under_way)
        chosen: list[Push] = []
        for push in found:
            if push.key in self._under_way:
                continue
            if len(chosen) >= free or places[push.place] >= AT_ONE_PLACE:
                self._left = True
                continue
            places[push.place] += 1
            chosen.append(push)
        return chosen

    async def _until(self, due: float | None) -> None:
        """Wait until something has changed, or for a time."""
        if due is None:
            await self._woken.wait()
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._sleep, due, group.cancel_scope.cancel)
            await self._woken.wait()
            group.cancel_scope.cancel()

    async def _sleep(self, due: float, over: Callable[[], None]) -> None:
        await self._engine.core.env.clock.sleep_until(due, self._engine.core.idle)
        self._look.all = True
        over()

    async def _send(self, push: Push) -> None:
        """Send to one receiver what it hasn't got, in order."""
        try:
            await self._all_of(push)
        except Exception as error:
            self._complain(error)
            await self._give_back(push.key, error)
        finally:
            del self._under_way[push.key]
            self._busy[push.run] -= 1
            if not self._busy[push.run]:
                del self._busy[push.run]
            self._look.all = self._look.all or self._left
            self._left = False
            self._wake(push.run)

    async def _give_back(self, key: int, error: Exception) -> None:
        why = error.code if isinstance(error, AgentflowError) else type(error).__name__
        try:
            await self._outbox.settle(self._failed(self._under_way[key], Outcome("again", why)), release=True)
        except Exception as refused:  # it is still this process's: it is looked at again
            self._complain(refused)

    async def _all_of(self, push: Push) -> None:
        try:
            target = self._source.target(push)
        except AgentflowError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            await self._outbox.settle(self._failed(push, Outcome("refused", why)), release=True)
            return
        sent, kept_at = 0, anyio.current_time()
        while sent < TURN:
            page = await self._source.page(push)
            if page is None:
                await self._outbox.drop([push.key])
                return
            for payload in page.payloads:
                outcome = await self._delivery.post(target, payload.body, self._source.media)
                if outcome.became != "arrived":
                    await self._outbox.settle(self._failed(push, outcome), release=True)
                    return
                sent += 1
                if payload.generation is not None and payload.generation != page.generation:
                    push = push._replace(generation=payload.generation, tries=0, error=None, due=None)
                    self._under_way[push.key] = push
                    if anyio.current_time() - kept_at < KEEP:
                        continue
                    kept_at = anyio.current_time()
                    if not await self._outbox.settle(push, release=False):
                        return  # it is somebody else's now, or nobody's
            push = push._replace(generation=page.generation, tries=0, error=None, due=None)
            if page.over:
                push = push._replace(state="done", sealed=self._source.spent(push))
            self._under_way[push.key] = push
            if page.over or len(page.payloads) < FEW:
                break
        await self._outbox.settle(push, release=True)

    def _failed(self, push: Push, outcome: Outcome) -> Push:
        tries, now = push.tries + 1, self._now()
        failed = push._replace(tries=tries, error=outcome.error)
        if outcome.became == "refused" or tries >= self._settings.tries:
            return failed._replace(state="failed", due=None)
        pause = min(FIRST_PAUSE * 2.0 ** min(tries - 1, 30), LONGEST_PAUSE)
        pause *= self._engine.core.env.random.uniform(0.5, 1.0)
        return failed._replace(due=now + max(pause, min(outcome.after or 0.0, LONGEST_PAUSE)))

    def _complain(self, error: Exception) -> None:
        known = isinstance(error, AgentflowError)
        told = f"{error.what} {error.why or ''}".strip() if known else type(error).__name__
        log.warning("push notifications: %s", self._engine.core.env.gate.text(told))
