"""What a running step is given, and what it leaves for the commit of its completion."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Unpack

import anyio

from agentflow.credentials import Credentials, NotConnected
from agentflow.data import copied
from agentflow.engine.attempt.calls import Call, Calls
from agentflow.engine.attempt.notes import Notes
from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.attempt.printed import FIRST, Printed
from agentflow.engine.attempt.spending import Spending, read
from agentflow.engine.authorising import scopes_of
from agentflow.engine.exchange import Attempt, Chunk, Executing, Left
from agentflow.engine.gate import ARTIFACT, FIELD, MESSAGE, PUBLISHED, STATE
from agentflow.engine.suspended import beside
from agentflow.errors import StepError
from agentflow.steps.contract import Artifact, Park, Services, TurnPlace
from agentflow.steps.failing import Asked
from agentflow.steps.tool_gates import ToolGate
from agentflow.usage import Told


class StepContext:
    """The context of one attempt."""

    __slots__ = (
        "_attempt", "_given", "_lease", "_made", "_port", "_printed", "_process", "_spent", "_told", "artifacts",
        "messages", "state", "status_text",
    )  # fmt: skip

    def __init__(self, process: Process, port: Port, attempt: Attempt, lease: Executing) -> None:
        """Make the context of an attempt that begins now."""
        self._process = process
        self._port = port
        self._attempt = attempt
        self._lease = lease
        self._printed: Printed | None = None
        self._told: Notes | None = None
        self._spent: Spending | None = None
        self._made: Calls | None = None
        self._given: set[str] | None = None
        """Names of artifacts that this attempt has delivered chunks of."""
        self.artifacts: Sequence[Chunk] = ()
        """Those that come with the step's result."""
        self.messages: list[dict[str, Any]] | None = None
        self.status_text: str | None = None
        self.state: Any = attempt.saved
        """What was saved or given to a park."""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self._attempt.run_id

    @property
    def workflow_id(self) -> str:
        """Id of the workflow."""
        return self._attempt.workflow

    @property
    def address(self) -> str:
        """The step's address."""
        return self._attempt.address

    @property
    def attempt(self) -> int:
        """How often the step was started."""
        return self._attempt.attempt

    @property
    def tries(self) -> int:
        """How often it was tried."""
        return self._attempt.tries

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt, until the step is compensated."""
        return self._attempt.idempotency_key

    @property
    def input(self) -> Any:
        """The run's input."""
        return copied(self._port.input(self._attempt))

    @property
    def steps(self) -> Mapping[str, Any]:
        """Results of earlier steps."""
        return StepResults(self._port, self._attempt)

    @property
    def values(self) -> Mapping[str, Any]:
        """The step's `with`."""
        return copied(self._attempt.values or {})

    @property
    def env(self) -> Mapping[str, str]:
        """The public part of `env`."""
        return self._process.public_env

    @property
    def arrived(self) -> Any:
        """What arrived for a parked step."""
        return self._attempt.arrived

    @property
    def turn(self) -> TurnPlace | None:
        """Where the turn stands that the step is."""
        return self._attempt.turn

    @property
    def services(self) -> Services:
        """What the process offers."""
        return self._process.services

    @property
    def cancel_scope(self) -> anyio.CancelScope:
        """The scope of this attempt."""
        return self._lease.scope

    def now(self) -> float:
        """Return the engine's time."""
        return self._process.now()

    def secret(self, name: str) -> str | None:
        """Return a value of `env` by name."""
        value = self._process.env.get(name)
        if value is not None and value in self._process.fed:
            raise StepError(
                f'"{name}" is the token of a connection, which has to be asked for', code="AF-REF-ENV", retryable=False,
                kind="invalid", hint=f'await ctx.credentials("{self._process.fed[value]}")',
            )  # fmt: skip
        return value

    async def credentials(
        self, connection: str, *, scopes: Collection[str] = (), refused: Credentials | None = None
    ) -> Credentials:
        """Return the owner's credentials for a connection."""
        wanted = tuple(dict.fromkeys((*scopes_of(self._attempt.needs, connection), *scopes)))
        try:
            found = await self._port.credentials(self._attempt, connection, wanted, refused)
        except NotConnected as lack:
            lack.service, lack.scopes = connection, wanted or lack.scopes
            raise
        self._process.gate.learn(found)
        return found

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Tell how far the step is."""
        self._notes.progress(self._process.gate.data(fraction, FIELD), str(message))

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the step's log."""
        self._notes.log(str(text), str(level))

    def usage(self, **told: Unpack[Told]) -> None:
        """Tell what calls of a model have used."""
        name, used = read(self._process, told)
        if self._spent is None:
            self._spent = Spending(self._port, self._attempt)
        self._spent.add(name, used)

    @property
    def told_usage(self) -> bool:
        """Whether it has told any."""
        return self._spent is not None

    async def drain(self) -> None:
        """Wait until more may be told, after a lot was."""
        await self._notes.drain()

    @property
    def _notes(self) -> Notes:
        if self._told is None:
            self._told = Notes(self._process, self._port, self._attempt)
        return self._told

    def printed(self, text: str) -> bool:
        """Take what the step's code printed into its log; False when the attempt has ended. Safe in any thread."""
        gathered = self._printed
        if gathered is None:
            with FIRST:
                gathered = self._printed or Printed(
                    lambda lines: self.log(lines, "stdout"), self._process.soon, self._process.gate.redactor
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
        """Say that the step is alive: who executes it knows by itself."""

    async def artifact(self, artifact: Artifact) -> None:
        """Commit an artifact, or a chunk of one, at once."""
        chunk, given = self.chunk(artifact), self._given
        if given is None:
            given = self._given = set()
        attempt = self._attempt
        if chunk.append and chunk.name not in given and attempt.attempt > 1 and not attempt.goes_on:
            chunk = chunk._replace(anew=True)  # this attempt begins from the start, and gives all of it again
        await self._port.deliver(attempt, chunk)
        given.add(chunk.name)

    def chunk(self, artifact: Artifact) -> Chunk:
        """Return an artifact as it is stored."""
        data = {
            "artifactId": artifact.artifact_id, "name": artifact.name, "description": artifact.description,
            "parts": [dict(part) for part in artifact.parts], "metadata": dict(artifact.metadata),
        }  # fmt: skip
        raw = self._process.gate.encoded({k: v for k, v in data.items() if v not in (None, {})}, ARTIFACT)
        return Chunk(self._process.gate.text(artifact.artifact_id), artifact.append, artifact.last_chunk, raw)

    def message(self, parts: list[Mapping[str, Any]], metadata: Mapping[str, Any] | None = None) -> None:
        """Send a message."""
        message = {"role": "agent", "parts": [dict(part) for part in parts], "metadata": dict(metadata or {})}
        self.messages = [*(self.messages or []), self._process.gate.data(message, MESSAGE)]

    def status(self, text: str) -> None:
        """Set the run's status message."""
        self.status_text = self._process.gate.text(text)

    async def save(self, state: Any) -> None:
        """Commit a checkpoint inside the attempt."""
        state = self._process.gate.data(state, STATE)
        if self.asked is not None:
            raise Asked
        await self._port.save(self._attempt, self.beside(state))
        self.state = state

    async def publish(self, topic: str, data: Any, event_id: str | None = None) -> int:
        """Publish an event."""
        gate = self._process.gate
        data = gate.data(data, PUBLISHED)
        gate.encoded([topic, event_id], PUBLISHED)
        gate.without_secrets([topic, event_id], "the topic or id of an event")
        return await self._port.publish(self._attempt, topic, data, event_id)

    async def call_tool(self, name: str, input: Mapping[str, Any] | None = None, *, server: str | None = None) -> Any:  # noqa: A002  named as in YAML
        """Call a tool of the config."""
        from agentflow.steps.calling import call_tool  # noqa: PLC0415  only steps that call tools need it

        allowed = self._attempt.config.get("tools", ()) if self._attempt.type == "agent_run" else None
        return await call_tool(self, name, input or {}, server, self.calls, allowed)

    async def approved(
        self, gate: ToolGate, tool: str, server: str | None, arguments: Mapping[str, Any], call: Call | None = None
    ) -> Mapping[str, Any]:
        """Return the arguments of a call as they were approved, or have the attempt wait."""
        return await self.calls.approved(call, gate, tool, server, arguments, self.state)

    @property
    def calls(self) -> Calls:
        """The calls of tools that it makes."""
        if self._made is None:
            self._made = Calls(self._attempt, self._process.gate, gated=self._process.asks)
        return self._made

    @property
    def asked(self) -> Park | None:
        """What the attempt has to wait for, whatever its code makes of it."""
        return self._made.asked if self._made is not None else None

    @property
    def halted(self) -> Attempt:
        """The attempt as it goes on later: with what it has saved until now."""
        calls = self._made.kept() if self._made is not None else self._attempt.calls
        return self._attempt._replace(saved=self.state, calls=calls)

    def beside(self, state: Any) -> Any:
        """Return a state that the step leaves, with the calls that it has made until then."""
        if self._made is None:
            return beside(state, self._attempt.calls)
        self._made.settle()
        return beside(state, self._made.kept())

    @property
    def left(self) -> Left | None:
        """What the step left for the commit of its outcome."""
        if not self.artifacts and self.messages is None and self.status_text is None:
            return self.spent
        used = self._spent.models if self._spent is not None else None
        return Left(self.artifacts, self.messages or (), self.status_text, used, self._attempt.entry)

    @property
    def spent(self) -> Left | None:
        """What it leaves whatever has become of it."""
        return None if self._spent is None else Left(used=self._spent.models, entry=self._attempt.entry)


class StepResults(Mapping[str, Any]):
    """Results of the steps that are visible from a step, by id."""

    def __init__(self, port: Port, attempt: Attempt) -> None:
        """Look through a port."""
        self._port = port
        self._attempt = attempt

    def __getitem__(self, key: str) -> Any:
        """Return a result; null where the step was skipped."""
        return copied(self._port.result(self._attempt, key))

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of steps that have ended."""
        return iter(self._port.ended(self._attempt))

    def __len__(self) -> int:
        """Count them."""
        return len(self._port.ended(self._attempt))
