"""A host in a process of its own: executes every run of the project's store until it is terminated."""

from __future__ import annotations

import signal

import anyio

from agentflow.config import load_config
from agentflow.engine import Engine


async def main() -> None:
    """Serve the project in the current folder."""
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with Engine.open(config=load_config(), grace=2.0):
            print("up", flush=True)
            async for _ in signals:
                break


if __name__ == "__main__":
    anyio.run(main)
