"""How often an agent is asked for a task whose streams end before the task does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from agentflow_a2a.client import following
from agentflow_a2a.client.following import Following
from agentflow_a2a.client.held import Held

pytestmark = pytest.mark.anyio


def _task(state: str) -> dict[str, Any]:
    return {"id": "t", "contextId": "c", "status": {"state": f"TASK_STATE_{state}"}}


class Agent:
    """An agent whose streams tell some events and end; its task is done when it was asked for four times."""

    agent = "desk"
    seconds = 1.0
    streams = True

    def __init__(self, events: int) -> None:
        self._events = events
        self._asked = 0

    def headers(self) -> dict[str, str]:
        return {}

    async def transport(self) -> Agent:
        return self

    async def get(self, task: str) -> dict[str, Any]:
        assert task == "t"
        self._asked += 1
        return _task("COMPLETED" if self._asked == 4 else "WORKING")

    async def subscribe(self, task: str, headers: Any, seconds: float) -> AsyncGenerator[dict[str, Any]]:
        assert (task, headers, seconds) == ("t", {}, self.seconds)
        for _ in range(self._events):
            yield {"task": _task("WORKING")}


@pytest.mark.parametrize(("events", "resets"), [(0, 0), (1, 0), (2, 3)])
async def test_an_agent_whose_streams_end_at_once_is_asked_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, events: int, resets: int
) -> None:
    done: list[str] = []

    class Pauses:
        async def wait(self) -> None:
            done.append("wait")

        def reset(self) -> None:
            done.append("reset")

    monkeypatch.setattr(following, "Pauses", Pauses)
    agent: Any = Agent(events)
    unused: Any = None  # nothing is handed on
    task = await Following(agent, Held("desk", "k", "t", "c"), unused).until_rest()
    assert task == _task("COMPLETED")
    assert (done.count("wait"), done.count("reset")) == (3, resets)
