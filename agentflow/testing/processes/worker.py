"""A worker in a process of its own: `python -m agentflow.testing.processes.worker SOCKET CONFIG [SLOTS]`.

The signal `SWITCH` cuts it off from the holder, the next one lets it come back, with attempts that others may have
taken over. Whoever starts it has that blocked meanwhile, if it may come before the worker is up.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio

from agentflow.clock import SystemClock
from agentflow.config import Config, load_config
from agentflow.engine.assembly import public_env, services_of
from agentflow.engine.attempt.notes import Later
from agentflow.engine.attempt.ports import Process
from agentflow.engine.attempt.worker import Executor, WorkerLink
from agentflow.engine.exchange import Parcel
from agentflow.engine.gate import Gate
from agentflow.engine.runtime.local import LocalRuntime
from agentflow.steps.contract import Services, StepType
from agentflow.steps.own import OwnTypes
from agentflow.testing.processes.link import SocketLink

SLOTS = 4
SWITCH = signal.SIGRTMIN
"""One of those that none is lost of."""


def process_of(
    config: Config, services: Services, types: Callable[[str], StepType | None], now: Callable[[], float], later: Later
) -> Process:
    """Return what this process offers to attempts."""
    loop = asyncio.get_running_loop()

    def soon(call: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(call)

    return Process(
        Gate(config.limits, config.redactor), services, config.env_values, public_env(config), types, now, soon,
        later.add, config.fed,
    )  # fmt: skip


@asynccontextmanager
async def executing(
    process: Process, link: WorkerLink, runtime: LocalRuntime[Parcel], slots: int, later: Later
) -> AsyncGenerator[None]:
    """Execute what the runtime is given, until the block ends: what is at work then is cut off."""
    async with anyio.create_task_group() as group:
        serve = partial(runtime.serve, Executor(process, link), slots=slots)
        await group.start(serve)
        group.start_soon(later.tell)
        yield
        group.cancel_scope.cancel()


async def main(path: Path, file: Path, slots: int) -> None:
    """Execute what the holder hands out, whoever that is, until the process is ended."""
    config, later, runtime = load_config(file), Later(anyio.Event), LocalRuntime[Parcel]()
    link = SocketLink(path, slots, config.limits, lambda parcel: runtime.push([parcel]))
    types = OwnTypes(config.folder, config.python_modules)
    process = process_of(config, services_of(config, {}, {}, {}), types, SystemClock().now, later)
    async with executing(process, link, runtime, slots, later):
        with anyio.open_signal_receiver(SWITCH) as signals:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {SWITCH})
            link.start()
            async for _ in signals:
                link.switch()


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else SLOTS)
