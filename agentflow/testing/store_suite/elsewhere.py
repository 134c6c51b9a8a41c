"""What turns of agents have begun elsewhere: known until it is ended, and found when the turn is over."""

# ruff: noqa: S101  a test suite

from __future__ import annotations

from agentflow.store.contract import Store
from agentflow.store.elsewhere import Begun
from agentflow.store.rows import RunChange
from agentflow.testing.store_suite.builders import start, text_id, wait_task

AGENTS = ("", "desk")


def _begun(turn: str, agent: str = "desk", state: bytes = b"{}") -> Begun:
    return Begun(text_id(turn), agent, "agent_run", "ask", state)


class ElsewhereSuite:
    """What was begun elsewhere, in a store."""

    async def test_what_is_begun_elsewhere_is_left_when_its_turn_is_over_or_gone(self, store: Store) -> None:
        key = await start(store, "r1")
        turn = wait_task(key, "t1", 1, "agent")._replace(state="working")
        await store.commit([RunChange(key, key, 1, tasks=[turn])])
        for begun in (_begun("t1"), _begun("t1", state=b'{"task":1}'), _begun("t2"), _begun("t3", "other")):
            await store.elsewhere.note(begun)
        assert await store.elsewhere.left(AGENTS) == [_begun("t2")]
        await store.commit([RunChange(key, key, 1, close_tasks=[(text_id("t1"), "canceled", None)])])
        assert {each.turn for each in await store.elsewhere.left(AGENTS)} == {text_id("t1"), text_id("t2")}
        assert [each.state for each in await store.elsewhere.left(AGENTS) if each.turn == text_id("t1")] == [
            b'{"task":1}'
        ]
        await store.elsewhere.forget([text_id("t1"), text_id("t2"), text_id("unknown")])
        assert await store.elsewhere.left(AGENTS) == []
        assert await store.elsewhere.left(("other",)) == [_begun("t3", "other")]
