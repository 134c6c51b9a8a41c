"""What a running step is given, and what it leaves for the commit of its completion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import anyio

from agentflow.data import copied
from agentflow.engine.attempt.notes import Notes
from agentflow.engine.attempt.ports import AttemptPort
from agentflow.engine.attempt.printed import FIRST, Printed
from agentflow.engine.gate import ARTIFACT, FIELD, MESSAGE, STATE
from agentflow.engine.plan.commands import Left
from agentflow.engine.plan.state import Node, RunState
from agentflow.engine.plan.view import NodeView
from agentflow.engine.runtime.base import WorkLease
from agentflow.expressions import NULLED
from agentflow.steps.contract import Artifact, Services


class StepContext:
    """The context of one attempt."""

    __slots__ = ("_lease", "_node", "_port", "_printed", "_run", "_told", "artifacts", "messages", "status_text")

    def __init__(self, port: AttemptPort, run: RunState, node: Node, lease: WorkLease) -> None:
        """Make the context of an attempt that begins now."""
        self._port = port
        self._run = run
        self._node = node
        self._lease = lease
        self._printed: Printed | None = None
        self._told: Notes | None = None
        self.artifacts: list[tuple[Artifact, bytes]] | None = None
        """With what is stored of them."""
        self.messages: list[dict[str, Any]] | None = None
        self.status_text: str | None = None

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._run.id

    @property
    def workflow_id(self) -> str:
        """Id of the workflow."""
        return self._run.row.workflow

    @property
    def address(self) -> str:
        """The step's address."""
        return self._node.address

    @property
    def attempt(self) -> int:
        """How often the step was started."""
        return self._node.attempt

    @property
    def tries(self) -> int:
        """How often it was tried."""
        return self._node.tries

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt, until the step is compensated."""
        undone, scope = self._node.undone, self._node.scope
        while scope is not None:  # what undoes a step, or is inside it, is a new thing too
            undone += scope.owner.undone
            scope = scope.owner.scope
        text = f"{self._run.id}/{self._node.address}/{undone}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def input(self) -> Any:
        """The run's input."""
        return copied(self._run.input)

    @property
    def steps(self) -> Mapping[str, Any]:
        """Results of earlier steps."""
        return StepResults(self._run, self._node)

    @property
    def values(self) -> Mapping[str, Any]:
        """The step's `with`."""
        return copied(self._node.values or {})

    @property
    def env(self) -> Mapping[str, str]:
        """The public part of `env`."""
        return self._port.public_env

    @property
    def state(self) -> Any:
        """What was saved or given to a park."""
        memo = self._node.memo or {}
        if "saved" in memo:
            return memo["saved"]
        return memo.get("park", {}).get("state")

    @property
    def arrived(self) -> Any:
        """What arrived for a parked step."""
        return self._node.arrived

    @property
    def services(self) -> Services:
        """What the process offers."""
        return self._port.services

    @property
    def cancel_scope(self) -> anyio.CancelScope:
        """The scope of this attempt."""
        return self._lease.scope

    def now(self) -> float:
        """Return the engine's time."""
        return self._port.now()

    def secret(self, name: str) -> str | None:
        """Return a value of `env` by name."""
        return self._port.env.get(name)

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Tell how far the step is."""
        self._notes.progress(self._port.gate.data(fraction, FIELD), str(message))

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the step's log."""
        self._notes.log(str(text), str(level))

    async def drain(self) -> None:
        """Wait until more may be told, after a lot was."""
        await self._notes.drain()

    @property
    def _notes(self) -> Notes:
        if self._told is None:
            self._told = Notes(self._port, self._run, self._node)
        return self._told

    def printed(self, text: str) -> bool:
        """Take what the step's code printed into its log; False when the attempt has ended. Safe in any thread."""
        gathered = self._printed
        if gathered is None:
            with FIRST:
                gathered = self._printed or Printed(
                    lambda lines: self.log(lines, "stdout"), self._port.soon, self._port.gate.redactor
                )
                self._printed = gathered
        return gathered.write(text)

    def end(self) -> None:
        """Note that the step's code has ended: what it told goes into the log before what it came to."""
        if self._printed is not None:
            self._printed.end()
        if self._told is not None:
            self._told.close()

    def heartbeat(self) -> None:
        """Say that the step is alive: the embedded runtime needs no telling."""

    def artifact(self, artifact: Artifact) -> None:
        """Add an artifact."""
        data = {
            "artifactId": artifact.artifact_id, "name": artifact.name, "description": artifact.description,
            "parts": [dict(part) for part in artifact.parts], "metadata": dict(artifact.metadata),
        }  # fmt: skip
        raw = self._port.gate.encoded({k: v for k, v in data.items() if v not in (None, {})}, ARTIFACT)
        self.artifacts = [*(self.artifacts or []), (artifact, raw)]

    def message(self, parts: list[Mapping[str, Any]], metadata: Mapping[str, Any] | None = None) -> None:
        """Send a message."""
        message = {"role": "agent", "parts": [dict(part) for part in parts], "metadata": dict(metadata or {})}
        self.messages = [*(self.messages or []), self._port.gate.data(message, MESSAGE)]

    def status(self, text: str) -> None:
        """Set the run's status message."""
        self.status_text = self._port.gate.text(text)

    async def save(self, state: Any) -> None:
        """Commit a checkpoint inside the attempt."""
        await self._port.save_state(self._run, self._node, self._port.gate.data(state, STATE))

    async def publish(self, topic: str, data: Any, event_id: str | None = None) -> int:
        """Publish an event."""
        return await self._port.publish(topic, data, event_id, self._run.row.owner)

    @property
    def left(self) -> Left | None:
        """What the step left for the commit of its outcome."""
        if self.artifacts is None and self.messages is None and self.status_text is None:
            return None
        gate = self._port.gate
        artifacts = [(gate.text(one.artifact_id), one.append, one.last_chunk, raw) for one, raw in self.artifacts or ()]
        return Left(artifacts, self.messages or (), self.status_text)


class StepResults(Mapping[str, Any]):
    """Results of the steps that are visible from a step, by id."""

    def __init__(self, run: RunState, node: Node) -> None:
        """Look outwards from a step."""
        self._view = NodeView(run, node.scope)
        self._scope = node.scope

    def __getitem__(self, key: str) -> Any:
        """Return a result; null where the step was skipped."""
        value = self._view.step(key)
        return None if value is NULLED else copied(value)

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of steps that have ended."""
        scope = self._scope
        while scope is not None:
            for number, node in scope.nodes.items():
                if node.settled:
                    yield scope.program.steps[number].id
            scope = scope.owner.scope

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)
