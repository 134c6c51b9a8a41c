"""A process that is stopped, or blocked, for longer than anybody looks: it keeps what it has, and loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import pytest

from agentflow.config import load_config
from agentflow.engine import Engine
from agentflow.errors import StoreError
from agentflow.store.sqlite import writer
from agentflow.store.sqlite.file import place
from tests.crash.scene import Scene
from tests.crash.small import CONFIG, WORK

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="it uses signals")]

LIMIT = 60
WRITER = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE meta SET value = value + 1 WHERE name = 'scratch'")
print("locked", flush=True)
sys.stdin.readline()
db.execute("COMMIT")
"""


async def until(condition: Callable[[], object]) -> None:
    """Return when a condition holds that another process or a log brings about."""
    while not condition():  # noqa: ASYNC110  nobody tells us
        await anyio.sleep(0.005)


@contextmanager
def stopped_writer(scene: Scene) -> Generator[subprocess.Popen[str]]:
    """Stop a process in the middle of a transaction; it commits and ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(scene.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.communicate("\n", LIMIT)


async def test_a_process_stopped_in_a_transaction_is_named_and_holds_nobody_up_for_good(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a step came to while the store was locked is committed when it is free again; the step ran once."""
    scene.prepare(CONFIG, WORK)
    async with Engine.open(scene.database, config=load_config(scene.folder / "agentflow.yaml")) as engine:
        with anyio.fail_after(LIMIT):
            monkeypatch.chdir(scene.folder)
            run = await engine.start("ends")
            await until(scene.lines)
            monkeypatch.setattr(writer, "BUSY_AFTER", 0.1)
            monkeypatch.setattr(place, "BUSY_AFTER", 0.1)
            with stopped_writer(scene) as process:
                (scene.folder / "go-first").touch()
                await until(lambda: "is in use by another process" in caplog.text)
                with pytest.raises(StoreError) as caught:
                    await engine.start("chain")
            (scene.folder / "go-last").touch()
            assert (await engine.wait(run.id)).output == {"who": "last", "between": "between"}
            assert len(await engine.list()) == 1
    error = caught.value
    assert error.code == "AF-STORE-BUSY"
    if sys.platform == "linux":
        assert error.why is not None
        assert error.why.startswith(f"pid {process.pid} ")
        assert error.why.endswith("is stopped.")
        assert f"kill -CONT {process.pid}" in (error.hint or "")
    assert [line.split()[0].rpartition("/")[2] for line in scene.lines()] == ["first", "between", "last"]
