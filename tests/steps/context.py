"""A context for step types that are tested without an engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, Unpack

import anyio

from agentflow.credentials import Credentials, NotConnected
from agentflow.steps import registry
from agentflow.steps.contract import Artifact, Outcome, Result, TurnPlace
from agentflow.steps.services import ProcessServices
from agentflow.usage import Told

KEY = f"key-{os.getpid()}"
"""Marks the processes of scripts: tests that run side by side must not end each other's."""


class FakeContext:
    """Keeps what a step tells."""

    def __init__(
        self,
        services: ProcessServices | None = None,
        *,
        attempt: int = 1,
        state: Any = None,
        arrived: Any = None,
        key: str = KEY,
    ) -> None:
        self.services = services or ProcessServices()
        self.run_id = "run-1"
        self.workflow_id = "flow"
        self.address = "step"
        self.attempt = attempt
        self.tries = attempt
        self.idempotency_key = key
        self.input: Any = {}
        self.steps: Mapping[str, Any] = {}
        self.values: Mapping[str, Any] = {}
        self.env: Mapping[str, str] = {}
        self.state = state
        self.arrived = arrived
        self.turn: TurnPlace | None = None
        self.connections: Callable[[str, Credentials | None], Credentials] | None = None
        self.logs: list[tuple[str, str]] = []
        self.told: list[tuple[float | None, str]] = []
        self.artifacts: list[Artifact] = []
        self.drained = 0
        self.saved: list[Any] = []
        self.saving = anyio.Event()
        self.used: list[Told] = []
        self.messages: list[tuple[list[Mapping[str, Any]], Mapping[str, Any] | None]] = []
        self.statuses: list[str] = []
        self.published: list[tuple[str, Any, str | None]] = []
        self.reached = 0
        """How many waits an event reaches."""

    @property
    def cancel_scope(self) -> anyio.CancelScope:
        return anyio.CancelScope()

    def now(self) -> float:
        return 1_800_000_000.0

    def secret(self, name: str) -> str | None:
        return self.services.secret(name)

    async def credentials(
        self, connection: str, *, scopes: Collection[str] = (), refused: Credentials | None = None
    ) -> Credentials:
        if self.connections is None:
            raise NotConnected(connection, "unknown")
        return self.connections(connection, refused)

    def progress(self, fraction: float | None, message: str = "") -> None:
        self.told.append((fraction, message))

    def log(self, text: str, level: str = "info") -> None:
        self.logs.append((level, text))

    def usage(self, **told: Unpack[Told]) -> None:
        self.used.append(told)

    @property
    def told_usage(self) -> bool:
        return bool(self.used)

    async def drain(self) -> None:
        self.drained += 1

    def heartbeat(self) -> None:
        pass

    async def artifact(self, artifact: Artifact) -> None:
        self.artifacts.append(artifact)

    def message(self, parts: list[Mapping[str, Any]], metadata: Mapping[str, Any] | None = None) -> None:
        self.messages.append((parts, metadata))

    def status(self, text: str) -> None:
        self.statuses.append(text)

    async def save(self, state: Any) -> None:
        self.saved.append(state)
        self.saving.set()

    async def publish(self, topic: str, data: Any, event_id: str | None = None) -> int:
        self.published.append((topic, data, event_id))
        return self.reached

    async def call_tool(self, name: str, input: Any = None, *, server: str | None = None) -> Any:  # noqa: A002  named as in YAML
        return None


async def enter(type_name: str, config: Mapping[str, Any], ctx: FakeContext) -> Outcome:
    """Execute a step of a type as the engine does: validate its rendered fields, then run it."""
    spec = registry.find(type_name)
    assert spec is not None
    assert spec.execute is not None
    return await spec.execute(spec.config.model_validate(dict(config)), ctx)


async def run(type_name: str, config: Mapping[str, Any], ctx: FakeContext | None = None) -> Any:
    """Execute a step that completes, and return its result."""
    outcome = await enter(type_name, config, ctx or FakeContext())
    assert isinstance(outcome, Result)
    return outcome.value
