"""What tests of gates share: a step that notes whether it was allowed, and short ways to what is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio

from agentflow.engine import Engine, Run, WaitView
from tests.engine.lab import LIMIT


@dataclass
class Deed:
    """What a gated step does: it notes with what it was called, and whether that was allowed."""

    failing: int = 0
    allowed: bool = False
    done: list[Any] = field(default_factory=list[Any])
    unapproved: int = 0

    def __call__(self, value: Any = None) -> dict[str, Any]:
        self.unapproved += not self.allowed
        self.done.append(value)
        if len(self.done) <= self.failing:
            raise RuntimeError("the first time fails")
        return {"value": value}


async def rest(engine: Engine, run: Run) -> Run:
    with anyio.fail_after(LIMIT):
        return await engine.wait(run.id)


async def over(engine: Engine, run: Run) -> Run:
    with anyio.fail_after(LIMIT):
        async for _ in engine.subscribe(run.id):
            pass
    return await engine.get(run.id)


async def questions(engine: Engine, run: Run, count: int) -> list[WaitView]:
    run = await rest(engine, run)
    assert run.state == "input-required", run.failure
    found = await engine.waits(run.id)
    assert len(found) == count
    return found
