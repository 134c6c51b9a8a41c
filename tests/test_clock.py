"""The process's clock: a wall clock that is set back moves nothing into the past and holds nothing up."""

from __future__ import annotations

import time

import anyio
import pytest

from agentflow.clock import SystemClock

pytestmark = pytest.mark.anyio


async def _nothing() -> None:
    """Nothing is idle."""


def _shift(patch: pytest.MonkeyPatch, seconds: float) -> None:
    real = time.time
    patch.setattr("agentflow.clock.time.time", lambda: real() + seconds)


async def test_a_wall_clock_that_is_set_back_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()
    with monkeypatch.context() as patch:
        _shift(patch, -3600)
        after = clock.now()
        assert before <= after < before + 60
        with anyio.fail_after(60):
            await clock.sleep_until(before + 0.01, _nothing)
            while clock.now() < before + 0.01:
                await anyio.lowlevel.checkpoint()
    assert clock.now() < before + 60


async def test_a_wall_clock_that_is_set_forward_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()
    with monkeypatch.context() as patch:
        _shift(patch, 3600)
        assert 3600 <= clock.now() - before < 3660
        with anyio.fail_after(60):
            await clock.sleep_until(before + 3000, _nothing)
