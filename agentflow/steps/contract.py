"""What a step type is, what it is given and what it may answer.

A *leaf* type has an async `execute(config, ctx)`. A *prompt* type (waits, delays) has a pure `prompt(config, ctx)` that
the planner calls: it takes no slot and needs no worker. A *container* holds other steps and is expanded by the planner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, Unpack

from pydantic import BaseModel

from agentflow.credentials import Connecting
from agentflow.steps.waits import EventWait, Timer, Wait
from agentflow.usage import Prices, Told

if TYPE_CHECKING:
    import anyio


@dataclass(frozen=True, slots=True)
class Result:
    """The step is completed."""

    value: Any = None
    artifacts: tuple[Artifact, ...] = ()
    """They are added to the run's task in the commit of the completion."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The step is skipped, and counts as satisfied."""

    reason: str = "condition"


@dataclass(frozen=True, slots=True)
class Park:
    """The step waits. What arrives is its result, or, with `then="enter"`, the step is entered again with `state`.

    With `then="answer"` it is entered with what was answered as it was: `{"value": …}`, or `{"decline": why}`; with
    `{"timeout": true}` when nobody has answered in time and there is no default.
    """

    on: Wait | Timer | EventWait
    state: Any = None
    then: Literal["result", "enter", "answer"] = "result"


Outcome: TypeAlias = Result | Skip | Park


class Handle(dict[str, Any]):
    """State that agentflow makes itself, such as a process's number: that its digits are a secret's is chance."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something a step adds to the run's task."""

    artifact_id: str
    name: str | None = None
    description: str | None = None
    parts: tuple[Mapping[str, Any], ...] = ()
    """A2A parts: `{"text": …}`, `{"data": …}`, `{"url": …, "mediaType": …}`, `{"raw": base64, "mediaType": …}`."""
    append: bool = False
    last_chunk: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


class TurnPlace(NamedTuple):
    """Where a turn of an agent stands among the tasks of all agents."""

    task: str
    """Its own task: the same after a crash, another one after a retry."""
    root: str
    """The task of the outermost run here."""
    depth: int = 0
    """How many agents have asked one another until that run was started."""


class Services(Protocol):
    """What the process offers to steps: one instance for all runs of an engine."""

    def python(self, target: str) -> Callable[..., Any]:
        """Return the function `module:function`; raises StepError when it isn't allowed or isn't there."""
        ...

    def secret(self, name: str) -> str | None:
        """Return a value of the config's `env`, or None."""
        ...

    prices: Prices
    """What tokens of models cost."""


class Context(Connecting, Protocol):
    """What a running step is given."""

    @property
    def run_id(self) -> str:
        """Id of the run."""
        ...

    @property
    def workflow_id(self) -> str:
        """Id of the workflow."""
        ...

    @property
    def address(self) -> str:
        """The step's address inside its run, such as `fetch[3]/get`."""
        ...

    @property
    def attempt(self) -> int:
        """How often the step was started, this time included; crashes count."""
        ...

    @property
    def tries(self) -> int:
        """How often it was tried as retry policies count: crashes don't."""
        ...

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step of this run."""
        ...

    @property
    def input(self) -> Any:
        """The run's input."""
        ...

    @property
    def steps(self) -> Mapping[str, Any]:
        """Results of earlier steps visible from here, by id."""
        ...

    @property
    def values(self) -> Mapping[str, Any]:
        """The step's `with`, computed."""
        ...

    @property
    def env(self) -> Mapping[str, str]:
        """The public part of the config's `env`."""
        ...

    @property
    def state(self) -> Any:
        """What the step gave to `Park(state=…)` or `save`; None in a first entry and after a retry."""
        ...

    @property
    def arrived(self) -> Any:
        """What arrived for a parked step: the answer, the event's data; None for a timer."""
        ...

    @property
    def turn(self) -> TurnPlace | None:
        """Of a step that is a turn of an agent: where it stands; None of others."""
        ...

    @property
    def services(self) -> Services:
        """What the process offers: functions, tools, agents, HTTP, secrets."""
        ...

    @property
    def cancel_scope(self) -> anyio.CancelScope:
        """The scope that a timeout or a cancel of this attempt cancels."""
        ...

    def now(self) -> float:
        """Return the engine's time, in seconds since the epoch."""
        ...

    def secret(self, name: str) -> str | None:
        """Return a value of the config's `env` by name."""
        ...

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Tell how far the step is (0 to 1). Told soon, stored with the next commit."""
        ...

    def log(self, text: str, level: str = "info") -> None:
        """Add a line to the step's log."""
        ...

    def usage(self, **told: Unpack[Told]) -> None:
        """Tell what calls of a model have used: counted at once, whatever becomes of the step."""
        ...

    @property
    def told_usage(self) -> bool:
        """Whether this entry of the step has told any usage."""
        ...

    async def drain(self) -> None:
        """Wait, after many lines of the log, until there is room for more: else a flood of them is left out."""
        ...

    def heartbeat(self) -> None:
        """Say that the step is alive, where a runtime wants to hear it."""
        ...

    async def artifact(self, artifact: Artifact) -> None:
        """Add an artifact, or a chunk of one, to the run's task: committed when this returns, shown at once."""
        ...

    def message(self, parts: list[Mapping[str, Any]], metadata: Mapping[str, Any] | None = None) -> None:
        """Send a message of the run's agent, in the commit of the step's completion."""
        ...

    def status(self, text: str) -> None:
        """Set the run's status message, in the commit of the step's completion."""
        ...

    async def save(self, state: Any) -> None:
        """Commit a checkpoint inside the attempt: an attempt after a crash finds it as `state`."""
        ...

    async def publish(self, topic: str, data: Any, event_id: str | None = None) -> int:
        """Publish an event; returns how many waits it reached."""
        ...

    async def call_tool(self, name: str, input: Mapping[str, Any] | None = None, *, server: str | None = None) -> Any:  # noqa: A002  named as in YAML
        """Call a tool of the config, an agent's turn one of its step's `tools`; raises StepError."""
        ...


Execute: TypeAlias = Callable[[Any, Context], Awaitable[Outcome]]


class PromptContext(Protocol):
    """What a prompt type sees: no I/O, only what the planner knows."""

    @property
    def address(self) -> str:
        """The step's address."""
        ...

    def now(self) -> float:
        """Return the engine's time."""
        ...


Prompt: TypeAlias = Callable[[Any, PromptContext], Outcome]


@dataclass(frozen=True, slots=True)
class BodyField:
    """A field of a container that holds steps."""

    name: str
    shape: Literal["steps", "step_or_steps", "cases"]
    """`steps`: a list; `step_or_steps`: one step body or a list; `cases`: a list of `{when, steps}`."""
    required: bool = False


Withdraw: TypeAlias = Callable[[Any, Services], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StepType:
    """One step type: its name, the model of its fields, and what it does."""

    name: str
    config: type[BaseModel]
    """Fields of the type, without the common ones and without nested steps. `extra="forbid"`."""
    summary: str = ""
    execute: Execute | None = None
    prompt: Prompt | None = None
    container: object | None = None
    """A container's expansion; see `agentflow.steps.containers`."""
    bodies: tuple[BodyField, ...] = ()
    skills: tuple[str, ...] = ()
    """Native skills that every step of the type needs, such as `native:shell`."""
    conditions: tuple[str, ...] = ()
    """Config fields that hold a condition: compiled as such, not rendered."""
    raw: tuple[str, ...] = ()
    """Config fields that are not templates at all."""
    outbound: tuple[str, ...] = ()
    """Config fields that leave the process on purpose and may hold secrets."""
    timeout: float | None = None
    """Default timeout of an attempt, in seconds."""
    whole_timeout: bool = False
    """The timeout counts the whole time of the step, its waiting included."""
    takes_input: bool = False
    """Has a field `input`, which is the step's `with` where the step gives none."""
    unsafe: bool = False
    """Has effects outside: told before a retry repeats it."""
    spends: bool = False  # money or tokens: a budget may hold it back
    pure: bool = False
    """Only computes a value of its fields, at once: it may be executed before its beginning is committed."""
    turns: bool = False
    """Its attempts are turns of an agent: each is a task of its own, with what is asked and answered as messages."""
    reap: Callable[[Any], None] | None = None
    """Ends what an attempt of a dead host left behind, given the attempt's saved state. Must be quick."""
    withdraw: Withdraw | None = None
    """Takes back what a step has asked for elsewhere, given its last state, when it ends without having got it."""


class ToolProvider(Protocol):
    """Calls tools by name. Python functions are built in; MCP servers come as providers."""

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call a tool and return its structured content, else its text; or `Park`, to be called again later.

        It finds what it has parked with, or saved, as `ctx.state`: an object with its own name as `server`.

        Raises LookupError: there is no such tool here. StepError: the tool failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """What an agent is asked in one turn."""

    agent: str
    prompt: Any
    input: Any = None
    tools: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    model: str | None = None
    max_iterations: int | None = None


@dataclass(frozen=True, slots=True)
class AgentAsks:
    """The agent needs an answer before it goes on: the step parks on `wait`, then `answer` is called with `state`."""

    wait: Wait
    state: Any = None


class AgentProvider(Protocol):
    """Runs agents' turns. Python callables are built in; A2A agents come as providers."""

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        """Run one turn and return the agent's data or text, or what it asks."""
        ...

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        """Go on with a turn that asked."""
        ...
