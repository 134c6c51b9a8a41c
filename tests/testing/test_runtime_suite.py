"""The runtime's contract, for workers in other processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agentflow.engine.attempt.sealing import Seal
from agentflow.engine.attempt.wire import attempt_to_json
from agentflow.engine.exchange import Attempt, Parcel
from agentflow.engine.runtime.base import Runtime
from agentflow.testing.processes.holder import WorkerProcesses
from agentflow.testing.runtime_suite import RuntimeSuite, Workplace
from tests.crash.elsewhere import Elsewhere

pytestmark = pytest.mark.anyio


class Place:
    """A project whose workers are processes."""

    def __init__(self, there: Elsewhere) -> None:
        self.there = there

    def runtime(self) -> Runtime:
        return WorkerProcesses(self.there.socket, max(1, len(self.there.workers)), patience=20.0)

    async def add(self) -> str:
        self.there.start(slots=2)
        return str(self.there.workers[-1].pid)

    async def kill(self, worker: str) -> None:
        self.there.kill(int(worker))

    def cut(self, worker: str) -> None:
        self.there.switch(int(worker))

    def mend(self, worker: str) -> None:
        self.there.switch(int(worker))

    def parcel(self, number: int, *, holds: bool = False) -> Parcel:
        function = "work:numbered" if holds else "work:mark"
        config = {"function": function, "input": {"n": number}}
        attempt = Attempt(1, number, 1, 0, "run", f"step{number}", "main", 1, "python", config)
        return Parcel(attempt.key, attempt_to_json(attempt, Seal({}, {})))

    def release(self, number: int) -> None:
        (self.there.folder / f"release{number}").touch()

    async def begun(self, number: int) -> str:
        return (await self.there.noted(f"begun {number} ")).split()[-1]

    async def left(self, number: int) -> None:
        await self.there.noted(f"left {number} ")

    def executions(self, number: int) -> int:
        return len([line for line in self.there.done() if f" step{number} " in line or f"begun {number} " in line])


class TestProcesses(RuntimeSuite):
    """With workers in other processes."""

    @pytest.fixture
    def workplace(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
        monkeypatch.setenv("TOKEN", "s3cr3t-value")
        with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
            there = Elsewhere(Path(folder))
            try:
                yield Place(there)
            finally:
                there.end()
