"""A process with an engine, to be killed: `python driver.py FOLDER TOOL [ANSWER]`.

It begins the run `call` of the folder's config, or goes on with it, answers what it asks if it is given an answer, and
ends when the run has ended, or asks while there is no answer. What the run has come to stands in `state` then.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from agentflow import Engine
from agentflow.config import load_config
from agentflow.data import decode, encode
from agentflow.engine import Answer


async def main() -> None:
    """Do it."""
    folder, tool = Path(sys.argv[1]), sys.argv[2]
    answer = Answer(decode(sys.argv[3])) if len(sys.argv) > 3 else None
    config = load_config(folder / "agentflow.yaml")
    async with Engine.open(folder / "runs.db", config=config) as engine:
        run = await engine.start("call", {"tool": tool}, idempotency_key="once")
        run = await engine.wait(run.id, timeout=60)
        if run.state == "input-required" and answer is not None:
            await engine.resume(run.id, answer)
            run = await engine.wait(run.id, timeout=60)
        code = run.failure.code if run.failure is not None else None
        told = {"state": run.state, "output": run.output, "code": code}
        tell(folder / "state", encode(told))


def tell(path: Path, raw: bytes) -> None:
    """Write what the run has come to."""
    path.write_bytes(raw)


if __name__ == "__main__":
    anyio.run(main)
