"""A worker in a process of its own: `python -m agentflow.testing.processes.worker SOCKET CONFIG [SLOTS]`.

The signal `SWITCH` cuts it off from the holder, the next one lets it come back, with attempts that others may have
taken over. Whoever starts it has that blocked meanwhile, if it may come before the worker is up.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import anyio

from agentflow.clock import SystemClock
from agentflow.config import load_config
from agentflow.engine.assembly import public_env, services_of
from agentflow.engine.attempt.notes import Later
from agentflow.engine.attempt.ports import Process
from agentflow.engine.attempt.worker import Executor
from agentflow.engine.exchange import Parcel
from agentflow.engine.gate import Gate
from agentflow.engine.runtime.local import LocalRuntime
from agentflow.steps.own import OwnTypes
from agentflow.testing.processes.link import SocketLink

SLOTS = 4
SWITCH = signal.SIGRTMIN
"""One of those that none is lost of."""


async def main(path: Path, file: Path, slots: int) -> None:
    """Execute what the holder hands out, whoever that is, until the process is ended."""
    config, loop, later = load_config(file), asyncio.get_running_loop(), Later(anyio.Event)
    runtime = LocalRuntime[Parcel]()
    link = SocketLink(path, slots, config.limits, lambda parcel: runtime.push([parcel]))

    def soon(call: object) -> None:
        loop.call_soon_threadsafe(call)  # pyright: ignore[reportArgumentType]  a callable, as `Process` says

    process = Process(
        Gate(config.limits, config.redactor), services_of(config, {}, {}, {}), config.env_values, public_env(config),
        OwnTypes(config.folder, config.python_modules), SystemClock().now, soon, later.add,
    )  # fmt: skip
    executor = Executor(process, link)

    async def serve(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        await runtime.serve(executor, slots=slots, task_status=task_status)

    async with anyio.create_task_group() as group:
        await group.start(serve)
        group.start_soon(later.tell)
        with anyio.open_signal_receiver(SWITCH) as signals:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {SWITCH})
            link.start()
            async for _ in signals:
                link.switch()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else SLOTS)
