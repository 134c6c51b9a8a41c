"""Tells a caller what its run is at, while it waits."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from agentflow.data import is_object
from agentflow.engine import Engine, Run
from agentflow.errors import AgentflowError
from agentflow.store.rows import Event
from agentflow_mcp.caller import Caller

PAUSE: Final = 0.1
"""Seconds between two notices of steps that are done: there may be thousands."""
LOOK: Final = 1.0
"""Seconds between two looks at what a step says of itself."""
REST: Final = 1.0
"""Seconds in which the last notices of a run that has ended are told."""


@asynccontextmanager
async def telling(engine: Engine, run: Run, caller: Caller) -> AsyncGenerator[None]:
    """Tell a caller that hears it, as long as the block lasts, what a run says and which of its steps are done."""
    if not caller.hears:
        yield
        return
    over, failed = anyio.Event(), None

    async def tell() -> None:
        await _told(engine, run, caller)
        over.set()

    async with anyio.create_task_group() as group:
        group.start_soon(tell)
        group.start_soon(_looked, engine, run, caller)
        try:
            yield
            with anyio.move_on_after(REST):
                if (await engine.get(run.id, output=False, principal=caller.principal)).ended:
                    await over.wait()
        except AgentflowError as error:  # as it is, and not in a group
            failed = error
        group.cancel_scope.cancel()
    if failed is not None:
        raise failed


async def _told(engine: Engine, run: Run, caller: Caller) -> None:
    last = 0.0
    try:
        async for event in engine.subscribe(run.id, run.seq, principal=caller.principal):
            text = _text(event)
            if text is None:
                continue
            now = anyio.current_time()
            if event.type in ("run_status", "step_progress") or now - last >= PAUSE:
                last = now
                await caller.progress(text)
    except AgentflowError:  # the call itself tells what is wrong
        return


def _text(event: Event) -> str | None:
    if event.type == "run_status":
        said = event.data.get("message") if is_object(event.data) else None
        return said if isinstance(said, str) and said else None
    if event.type == "step_progress":
        return _progress(event)
    return f'step "{event.step}" is done' if event.type == "step_completed" and event.step else None


def _progress(event: Event) -> str | None:
    if not is_object(event.data):
        return None
    message, fraction = event.data.get("message"), event.data.get("fraction")
    if isinstance(message, str) and message:
        return message
    return f'step "{event.step}": {fraction:.0%}' if isinstance(fraction, int | float) else None


async def _looked(engine: Engine, run: Run, caller: Caller) -> None:
    """Tell what steps say of themselves while they work: no event tells that."""
    told = run.now_text
    while True:
        await anyio.sleep(LOOK)
        try:
            now = (await engine.get(run.id, output=False, principal=caller.principal)).now_text
        except AgentflowError:
            return
        if now and now != told:
            told = now
            await caller.progress(now)
