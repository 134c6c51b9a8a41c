"""Servers that die while they send push notifications, and two on one database: all arrive, in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.surface_a2a.receiving import Got, Receiver, receiving
from tests.surface_a2a.served import Server, official, request, send, until_held
from tests.surface_a2a.test_push import OPEN, asking, config

pytestmark = pytest.mark.anyio
Serve = Callable[..., Server]
TIME = 60


def changes(receiver: Receiver, task_id: str) -> list[int]:
    """Return the generations that came, in order; the output has that of the end, which follows it, and tells none."""
    return [got.generation for got in receiver.got if got.task_id == task_id and got.generation is not None]


def agentflow(folder: Path, *words: str) -> Any:
    """Run a command in a server's folder, and return what it tells as JSON."""
    command = [str(Path(sys.executable).with_name("agentflow")), *words, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True, env=os.environ)
    return json.loads(done.stdout)


async def test_after_kill_9_what_was_committed_and_not_delivered_is_sent(serve: Serve) -> None:
    """The first one dies while a receiver keeps it waiting: nothing of what its task has told has arrived."""
    with anyio.fail_after(TIME):
        async with receiving() as receiver:
            dead, reached = anyio.Event(), anyio.Event()

            async def hold(_: Got) -> int:
                reached.set()
                await dead.wait()
                return 500

            receiver.answer = hold
            first = serve(config=OPEN)
            async with official(first.url) as client:
                task = await send(client, asking(receiver, {"count": 3}, skill="chunks"))
            await reached.wait()
            first.kill()
            dead.set()
            receiver.answer = None
            await receiver.until(lambda got: len(got) == 1)
            receiver.got.clear()
            serve()
            got = await receiver.last()
    assert [each.told for each in got] == ["working", "page 0 ", "page 1 ", "page 2 ", "done", "completed"]
    assert changes(receiver, task.id) == sorted(changes(receiver, task.id))


@pytest.mark.slow
async def test_after_kill_9_the_task_goes_on_and_so_do_its_notifications(serve: Serve) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver:
            first = serve(config=OPEN)
            async with official(first.url) as client:
                task = await send(client, asking(receiver, {}, skill="held", returns=True))
            await until_held(first)
            await receiver.until(bool)
            first.kill()
            second = serve()
            (second.folder / "go").touch()
            got = await receiver.last()
    states = [each.told for each in got]  # the first one may come twice: it may have died before it kept that it came
    assert states in (["working", "held", "completed"], ["working", "working", "held", "completed"])
    assert {each.task_id for each in got} == {task.id}


@pytest.mark.slow
async def test_two_servers_on_one_database_send_each_change_once(serve: Serve) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver:
            a, b = serve(config=OPEN), serve()
            async with official(a.url) as on_a, official(b.url) as on_b:
                tasks = [await send(on_a, asking(receiver, str(n), skill="twice", path=f"/{n}")) for n in range(8)]
                for n, task in enumerate(tasks):
                    on_first, on_second = (on_a, on_b) if n % 2 else (on_b, on_a)
                    await send(on_first, request("one", taskId=task.id))
                    await send(on_second, request("two", taskId=task.id))
                await receiver.until(lambda got: sum(each.told == "completed" for each in got) == len(tasks))
    for task in tasks:
        came = changes(receiver, task.id)
        assert came == [*range(1, len(came) + 1)]


@pytest.mark.slow
async def test_another_server_takes_over_what_a_dead_one_was_sending(serve: Serve) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver:
            dead, reached = anyio.Event(), anyio.Event()

            async def hold(got: Got) -> int:
                if not dead.is_set():
                    reached.set()
                    await dead.wait()
                    return 500
                return 200

            receiver.answer = hold
            a = serve(config=OPEN)
            async with official(a.url) as client:
                await send(client, asking(receiver, "x", skill="echo"))
            await reached.wait()
            serve()
            a.kill()
            dead.set()
            got = await receiver.last()
    assert [each.told for each in got] == ["working", "working", "", "completed"]


@pytest.mark.slow
async def test_what_has_failed_is_listed_and_goes_on_by_a_command(serve: Serve) -> None:
    """Its secrets are in none of it: not in the list, not in the database, not in what the server says."""
    with anyio.fail_after(TIME):
        async with receiving() as receiver:

            async def gone(_: Got) -> int:
                return 410

            receiver.answer = gone
            server = serve(config=OPEN)
            async with official(server.url) as client:
                task = await send(client, request("x", skill="review"))
                wanted = config(receiver.url("/hook?key=k3y-4f1a"), task.id, "mine", "t0k-8d2e", "cr3d-77b1")
                await client.create_task_push_notification_config(wanted)
                await send(client, request({"decision": "approve"}, taskId=task.id))
            await receiver.until(lambda got: len(got) == 1)
            listed: Any = {"pushes": []}
            while not listed["pushes"]:
                listed = agentflow(server.folder, "push", "list", "--failed")
            (failed,) = listed["pushes"]
            assert (failed["task_id"], failed["id"], failed["state"]) == (task.id, "mine", "failed")
            assert (failed["to"], failed["error"]) == (receiver.url(""), "HTTP 410: the receiver is gone")
            receiver.answer = None
            receiver.got.clear()
            assert len(agentflow(server.folder, "push", "retry", task.id)["pushes"]) == 1
            got = await receiver.last()
            assert [each.told for each in got][-2:] == ["approve", "completed"]
            server.stop()
            server.errors.seek(0)
            said = json.dumps(listed) + server.errors.read()
            stored = b"".join(path.read_bytes() for path in sorted((server.folder / ".agentflow").glob("runs.db*")))
    for word in ("k3y-4f1a", "t0k-8d2e", "cr3d-77b1"):
        assert word not in said
        assert word.encode() not in stored
