"""Calls that go on as tasks of their server: asked after, answered, and brought home."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from agentflow.errors import StepError
from agentflow.steps.contract import Context, Park, Result, Timer
from agentflow.steps.failing import shorten
from agentflow_mcp.client import exchange
from agentflow_mcp.client.asked import Asked, Call, Said
from agentflow_mcp.client.connection import Live, Task
from agentflow_mcp.client.faults import from_call, is_lost, session_is_over
from agentflow_mcp.client.pool import Pool
from agentflow_mcp.client.results import result_of
from agentflow_mcp.client.states import Kept, Question, park

PATIENCE = 5.0
"""Seconds that a step stays with a task before it parks, and lets others have its slot."""
SHORTEST, LONGEST = 0.02, 60.0
"""Seconds between two looks at a task, whatever its server says."""
USUAL = 1.0
OFTEN, RARELY = 1.0, 30.0
"""Seconds that a step is parked, at first and at last, where the server doesn't ask for more."""
MOST_MISSES = 12
"""How often in a row a server may not be there, before its task is given up."""


def pause_of(task: Task) -> float:
    """Return the seconds after which a new task is asked after."""
    hint = task.poll_interval_ms
    return USUAL / 4 if hint is None else min(max(hint / 1000, SHORTEST), LONGEST)


async def follow(
    pool: Pool, kept: Kept, tool: str, ctx: Context, *, first: float = 0.0, said: Said | None = None
) -> Result | Park:
    """Follow a task until it has ended, it asks something, or it takes long: then the step parks.

    Args:
        pool: the connection to its server.
        kept: what is known of it.
        tool: the tool.
        ctx: the step's.
        first: seconds until it is asked after for the first time.
        said: what was answered to what it has asked.

    Raises:
        StepError: it has failed, or can't be followed any more.
    """
    if kept.older and said is not None:
        return await _older(pool, await pool.live(), kept, tool, ctx, said)
    task, pause = kept.task or "", first
    begun, looked = anyio.current_time(), False
    while True:
        if kept.until is not None and ctx.now() >= kept.until:
            raise StepError(f'Tool "{tool}" took longer than it may', code="AF-TIMEOUT", kind="timeout")
        if looked if kept.parks else anyio.current_time() - begun + pause > PATIENCE:
            return _later(kept, pause, ctx)
        looked = True
        await anyio.sleep(pause)
        live: Live | None = None
        try:
            live = await pool.live()
            if kept.replies and not kept.older:
                await exchange.update(live, task, kept.replies)
                kept = replace(kept, replies={})
            state = await exchange.look(live, task)
        except (MCPError, StepError) as error:
            kept = _missed(pool, kept, tool, error, live)
            pause = min(LONGEST, 0.5 * 2**kept.misses)
            continue
        except Exception as error:
            raise from_call(pool.server, tool, error, live.tail.text if live is not None else "") from error
        kept = _told(replace(kept, misses=0), state, ctx)
        if kept.older and state.status in ("completed", "input_required"):
            return await _older(pool, live, kept, tool, ctx, None)
        came = await _outcome(pool, live, kept, tool, state, ctx)
        if came is not None:
            return came
        pause = min(max(USUAL if state.pause is None else state.pause, SHORTEST), LONGEST)


def _later(kept: Kept, pause: float, ctx: Context) -> Park:
    """Let the step look at a task again later, which takes longer each time: nobody holds a slot meanwhile."""
    pause = max(pause, min(OFTEN * 2 ** min(kept.parks, 10), RARELY))
    return Park(Timer(ctx.now() + pause), state=replace(kept, parks=kept.parks + 1).data, then="enter")


def _missed(pool: Pool, kept: Kept, tool: str, error: MCPError | StepError, live: Live | None) -> Kept:
    """Note that the server wasn't there; raises where that is final."""
    if live is not None and session_is_over(error):
        live.leave()
    gone = is_lost(error) if isinstance(error, MCPError) else error.retryable
    if gone and kept.misses < MOST_MISSES:
        return replace(kept, misses=kept.misses + 1)
    if isinstance(error, MCPError) and error.code == INVALID_PARAMS:
        message = f'server "{pool.server.name}" doesn\'t know the task of tool "{tool}" any more: {error.message}'
        raise StepError(shorten(message), code="AF-TOOL-FAILED", kind="exception") from error
    raise from_call(pool.server, tool, error, live.tail.text if live is not None else "") from error


def _told(kept: Kept, state: exchange.State, ctx: Context) -> Kept:
    message = state.status_message
    if not message or message == kept.told:
        return kept
    ctx.progress(None, message)
    return replace(kept, told=message)


async def _outcome(
    pool: Pool, live: Live, kept: Kept, tool: str, state: exchange.State, ctx: Context
) -> Result | Park | None:
    """Return what a task has come to, or asks; None while it works."""
    if state.status == "completed":
        try:
            return result_of(tool, await exchange.checked(live, tool, state.result or {}), ctx)
        except Exception as error:
            raise from_call(pool.server, tool, error, "") from error
    if state.status == "input_required":
        asked = exchange.questions(tool, state.input_requests)
        if asked:
            return park(replace(kept, question=asked[0]), tool)
        return None
    if state.status == "cancelled":
        raise StepError(f'The task of tool "{tool}" was cancelled where it runs', code="AF-TOOL-CANCELED", kind="wait")
    if state.status == "failed":
        message = (state.error or {}).get("message") or state.status_message or "no reason given"
        raise StepError(shorten(f'Tool "{tool}" failed: {message}'), code="AF-TOOL-FAILED", kind="exception")
    return None


async def _older(pool: Pool, live: Live, kept: Kept, tool: str, ctx: Context, said: Said | None) -> Result | Park:
    """Wait for the result of a task of 2025-11-25. What it asks meanwhile parks the step, and is held open."""
    task = kept.task or ""

    async def work(call: Call) -> Any:
        return await exchange.older_result(live, task)

    call = live.calls.find(kept.held) if kept.held is not None else None
    if call is None:
        call = live.calls.begin(work, said)
    elif said is not None:
        call.answer(said[1])
    event = await call.next()
    if isinstance(event, Asked):
        return park(Kept(kept.server, task, older=True, held=call.id, question=Question.of("", event)), tool)
    if event.error is None:
        return result_of(tool, event.value, ctx)
    if session_is_over(event.error):
        live.leave()
        return _later(replace(kept, held=None, replies={}), USUAL, ctx)
    raise from_call(pool.server, tool, event.error, live.tail.text) from event.error
