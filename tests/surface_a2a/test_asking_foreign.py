"""`agent_run` asks agents that aren't ours, in both versions of the protocol."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentflow.engine import Answer
from agentflow.store.rows import Event
from agentflow.testing.faults import doom
from tests.surface_a2a.asking import asking, engine, error_of, until_asked
from tests.surface_a2a.foreign import foreign
from tests.surface_a2a.relay import relay

pytestmark = pytest.mark.anyio
TIME = 30
MODES = [("1.0", "JSONRPC", True), ("0.3", "JSONRPC", True), ("1.0", "HTTP+JSON", False), ("0.3", "HTTP+JSON", True)]


def says(url: str, text: str) -> str:
    """Return a config that asks the agent with a text."""
    return asking(url, step=f"{{id: ask, type: agent_run, agent: desk, prompt: {text}}}")


@pytest.mark.parametrize(("version", "binding", "streaming"), MODES)
async def test_its_chunks_its_questions_its_failures_and_its_replies_are_understood(
    tmp_path: Path, version: str, binding: str, streaming: bool
) -> None:
    with anyio.fail_after(TIME):
        async with foreign(version, binding, streaming=streaming) as (url, clerk):
            async with engine(tmp_path, says(url, "write")) as asker:
                run = await asker.wait((await asker.start("main")).id)
                assert run.output == {"output": "0 1 2"}
                (turn,) = [task for task in (await asker.tasks()).tasks if task.kind == "agent"]
                (artifact,) = await asker.store.artifacts(turn.id)
                assert "".join(part["text"] for part in artifact["parts"]) == "0 1 2 "
            async with engine(tmp_path, says(url, "ask")) as asker:
                started = await asker.start("main")
                wait = await until_asked(asker, started.id)
                assert wait.message == "For whom?"
                await asker.resume(wait.id, Answer("never"))
                wait = await until_asked(asker, started.id)
                assert wait.message == "Really?"
                await asker.resume(wait.id, Answer("Ann"))
                assert (await asker.wait(started.id)).output == {"output": "for Ann"}
            async with engine(tmp_path, says(url, "fail")) as asker:
                error = error_of(await asker.wait((await asker.start("main")).id))
                assert (error["code"], error["why"]) == ("AF-AGENT-FAILED", "no paper left")
            async with engine(tmp_path, says(url, "two")) as asker:
                run = await asker.wait((await asker.start("main")).id)
                assert run.output == {"totals": {"n": 3}, "notes": {"ok": True}}
            async with engine(tmp_path, says(url, "hello")) as asker:
                assert (await asker.wait((await asker.start("main")).id)).output == {"output": "hi"}
            assert clerk.said == ["write", "ask", "never", "Ann", "fail", "two", "hello"]


@pytest.mark.parametrize(("version", "binding", "streaming"), MODES[:2])
async def test_its_task_is_cancelled_while_it_works_and_while_it_asks(
    tmp_path: Path, version: str, binding: str, streaming: bool
) -> None:
    with anyio.fail_after(TIME):
        for word in ("hold", "ask"):
            async with (
                foreign(version, binding, streaming=streaming) as (url, clerk),
                engine(tmp_path, says(url, word)) as asker,
            ):
                started = await asker.start("main")
                async for event in asker.subscribe(started.id):
                    if _has_begun(event):
                        break
                await asker.cancel(started.id)
                assert (await asker.wait(started.id)).state == "canceled"
                await clerk.canceled.wait()


@pytest.mark.parametrize("cancels", [False, True])
async def test_a_task_is_found_whose_beginning_was_told_to_one_who_had_died(tmp_path: Path, cancels: bool) -> None:
    """The agent knows no idempotency keys: its list of tasks tells. A cancel finds it too."""
    store = str(tmp_path / "runs.db")
    with anyio.fail_after(TIME):
        async with relay() as wire, foreign("1.0", wire=wire) as (url, clerk):
            wire.hold("response", "SendStreamingMessage")
            async with engine(tmp_path, says(url, "ask"), store) as asker:
                started = await asker.start("main")
                await wire.held.wait()
                doom(asker)
            wire.let_go()
            async with engine(tmp_path, says(url, "ask"), store) as asker:
                if cancels:
                    await asker.cancel(started.id)
                    await clerk.canceled.wait()
                else:
                    assert (await until_asked(asker, started.id)).message == "For whom?"
                assert clerk.said == ["ask"]


async def test_what_could_not_be_ended_before_a_crash_is_ended_after_it(tmp_path: Path) -> None:
    """The run was cancelled while its agent couldn't be reached, then its host has died."""
    store = str(tmp_path / "runs.db")
    with anyio.fail_after(TIME):
        async with relay() as wire, foreign("1.0", wire=wire) as (url, clerk):
            there = clerk.canceled
            async with engine(tmp_path, says(url, "ask"), store) as asker:
                started = await asker.start("main")
                await until_asked(asker, started.id)
                wire.hold("request", '"CancelTask"')
                await asker.cancel(started.id)
                assert (await asker.wait(started.id)).state == "canceled"
                await wire.held.wait()
                doom(asker)
            assert not there.is_set()
            wire.let_go()
            async with engine(tmp_path, says(url, "ask"), store) as asker:
                await there.wait()
                await asker.core.withdrawing.settled()
                assert await asker.store.elsewhere.left(asker.core.env.agents) == []


def _has_begun(event: Event) -> bool:
    return event.type in {"artifact", "step_waiting"}
