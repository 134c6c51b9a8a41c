"""A host in a process of its own that answers every open wait with its own name, as soon as the file `go` is there."""

from __future__ import annotations

import os
import random
import signal
import sys

import anyio

from agentflow.config import load_config
from agentflow.engine import Answer, Engine
from agentflow.errors import ConflictError

AT_ONCE = 20


async def main(name: str) -> None:
    """Serve the project in the current folder, and print what became of each answer."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with Engine.open(config=load_config(), grace=2.0) as engine:
            print("up", flush=True)
            while "go" not in os.listdir():  # noqa: ASYNC110  a file tells nobody that it is there
                await anyio.sleep(0.001)
            waits = [view.id for view in await engine.waits()]
            random.shuffle(waits)

            async def answer(share: list[str]) -> None:
                for wait in share:
                    try:
                        await engine.resume(wait, Answer({"by": name}))
                    except ConflictError as error:
                        print(wait, error.code, flush=True)
                    else:
                        print(wait, "accepted", flush=True)

            async with anyio.create_task_group() as group:
                for number in range(AT_ONCE):
                    group.start_soon(answer, waits[number::AT_ONCE])
            print("through", flush=True)
            async for _ in signals:
                break


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
