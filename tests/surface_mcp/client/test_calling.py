"""tool_call steps call tools of MCP servers: programs and addresses, of both eras of the protocol."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.data import decode, encode
from agentflow.engine import Answer, Decline
from agentflow.errors import Failure
from agentflow_mcp.client import following, states
from tests.surface_mcp.client.far import Far, entry, far, finish, ledger, listening, until_line

pytestmark = pytest.mark.anyio
SERVERS = ("program", "old_program", "address", "old_address")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Share the event loop."""
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Far]:
    """Return an engine with a server of each kind."""
    folder = tmp_path_factory.mktemp("far")
    async with listening(folder) as (_, url), listening(folder, ERA="legacy") as (_, old):
        tools: dict[str, Any] = {
            "program": entry(folder),
            "old_program": entry(folder, env={"ERA": "legacy"}),
            "address": {"url": url},
            "old_address": {"url": old},
        }
        async with far(folder, tools) as world:
            yield world


def failure(run: Any) -> Failure:
    """Return why a run has failed."""
    assert run.state == "failed"
    assert run.failure is not None
    return run.failure


@pytest.mark.parametrize("server", SERVERS)
async def test_a_tool_of_any_server_gives_its_data(world: Far, server: str) -> None:
    run = await world.start("echo", server, text="hi")
    assert (run.state, run.output) == ("completed", {"text": "hi"})
    me = await world.start("me", server)
    assert me.output["version"] == ("2025-11-25" if server.startswith("old") else "2026-07-28")


@pytest.mark.parametrize("server", SERVERS)
async def test_what_a_tool_says_that_it_has_used_is_counted(world: Far, server: str) -> None:
    run = await world.start("priced", server)
    assert (str(run.usage.cost), run.usage.input_tokens, run.usage.output_tokens) == ("0.125000000000", 40, 2)


async def test_text_is_read_as_json_and_what_is_no_text_is_kept(world: Far) -> None:
    assert (await world.start("words", "program", text="hi")).output == {"output": "hi"}
    assert (await world.start("words", "program", text='{"a": [1]}')).output == {"a": [1]}
    picture = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    assert (await world.start("picture", "program")).output == {"output": "a dot", "content": [picture]}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_tool_that_fails_fails_its_step_with_what_it_says(world: Far, server: str) -> None:
    failed = failure(await world.start("fail", server))
    assert (failed.code, failed.message, failed.retryable) == ("AF-TOOL-FAILED", "no more paper", True)


async def test_arguments_that_dont_fit_arent_sent(world: Far) -> None:
    before = len(ledger(world.folder, "call", "echo"))
    failed = failure(await world.start("echo", "program", txt="hi"))
    assert (failed.code, failed.retryable) == ("AF-TOOL-ARGUMENTS", False)
    assert '"text" is a required property' in failed.message
    assert len(ledger(world.folder, "call", "echo")) == before


async def test_a_result_that_isnt_as_promised_fails_and_is_not_asked_for_again(world: Far) -> None:
    failed = failure(await world.start("lie", "program"))
    assert (failed.code, failed.retryable) == ("AF-TOOL-RESULT", False)


async def test_an_unknown_tool_is_told_with_the_nearest_one(world: Far) -> None:
    failed = failure(await world.start("ecko", "program"))
    assert (failed.code, failed.hint) == ("AF-TOOL-UNKNOWN", 'did you mean "echo"?')


async def test_calls_share_one_process_and_run_at_once(world: Far) -> None:
    runs = [await world.engine.start("call", {"tool": "slow", "server": "program"}) for _ in range(3)]
    await until_line(world.folder, "slow", "begins")
    me = await world.start("me", "program")
    again = await world.start("me", "program")
    assert me.output["pid"] == again.output["pid"]
    for run in runs:
        await world.engine.cancel(run.id)


@pytest.mark.parametrize("server", SERVERS)
async def test_what_a_server_asks_is_a_wait_and_its_answer_goes_back(world: Far, server: str) -> None:
    run = await world.start("ask", server)
    (wait,) = [each for each in await world.engine.waits() if each.run_id == run.id]
    assert (run.state, wait.message, wait.schema) == ("input-required", "Really?", wait.schema)
    assert wait.schema is not None
    assert wait.schema["required"] == ["yes"]
    done = await world.answer(run, Answer({"yes": True}))
    assert done.output == {"action": "accept", "content": {"yes": True}}


@pytest.mark.parametrize("server", SERVERS)
async def test_who_declines_is_heard_by_the_server(world: Far, server: str) -> None:
    run = await world.start("ask", server)
    done = await world.answer(run, Decline("no"))
    assert done.output == {"action": "decline", "content": None}


@pytest.mark.parametrize("server", ["old_program", "old_address"])
async def test_a_call_that_stays_open_for_a_question_ends_with_its_run(world: Far, server: str) -> None:
    before = len(ledger(world.folder, "asked", "in", "vain"))
    run = await world.start("ask", server)
    assert run.state == "input-required"
    await world.engine.cancel(run.id)
    await until_line(world.folder, "asked", "in", "vain", after=before)


async def test_an_address_to_visit_is_a_wait_with_it(world: Far) -> None:
    run = await world.start("visit", "program")
    (wait,) = [each for each in await world.engine.waits() if each.run_id == run.id]
    assert wait.message == "Pay there\nhttps://pay.example/1"
    assert (await world.answer(run, Answer({}))).output == {"action": "accept"}


@pytest.mark.parametrize("server", SERVERS)
async def test_a_call_that_goes_on_as_a_task_is_followed_to_its_end(world: Far, server: str) -> None:
    (world.folder / "finish").unlink(missing_ok=True)
    looked = len(ledger(world.folder, "get", "working"))
    run = await world.engine.start("call", {"tool": "long", "server": server})
    await until_line(world.folder, "get", "working", after=looked)
    finish(world.folder, "well")
    ended = await world.ended(run)
    assert (ended.state, ended.output) == ("completed", {"ended": "well"})


@pytest.mark.parametrize("server", SERVERS)
async def test_what_a_task_asks_is_a_wait_and_its_answer_goes_back(world: Far, server: str) -> None:
    finish(world.folder, "well")
    run = await world.start("longask", server)
    (wait,) = [each for each in await world.engine.waits() if each.run_id == run.id]
    assert (run.state, wait.message) == ("input-required", "Go on?")
    ended = await world.answer(run, Answer({"yes": True}))
    old = {"said": "accept", "content": {"yes": True}}
    assert (ended.state, ended.output) == ("completed", old if server.startswith("old") else {"ended": "well"})


async def test_a_task_that_fails_or_is_cancelled_fails_its_step(world: Far) -> None:
    finish(world.folder, "fail")
    failed = failure(await world.start("long", "program"))
    assert (failed.code, failed.message) == ("AF-TOOL-FAILED", 'Tool "long" failed: the disk is full')
    (world.folder / "finish").unlink()
    tasks = len(ledger(world.folder, "task", "long"))
    looked = len(ledger(world.folder, "get", "working"))
    run = await world.engine.start("call", {"tool": "long", "server": "program"})
    await until_line(world.folder, "get", "working", after=looked)
    task = ledger(world.folder, "task", "long")[tasks].split()[2]
    path = world.folder / f"{task}.task"
    path.write_bytes(encode({**decode(path.read_bytes()), "status": "cancelled"}))
    assert failure(await world.ended(run)).code == "AF-TOOL-CANCELED"


async def test_a_step_that_is_cancelled_cancels_its_task_parked_or_not(world: Far) -> None:
    (world.folder / "finish").unlink(missing_ok=True)
    cancelled = len(ledger(world.folder, "cancel"))
    asks = await world.start("longask", "program")
    await world.engine.cancel(asks.id)
    await until_line(world.folder, "cancel", after=cancelled)
    looked = len(ledger(world.folder, "get", "working"))
    works = await world.engine.start("call", {"tool": "long", "server": "address"})
    await until_line(world.folder, "get", "working", after=looked)
    await world.engine.cancel(works.id)
    await until_line(world.folder, "cancel", after=cancelled + 1)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_step_that_is_cancelled_cancels_its_call(world: Far, server: str) -> None:
    before = len(ledger(world.folder, "slow", "cancelled"))
    begun = len(ledger(world.folder, "slow", "begins"))
    run = await world.engine.start("call", {"tool": "slow", "server": server})
    await until_line(world.folder, "slow", "begins", after=begun)
    await world.engine.cancel(run.id)
    await until_line(world.folder, "slow", "cancelled", after=before)


async def test_progress_is_the_steps(world: Far) -> None:
    begun = len(ledger(world.folder, "slow", "begins"))
    run = await world.engine.start("call", {"tool": "slow", "server": "program"})
    await until_line(world.folder, "slow", "begins", after=begun)
    with anyio.fail_after(20):
        async for event in world.engine.subscribe(run.id):
            if event.type == "step_progress":
                assert event.data == {"fraction": 0.25, "message": "a quarter"}
                break
    await world.engine.cancel(run.id)


@pytest.mark.slow
async def test_every_attempt_sends_the_same_key(tmp_path: Path) -> None:
    retry = "retry: {max_attempts: 3, base: 0}"
    async with far(tmp_path, {"program": entry(tmp_path)}, more=retry) as world:
        failure(await world.start("fail", "program"))
    calls = ledger(tmp_path, "call", "fail")
    assert len(calls) == 3
    assert len(set(calls)) == 1


async def test_a_server_that_dies_is_told_with_its_last_words_and_started_again(tmp_path: Path) -> None:
    tools = {"program": entry(tmp_path, env={"TOKEN": "{env.SECRET}"})}
    head = "env: [{name: SECRET, default: swordfish}]\n"
    async with far(tmp_path, tools, head=head) as world:
        failed = failure(await world.start("die", "program"))
        assert (failed.code, failed.retryable) == ("AF-TOOL-CONNECTION", True)
        assert failed.why == "it wrote: out of cheese ***"
        assert (await world.start("echo", "program", text="hi")).output == {"text": "hi"}
    assert len(ledger(tmp_path, "pid")) == 2


@pytest.mark.slow
async def test_a_program_has_its_folder_and_only_the_environment_it_is_given_and_ends_with_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTILE", "1")
    (tmp_path / "inner").mkdir()
    async with far(tmp_path, {"program": entry(tmp_path, cwd="inner", env={"TOKEN": "x"})}) as world:
        me = (await world.start("me", "program")).output
    assert (me["cwd"], me["others"]) == (str(tmp_path / "inner"), False)
    with pytest.raises(ProcessLookupError):
        os.kill(me["pid"], 0)
    assert ledger(tmp_path, "left")


async def test_a_program_that_isnt_there_is_told_at_once(tmp_path: Path) -> None:
    async with far(tmp_path, {"program": {"command": "no-such-program"}}) as world:
        failed = failure(await world.start("echo", "program", text="hi"))
    assert (failed.code, failed.retryable) == ("AF-TOOL-CONNECTION", False)
    assert failed.message == 'server "program" can\'t be started: no such file or directory: no-such-program'


async def test_a_command_with_its_arguments_in_it_is_told_apart(tmp_path: Path) -> None:
    async with far(tmp_path, {"program": {"command": "npx -y server"}}) as world:
        failed = failure(await world.start("echo", "program", text="hi"))
    assert failed.hint == "`command` is the program alone: program: {command: npx, args: [-y, server]}"


@pytest.mark.slow
async def test_an_address_where_nobody_listens_can_be_tried_again(tmp_path: Path) -> None:
    async with listening(tmp_path) as (process, url), far(tmp_path, {"address": {"url": url}}) as world:
        assert (await world.start("echo", "address", text="hi")).state == "completed"
        process.kill()
        process.wait()
        failed = failure(await world.start("echo", "address", text="hi"))
        assert (failed.code, failed.retryable) == ("AF-TOOL-CONNECTION", True)
        async with listening(tmp_path, int(url.split(":")[2].partition("/")[0])):
            assert (await world.start("echo", "address", text="hi")).state == "completed"


async def test_a_question_that_was_answered_at_the_server_is_closed_here(
    world: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "FIRST_LOOK", 0.5)
    finish(world.folder, "well")
    run = await world.start("longask", "program")
    assert run.state == "input-required"
    task = ledger(world.folder, "task", "longask")[-1].split()[2]
    path = world.folder / f"{task}.task"
    path.write_bytes(encode({**decode(path.read_bytes()), "status": "working", "inputRequests": {}}))
    with anyio.fail_after(20):
        async for event in world.engine.subscribe(run.id):
            if event.type == "run_completed":
                break
    assert (await world.ended(run)).output == {"ended": "well"}


async def test_a_task_that_takes_long_holds_no_slot(world: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE", 0.0)
    monkeypatch.setattr(following, "OFTEN", 0.01)
    (world.folder / "finish").unlink(missing_ok=True)
    looked = len(ledger(world.folder, "get", "working"))
    calls = len(ledger(world.folder, "call", "long"))
    run = await world.engine.start("call", {"tool": "long", "server": "address"})
    await until_line(world.folder, "get", "working", after=looked + 2)
    assert world.engine.core.slots.running == 0 or (await world.engine.get(run.id)).state == "working"
    finish(world.folder, "late")
    assert (await world.ended(run)).output == {"ended": "late"}
    assert len(ledger(world.folder, "call", "long")) == calls + 1


@pytest.mark.slow
async def test_a_session_that_the_server_has_lost_is_opened_again_unseen(tmp_path: Path) -> None:
    async with listening(tmp_path, ERA="legacy") as (process, url), far(tmp_path, {"old": {"url": url}}) as world:
        assert (await world.start("echo", "old", text="hi")).output == {"text": "hi"}
        process.kill()
        process.wait()
        async with listening(tmp_path, int(url.split(":")[2].partition("/")[0]), ERA="legacy"):
            assert (await world.start("echo", "old", text="ho")).output == {"text": "ho"}
