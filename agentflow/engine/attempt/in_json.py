"""Executes attempts in this process as if it were another one: all that goes in and comes out does so as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentflow.engine.attempt import execute as executing
from agentflow.engine.attempt.ports import Notable, Port, Process
from agentflow.engine.attempt.received import told_from_json
from agentflow.engine.attempt.remote import RemotePort, answer, carried_out, told_to_json
from agentflow.engine.attempt.sealing import Seal
from agentflow.engine.attempt.wire import attempt_from_json, attempt_to_json, returned_from_json, returned_to_json
from agentflow.engine.exchange import Attempt, Executing, Returned
from agentflow.engine.failures import failed_by
from agentflow.engine.volume import Volume


async def execute_in_json(process: Process, port: Port, attempt: Attempt, lease: Executing) -> Returned:
    """Execute an attempt, as `execute` does."""
    seal = Seal(process.env, process.public_env, process.gate.redactor)
    try:
        there = attempt_from_json(attempt_to_json(attempt, seal), seal)
    except Exception as error:  # a field that isn't data
        return failed_by(process.gate, error), None
    returned = await executing.execute(process, RemotePort(_Loop(port)), there, lease)
    return returned_from_json(returned_to_json(returned, process.gate))


class _Loop:
    """A link that leads back into this process."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def ask(self, attempt: Attempt, call: bytes) -> bytes:
        return answer(self._port, attempt, call)

    async def call(self, attempt: Attempt, call: bytes) -> bytes:
        return await carried_out(self._port, attempt, call)

    def tell(self, attempt: Attempt, told: Notable) -> None:
        self._port.tell(attempt, _InJson(told))

    def volume(self, attempt: Attempt) -> Volume:
        return self._port.volume(attempt)


class _InJson:
    """What is told, once it is taken."""

    def __init__(self, told: Notable) -> None:
        self._told = told

    def flush(self) -> None:
        self._told.flush()

    def take(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return told_from_json(told_to_json(self._told.take()))
