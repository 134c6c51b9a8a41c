"""Executes attempts in a process that holds no trees: what comes of them goes over a link to whoever does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agentflow.engine.attempt.execute import execute
from agentflow.engine.attempt.ports import Process
from agentflow.engine.attempt.remote import Link, RemotePort
from agentflow.engine.attempt.sealing import Seal
from agentflow.engine.attempt.wire import attempt_from_json, returned_to_json
from agentflow.engine.exchange import Executing, Parcel, Returned, Stopped
from agentflow.engine.failures import failed_by
from agentflow.redaction import use
from agentflow.steps.failing import is_cancellation


class WorkerLink(Link, Protocol):
    """Carries outcomes too."""

    def begun(self, key: str, lease: Executing) -> None:
        """Note how an attempt is reached that is executed from now on."""
        ...

    def returned(self, key: str, outcome: bytes) -> None:
        """Bring what an attempt came to, however long it takes."""
        ...


class Executor:
    """Implements the runtime's `Handler` for attempts as they were handed out."""

    def __init__(self, process: Process, link: WorkerLink) -> None:
        """Execute nothing yet."""
        self._process = process
        self._link = link
        self._seal = Seal(process.env, process.public_env)

    def enter(self) -> None:
        """A worker begins: whatever is cut in its task loses this agent's secrets before."""
        use(self._process.gate.redactor)

    async def perform(self, work: Parcel, lease: Executing) -> Sequence[Parcel]:
        """Execute an attempt and bring what it came to; others come over the link."""
        gate = self._process.gate
        if lease.interrupted is not None:
            returned: Returned = Stopped(lease.interrupted), None
        else:
            self._link.begun(work.key, lease)
            try:
                attempt = attempt_from_json(work.raw, self._seal)
                returned = await execute(self._process, RemotePort(self._link), attempt, lease)
            except BaseException as error:  # it is this step's failure, and nobody else's
                if is_cancellation(error):
                    raise
                returned = failed_by(gate, error), None
        self._link.returned(work.key, returned_to_json(returned, gate))
        return ()
