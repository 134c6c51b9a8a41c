"""Servers that misbehave: a call of theirs fails, and nothing else does."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agentflow import Run
from agentflow.errors import Failure
from agentflow_mcp.client import connection
from tests.surface_mcp.client.far import Far, far

pytestmark = pytest.mark.anyio
RUDE = Path(__file__).with_name("rude.py")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Far]:
    async with far(tmp_path, {"rude": {"command": sys.executable, "args": [str(RUDE)]}}) as made:
        yield made


def failure(run: Run) -> Failure:
    """Return why a run failed."""
    assert run.failure is not None, run.state
    return run.failure


async def test_a_pattern_that_takes_for_ever_holds_nobody_up(world: Far) -> None:
    failed = failure(await world.start("pattern"))
    assert (failed.code, failed.retryable) == ("AF-TOOL-RESULT", False)
    assert "doesn't fit the tool's output schema: text:" in failed.message


async def test_a_servers_own_error_says_its_reason_and_ends_no_connection(world: Far) -> None:
    before = await world.start("me")
    failed = failure(await world.start("refuse"))
    assert (failed.code, failed.message) == ("AF-TOOL-FAILED", 'Tool "refuse": no more paper')
    assert (await world.start("me")).output == before.output  # the same process


async def test_an_answer_that_cannot_be_read_fails_its_call(world: Far) -> None:
    for tool in ("half", "number", "shape"):
        failed = failure(await world.start(tool))
        assert (failed.code, failed.retryable) == ("AF-TOOL-RESULT", False), tool
        assert "its answer isn't one of the protocol" in failed.message


async def test_a_server_that_does_not_list_its_changed_tools_is_called_by_the_ones_it_had(
    world: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LISTING", 0.05)
    for _ in range(2):
        assert (await world.start("new")).output == {"output": "ok"}
    assert (await world.start("me")).state == "completed"
