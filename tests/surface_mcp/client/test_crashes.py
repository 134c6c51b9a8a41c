"""A process that dies between two steps of a call goes on with it: tasks are followed, nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentflow.data import decode, encode
from tests.cli.project import clean_environ
from tests.surface_mcp.client.far import LIMIT, config_text, entry, finish, ledger, listening, until, until_line

pytestmark = pytest.mark.anyio
DRIVER = Path(__file__).with_name("driver.py")


class World:
    """A folder with a config, whose engine's process is killed."""

    def __init__(self, folder: Path, server: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "agentflow.yaml").write_text(config_text({"far": server}))

    @contextmanager
    def begun(self, tool: str, *answer: Any) -> Generator[subprocess.Popen[bytes]]:
        """Start the engine's process, and kill it at the end of the block, where it is still there."""
        (self.folder / "state").unlink(missing_ok=True)
        given = [encode(each).decode() for each in answer]
        process = subprocess.Popen([sys.executable, str(DRIVER), str(self.folder), tool, *given], env=clean_environ())
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(LIMIT)

    def ended(self, tool: str, *answer: Any) -> Any:
        """Go on in a new process, and return what the run has come to."""
        with self.begun(tool, *answer) as process:
            assert process.wait(LIMIT) == 0
        return decode((self.folder / "state").read_bytes())

    def lines(self, *words: str) -> list[str]:
        """Return lines of the server's ledger."""
        return ledger(self.folder, *words)


async def test_a_task_is_followed_by_the_next_process_and_not_called_again(tmp_path: Path) -> None:
    world = World(tmp_path, entry(tmp_path))
    with world.begun("long"):
        await until_line(tmp_path, "get", "working")
    (server,) = world.lines("pid")
    await until(lambda: world.lines("left"))  # its stdin has closed: it isn't left alone
    finish(tmp_path, "well")
    assert world.ended("long") == {"state": "completed", "output": {"ended": "well"}, "code": None}
    assert len(world.lines("call")) == 1
    assert not world.lines("cancel")
    with pytest.raises(ProcessLookupError):
        os.kill(int(server.split()[1]), 0)


@pytest.mark.slow
async def test_a_call_that_was_broken_off_before_its_handle_is_sent_again_with_the_same_key(tmp_path: Path) -> None:
    world = World(tmp_path, entry(tmp_path))
    with world.begun("slow"):
        await until_line(tmp_path, "slow", "begins")
    with world.begun("slow"):
        await until_line(tmp_path, "slow", "begins", after=1)
    first, second = world.lines("call")
    assert first == second


@pytest.mark.slow
async def test_a_task_that_asks_is_answered_by_the_next_process(tmp_path: Path) -> None:
    world = World(tmp_path, entry(tmp_path))
    finish(tmp_path, "well")
    with world.begun("longask"):
        await until((tmp_path / "state").exists)
    ended = world.ended("longask", {"yes": True})
    assert ended == {"state": "completed", "output": {"ended": "well"}, "code": None}
    assert len(world.lines("call")) == 1
    assert world.lines("answer") == ['answer go {"action": "accept", "content": {"yes": true}}']


@pytest.mark.slow
async def test_a_question_of_a_round_is_answered_by_the_next_process(tmp_path: Path) -> None:
    world = World(tmp_path, entry(tmp_path))
    with world.begun("ask"):
        await until((tmp_path / "state").exists)
    assert world.ended("ask", {"yes": True})["output"] == {"action": "accept", "content": {"yes": True}}
    assert world.lines("done") == ["done asked-1 accept"]
    assert len(set(world.lines("call"))) == 1


@pytest.mark.slow
async def test_a_question_on_an_open_call_is_answered_by_the_next_process_that_calls_again(tmp_path: Path) -> None:
    world = World(tmp_path, entry(tmp_path, env={"ERA": "legacy"}))
    with world.begun("ask"):
        await until((tmp_path / "state").exists)
    assert world.ended("ask", {"yes": True})["output"] == {"action": "accept", "content": {"yes": True}}
    assert world.lines("done") == ["done accept"]
    assert len(world.lines("call")) == 2
    assert len(set(world.lines("call"))) == 1


@pytest.mark.slow
async def test_a_task_of_a_server_that_dies_is_followed_when_it_is_back(tmp_path: Path) -> None:
    async with listening(tmp_path) as (server, url):
        world = World(tmp_path, {"url": url})
        with world.begun("long") as process:
            await until_line(tmp_path, "get", "working")
            server.kill()
            server.wait(LIMIT)
            finish(tmp_path, "well")
            async with listening(tmp_path, int(url.split(":")[2].partition("/")[0])):
                assert process.wait(LIMIT) == 0
    assert decode((tmp_path / "state").read_bytes())["output"] == {"ended": "well"}
    assert len(world.lines("call")) == 1
