"""A holder in a process of its own: `holding.py FOLDER WORKFLOW`; prints the run's id, and holds it."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from agentflow.engine import Engine
from agentflow.testing.processes.holder import WorkerProcesses
from tests.crash.elsewhere import Elsewhere


async def main(folder: Path, workflow: str) -> None:
    """Start a run, and see to it."""
    there = Elsewhere(folder)
    async with Engine.open(there.store, config=there.config, runtime=WorkerProcesses(there.socket)) as engine:
        run = await engine.start(workflow)
        print(run.id, flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
