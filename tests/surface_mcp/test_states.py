"""The sealed state of a call: any process over the same store opens it, for the same caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow import Engine
from agentflow.principal import Principal
from agentflow_mcp import states

pytestmark = pytest.mark.anyio

STATE = states.State("the run", {"name": "key"})
ANA, BOB = Principal("ana", ""), Principal("bob", "")


async def test_a_state_is_opened_after_a_restart_and_by_its_owner_only(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with Engine.open(store) as engine:
        state = states.seal(engine, "tool", {"a": 1}, ANA, STATE.text)
        assert STATE.run_id not in state
        assert states.read(STATE.text) == STATE
    async with Engine.open(store) as one, Engine.open(store) as other:
        for engine in (one, other):
            assert states.opened(engine, "tool", {"a": 1}, ANA, state) == STATE.text
            assert states.opened(engine, "tool", {"a": 1}, BOB, state) is None
            assert states.opened(engine, "tool", {"a": 1}, Principal("ana", "other"), state) is None
    async with Engine.open(tmp_path / "elsewhere" / "runs.db") as stranger:
        assert states.opened(stranger, "tool", {"a": 1}, ANA, state) is None
