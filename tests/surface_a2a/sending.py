"""An engine that sends push notifications to this machine, in the test's own process and with a clock of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio

from agentflow import Workflow
from agentflow.config import Config
from agentflow.definition.config_file import PushSection
from agentflow.engine import Answer, Engine
from agentflow.principal import LOCAL
from agentflow.server.pushing.delivering import Delivery, push_policy
from agentflow.steps.constructors import set_, wait_for_input
from agentflow.store.outbox import Push, PushQuery
from agentflow.testing.clock import FakeClock
from agentflow_a2a.pushing import Pushes

ASKS = Workflow(
    id="asks",
    steps=[wait_for_input("one", message="One?"), wait_for_input("two", message="Two?"), set_("last", value="end")],
)
SECRETS = ("tok-5f2c1a", "cred-93be77", "key-77aa01")


class Outbox:
    """A store's outbox that tells when something was settled."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.settled = anyio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def settle(self, push: Push, *, release: bool) -> bool:
        kept = await self._inner.settle(push, release=release)
        settled, self.settled = self.settled, anyio.Event()
        settled.set()
        return kept


class Desk:
    """An engine that sends."""

    def __init__(self, engine: Engine, clock: FakeClock, pushes: Pushes) -> None:
        self.engine = engine
        self.clock = clock
        self.pushes = pushes

    async def start(self) -> str:
        """Start a run, and return its id when it waits."""
        run = await self.engine.start("asks")
        await self.engine.wait(run.id)
        return run.id

    async def answer(self, run_id: str, value: str = "x") -> None:
        """Answer what a run waits for."""
        await self.engine.resume(run_id, Answer(value))
        await self.engine.wait(run_id)

    async def push(self, run_id: str, url: str, name: str = "c", after: int = 0) -> None:
        """Let a run's changes be sent somewhere."""
        asked = {
            "url": url, "id": name, "token": SECRETS[0],
            "authentication": {"scheme": "Bearer", "credentials": SECRETS[1]},
        }  # fmt: skip
        await self.pushes.keep(run_id, await self.pushes.check(asked, name), after, LOCAL)

    async def one(self, name: str = "c") -> Push:
        """Return what is kept of a receiver."""
        (found,) = await self.engine.store.outbox.pushes(PushQuery(id=name))
        return found

    async def until(self, **fields: object) -> Push:
        """Return what is kept of the receiver once it is so."""
        while True:
            settled = cast("Outbox", self.engine.store.outbox).settled
            push = await self.one()
            if all(getattr(push, name) == value for name, value in fields.items()):
                return push
            await settled.wait()


@asynccontextmanager
async def desk(store: str | Path = ":memory:", **settings: Any) -> AsyncGenerator[Desk]:
    """Give an engine that sends to this machine, too."""
    rules = PushSection(private=True, **settings)
    clock = FakeClock(auto=False)
    opening = Engine.open(store, config=replace(Config(), push=rules), workflows=[ASKS], clock=clock, grace=0)
    async with opening as engine:
        cast("Any", engine.store).outbox = Outbox(engine.store.outbox)
        pushes = Pushes(engine, Delivery(push_policy(rules), 10))
        async with anyio.create_task_group() as group:
            group.start_soon(pushes.sender.run)
            try:
                yield Desk(engine, clock, pushes)
            finally:
                group.cancel_scope.cancel()
