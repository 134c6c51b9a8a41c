"""The bridge for code that isn't async."""

from __future__ import annotations

import anyio.lowlevel
import pytest

from agentflow import AgentflowError, run_sync


async def _add(a: int, b: int) -> int:
    await anyio.lowlevel.checkpoint()
    return a + b


def test_an_async_function_runs_to_its_end() -> None:
    assert run_sync(_add, 1, 2) == 3


def test_its_error_comes_through() -> None:
    async def fail() -> None:
        raise LookupError("nothing here")

    with pytest.raises(LookupError, match="nothing here"):
        run_sync(fail)


@pytest.mark.anyio
async def test_inside_a_loop_it_says_to_await_instead() -> None:
    with pytest.raises(AgentflowError, match="event loop runs already") as caught:
        run_sync(_add, 1, 2)
    assert caught.value.hint == "await it instead: await _add(...)"
