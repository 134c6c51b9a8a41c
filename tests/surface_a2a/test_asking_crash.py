"""Who asks an agent dies, or the agent's server does, between any two steps: it is asked once, and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import UnsupportedOperationError

from tests.surface_a2a.asking import asking
from tests.surface_a2a.relay import Relay, behind, relay
from tests.surface_a2a.served import Server, official, output, request, send, state, text, until_held, waits

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TIME = 90
Serve = Callable[..., Server]


@pytest.fixture
def caller() -> Iterator[Callable[[str], Server]]:
    """Starts servers with a config of their own in one folder; none outlives the test."""
    started: list[Server] = []
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:

        def start(config: str) -> Server:
            started.append(Server(Path(folder), config=config))
            return started[-1]

        try:
            yield start
        finally:
            for each in started:
                each.end()


async def until(url: str, task_id: str, *states: str) -> pb.Task:
    """Return a task when it is in one of some states."""
    async with official(url) as client, official(url, streaming=True) as listener:
        with suppress(UnsupportedOperationError):  # it has ended already
            async for _ in listener.subscribe(pb.SubscribeToTaskRequest(id=task_id)):
                found = await client.get_task(pb.GetTaskRequest(id=task_id))
                if state(found) in states:
                    return found
        return await client.get_task(pb.GetTaskRequest(id=task_id))


async def begun(url: str, *, returns: bool = True) -> pb.Task:
    """Start the run that asks."""
    async with official(url) as client:
        return await send(client, request({}, returns=returns))


async def asked_once(url: str) -> None:
    """Check that the agent has one task that was begun by a message."""
    async with official(url) as client:
        found = await client.list_tasks(pb.ListTasksRequest(history_length=1))
    assert len([task for task in found.tasks if "parentTaskId" not in str(task.metadata)]) == 1


async def dies_at(wire: Relay, which: Any, word: str, caller: Server) -> None:
    """Kill who asks when a request, or its answer, is held."""
    await wire.held.wait()
    wire.let_go()
    caller.kill()


@pytest.mark.parametrize("which", ["request", "response"])
async def test_who_dies_while_it_asks_has_asked_once(serve: Serve, caller: Callable[[str], Server], which: Any) -> None:
    """The message may have been lost, or only what it has begun: the next one to go on can't know, and needn't."""
    with anyio.fail_after(TIME):
        async with relay() as wire:
            remote = behind(wire, serve)
            wire.hold(which, "SendStreamingMessage")
            config = asking(wire.url, skill="echo")
            first = caller(config)
            task = await begun(first.url)
            await dies_at(wire, which, "SendStreamingMessage", first)
            ended = await until(caller(config).url, task.id, "completed", "failed")
            assert output(ended) == {"text": "x"}
            await asked_once(remote.url)


async def test_who_dies_while_the_agent_works_goes_on_with_its_task(
    serve: Serve, caller: Callable[[str], Server]
) -> None:
    with anyio.fail_after(TIME):
        remote = serve()
        config = asking(remote.url, skill="held")
        first = caller(config)
        task = await begun(first.url)
        await until_held(remote)
        first.kill()
        second = caller(config)
        (remote.folder / "go").touch()
        assert output(await until(second.url, task.id, "completed", "failed")) == {"output": "held"}
        await asked_once(remote.url)


@pytest.mark.parametrize("which", ["request", "response"])
async def test_who_dies_while_it_hands_on_an_answer_has_answered_once(
    serve: Serve, caller: Callable[[str], Server], which: Any
) -> None:
    """It had died while it waited, too."""
    with anyio.fail_after(TIME):
        async with relay() as wire:
            remote = behind(wire, serve)
            config = asking(wire.url, skill="twice")
            first = caller(config)
            task = await begun(first.url, returns=False)
            assert text(task) == "First?"
            first.kill()
            wire.hold(which, '"SendMessage"')
            second = caller(config)
            async with official(second.url) as client:
                await send(client, request("one", taskId=task.id, returns=True))
            await dies_at(wire, which, "SendMessage", second)
            third = caller(config)
            async with official(third.url) as client:
                asks = await until(third.url, task.id, "input-required", "failed")
                while text(asks) == "First?":  # its status is told as it was when the answer came
                    asks = await client.get_task(pb.GetTaskRequest(id=task.id))
                assert [wait["message"] for wait in waits(asks)] == ["Second?"]
                ended = await send(client, request("two", taskId=task.id))
            assert output(ended) == {"output": "one, two"}
            await asked_once(remote.url)


async def test_an_agents_server_that_dies_and_comes_back_fails_nothing(
    serve: Serve, caller: Callable[[str], Server]
) -> None:
    with anyio.fail_after(TIME):
        async with relay() as wire:
            remote = behind(wire, serve)
            asker = caller(asking(wire.url, skill="held"))
            task = await begun(asker.url)
            await until_held(remote)
            wire.to(None)
            remote.kill()
            again = behind(wire, serve)
            (again.folder / "go").touch()
            assert output(await until(asker.url, task.id, "completed", "failed")) == {"output": "held"}
