"""A tree of tasks over two servers: what is asked innermost is asked outermost; answers and cancels go down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import pytest
from a2a.types import a2a_pb2 as pb

from tests.surface_a2a.asking import written
from tests.surface_a2a.relay import behind, relay
from tests.surface_a2a.served import Server, official, output, place, plain, request, send, state, text, waits

pytestmark = pytest.mark.anyio
TIME = 90
OUTER = """
name: outer
agents: {{desk: {{url: "{url}", skill: review}}}}
workflows:
  outermost:
    steps: [{{id: middle, type: workflow, workflow: inner}}]
    output: "{{steps.middle}}"
  inner:
    steps: [{{id: ask, type: agent_run, agent: desk, input: {{text: the plan}}}}]
    output: "{{steps.ask.output}}"
"""
LOOP = """
name: loop
agents: {{itself: {{url: "{url}"}}}}
workflows:
  again: {{steps: [{{id: ask, type: agent_run, agent: itself, prompt: again}}]}}
"""


@pytest.fixture(scope="module")
def two(server: Server) -> Iterator[tuple[Server, Server]]:
    """Two servers, one of which asks the other one."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        outer = Server(Path(folder), config=OUTER.format(url=server.url))
        try:
            yield outer, server
        finally:
            outer.end()


def cli(server: Server, *words: str) -> Any:
    """Run the command line in a server's folder, and return what it prints."""
    command = [str(Path(sys.executable).with_name("agentflow")), *words, "--json"]
    done = subprocess.run(command, cwd=server.folder, capture_output=True, text=True, timeout=TIME, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def remote_tasks(server: Server, outermost: pb.Task) -> list[pb.Task]:
    """Return the tasks of the asked server that an outermost run's tree has begun, newest change first."""
    async with official(server.url) as client:
        found = await client.list_tasks(pb.ListTasksRequest(history_length=10, page_size=100))
    mine = [t.id for t in found.tasks for m in t.history if outermost.id in str(m.metadata)]
    return [t for t in found.tasks if t.id in mine or place(t).get("parentTaskId") in mine]


async def test_the_innermost_question_is_asked_at_the_outermost_run_and_answered_there(
    two: tuple[Server, Server],
) -> None:
    """A bad answer is refused there, a good one goes down; the draft of the innermost run has come up."""
    outer, inner = two
    with anyio.fail_after(TIME):
        async with official(outer.url) as client:
            asked = await send(client, request({}, skill="outermost"))
            assert (state(asked), text(asked)) == ("input-required", "Publish the plan?")
            (wait,) = waits(asked)
            assert (wait["step"], wait["remote_step"], wait["schema"]["required"]) == ("ask", "decide", ["decision"])
            (below, run) = sorted(
                await remote_tasks(inner, asked), key=lambda task: "step" in place(task), reverse=True
            )
            assert (state(below), state(run), place(below)["parentTaskId"]) == (
                "input-required",
                "input-required",
                run.id,
            )
            refused = await send(client, request({"decision": "perhaps"}, taskId=asked.id))
            assert state(refused) == "input-required"
            assert "perhaps" in text(refused)
            ended = await send(client, request({"decision": "approve"}, taskId=asked.id))
            assert (state(ended), output(ended)) == ("completed", "approve")
        assert [state(task) for task in await remote_tasks(inner, asked)] == ["completed", "completed"]


async def test_it_is_answered_at_the_command_line_too(two: tuple[Server, Server]) -> None:
    outer, _ = two
    with anyio.fail_after(TIME):
        async with official(outer.url) as client:
            asked = await send(client, request({}, skill="outermost"))
            (wait,) = [each for each in cli(outer, "waits")["waits"] if each["id"] == waits(asked)[0]["taskId"]]
            assert wait["message"] == "Publish the plan?"
            cli(outer, "waits", "answer", wait["id"], "--set", "decision=reject")
            ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
            while state(ended) != "completed":
                ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
            assert output(ended) == "reject"


async def test_a_cancel_of_the_outermost_run_ends_the_innermost_wait(two: tuple[Server, Server]) -> None:
    outer, inner = two
    with anyio.fail_after(TIME):
        async with official(outer.url) as client:
            asked = await send(client, request({}, skill="outermost"))
            assert state(await client.cancel_task(pb.CancelTaskRequest(id=asked.id))) == "canceled"
        states: set[str] = set()
        while states != {"canceled"}:
            states = {state(task) for task in await remote_tasks(inner, asked)}


@pytest.mark.slow
async def test_agents_that_ask_each_other_end_at_a_known_depth(serve: Callable[..., Server], tmp_path: Path) -> None:
    with anyio.fail_after(TIME):
        async with relay() as wire:
            server = behind(wire, lambda *words: Server(written(tmp_path, LOOP.format(url=wire.url)).parent, *words))
            try:
                async with official(server.url) as client:
                    ended = await send(client, request("go"))
                    assert state(ended) == "failed"
                    found = await client.list_tasks(pb.ListTasksRequest(page_size=100))
                runs = [task for task in found.tasks if "step" not in place(task)]
                deepest = [task for task in runs if "AF-AGENT-DEPTH" in str(plain(task))]
                assert (len(runs), len(deepest)) == (17, 1)
            finally:
                server.end()
