"""What a workflow is: the models behind YAML, JSON and Python objects alike. No run state, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    model_validator,
)

from agentflow.data import is_object
from agentflow.definition.base import Duration, Model
from agentflow.definition.budget import Budget, Estimate
from agentflow.definition.gates import Approve, Review
from agentflow.definition.given import bare_name, function_name
from agentflow.definition.starts import Checkpointing, EntryPoint, SharedKey, Trigger
from agentflow.definition.type_schema import with_types

Execution = Literal["sequential", "parallel"]
OnError = Literal["fail", "continue", "retry", "suspend"]
OnErrorSiblings = Literal["finish", "cancel", "continue"]


_SCHEMAS = frozenset({"input", "input_schema", "output_schema"})


def _several(value: Any) -> Any:
    if isinstance(value, BaseModel) or callable(value):
        return tuple(as_steps(value))
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return tuple(step for one in cast("Iterable[Any]", value) for step in as_steps(one))
    return cast("Any", value)


def as_steps(value: Any) -> tuple[Any, ...]:
    """Return what stands where a step may stand: a function as a step that calls it, a decision with what decides."""
    if isinstance(value, type) or not callable(value):
        return value.all if isinstance(value, DecidedStep) else (value,)
    make = getattr(value, "__step__", None)
    if make is not None:
        return (make(),)
    name = bare_name(value)
    return (GivenStep.of(Step(id=name, type="python", config={"function": function_name(name, value)}), value),)


def _offered(value: Any) -> Any:
    return {"expose": value} if isinstance(value, bool) else value


def _kept(value: Sequence[Any]) -> tuple[Any, ...]:
    """Return a sequence as a tuple; of `tuple` itself pydantic would read a signature first, for milliseconds."""
    return tuple(value)


Steps = Annotated[Sequence["Step"], BeforeValidator(_several), AfterValidator(_kept)]
"""Steps in order: one step, or any sequence of them, kept as a tuple."""


class RetryPolicy(Model):
    """When and how often a failed attempt is repeated."""

    max_attempts: int = Field(default=3, ge=1)
    """Attempts in all, the first included."""
    backoff: Literal["fixed", "linear", "exponential"] = "exponential"
    """How the pause grows from one attempt to the next."""
    base: Duration = 1.0
    """The first pause."""
    max: Duration = 300.0
    """No pause is longer, jitter apart."""
    jitter: Duration = 0.0
    """A random time up to this is added to each pause."""
    on: tuple[str, ...] = ()
    """Kinds (`network`, `timeout`, `http`, `exit`, `exception`, `all`) or codes (`AF-…`) that are repeated."""


class Requirement(Model):
    """What a step needs: a native skill (`native:shell`) or a connection (`google:drive`)."""

    skill: str
    """`native:<skill>` or `<provider>:<service>`."""
    permissions: tuple[str, ...] = ()
    """Scopes that the connection must have been granted."""
    on_missing: Literal["ask", "fail"] = "ask"
    """Without the connection the step waits until somebody has signed in, or fails."""
    config: dict[str, Any] | None = None
    """Anything the provider wants to know."""

    @property
    def namespace(self) -> str:
        """`native`, or the provider."""
        return self.skill.partition(":")[0]

    @property
    def name(self) -> str:
        """The part after the colon."""
        return self.skill.partition(":")[2]

    @property
    def is_native(self) -> bool:
        """Whether it is a native skill."""
        return self.namespace == "native"


class Concurrency(Model):
    """A limit over all runs of a store, by key."""

    key: str
    """What is limited; may be a template."""
    limit: int = Field(ge=1)
    """How many steps with this key run at once."""


class ForEachField(Model):
    """`for_each` as a field: runs the step once an item."""

    in_: Any = Field(validation_alias="in", serialization_alias="in")
    """A template that gives a list, or a list."""
    max_parallel: int | None = Field(default=None, ge=1)
    """How many items at once; default: the run's limit."""
    item: str = "item"
    """Name under which templates see the item."""
    index: str = "index"
    """Name under which templates see the item's number, from 0."""


class Body(Model):
    """Steps nested in a step."""

    steps: Steps
    single: bool = False
    """True: one step, whose result is the body's result; False: a list, which gives a map of results."""


class Step(Model):
    """One node of a workflow: the fields common to all types, and the type's own in `config` and `bodies`."""

    id: str
    """Unique in its scope."""
    type: str
    """What the step does; see the step types."""
    label: str | None = None
    """Name for people; default: the id."""
    depends_on: tuple[str, ...] = ()
    """Ids of siblings that must be completed or skipped first."""
    depends_on_any: tuple[str, ...] = ()
    """Ids of siblings of which the first completed one is enough."""
    execution: Execution | None = None
    """Order without explicit dependencies: `sequential` waits for all above, `parallel` for all above its block."""
    requires: tuple[Requirement, ...] = ()
    """Native skills and connections that the step needs."""
    with_: dict[str, Any] | None = Field(default=None, validation_alias="with", serialization_alias="with")
    """Values computed first, visible as `{with.x}`; the input of types that take one and have none."""
    if_: Any = Field(default=None, validation_alias="if", serialization_alias="if")
    """Condition: the step runs when it is true, else it is skipped."""
    skip_if: Any = None
    """Condition: the step is skipped when it is true."""
    retry: RetryPolicy | None = None
    """How failed attempts are repeated."""
    timeout: Duration | None = None
    """Longest time of one attempt, open waits not counted; of a wait: the whole time."""
    on_error: OnError | None = None
    """What a final failure does: `fail` the scope, `continue`, `retry` for ever, `suspend` for an operator."""
    delay: Any = None
    """Pause before the step, a duration or a template."""
    at: Any = None
    """Earliest time of the step, ISO 8601 or a template; a `delay` is added to it."""
    for_each: ForEachField | None = None
    """Runs the step once an item; the result is the list of results."""
    concurrency: Concurrency | None = None
    """Limit over all runs of the store, by key."""
    update: dict[str, Any] | None = None
    """Shared keys written when the step completes: name → template."""
    compensate: Body | None = None
    """Undoes the completed step when a saga around it fails."""
    estimate: Estimate | None = None
    """What an attempt is expected to use, for the budget."""
    at_most_once: bool = False
    """After a crash in its middle the step fails instead of running again."""
    on_interrupted: Literal["fail", "ask"] = "fail"
    """Of a step that runs at most once: after such a crash it fails, or an operator says what has become of it."""
    approve: Approve | None = None
    """Somebody approves the step before it begins."""
    review: Review | None = None
    """Somebody accepts what the step has given, changes it, or sends it back."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Of a container or loop: how many of its steps or items run at once."""
    on_error_siblings: OnErrorSiblings | None = None
    """Of a container: what a failure inside does to the other steps inside."""
    on_success: Steps = ()
    """Of a container: steps that run after its success."""
    on_failure: Steps = ()
    """Of a container: steps that run after its failure."""
    finally_: Steps = Field(default=(), validation_alias="finally", serialization_alias="finally")
    """Of a container: steps that run at its end, whatever the end."""
    config: dict[str, Any] = Field(default_factory=dict[str, Any])
    """The type's own fields, templates not yet rendered."""
    bodies: dict[str, Body] = Field(default_factory=dict[str, Body])
    """Nested steps of a container by body key: `steps`, `if_true`, `if_false`, `case[0]`, `default`, `body`."""

    @property
    def name(self) -> str:
        """The label, or the id."""
        return self.label or self.id


class GivenStep(Step, defer_build=True):
    """A step that calls a function which was given as an object: whoever gave it allows it."""

    _function: Callable[..., Any] | None = PrivateAttr(default=None)

    @property
    def function(self) -> Callable[..., Any] | None:
        """The function."""
        return self._function

    @classmethod
    def of(cls, step: Step, function: Callable[..., Any]) -> GivenStep:
        """Return a step together with its function."""
        made = cls.model_construct(**{name: getattr(step, name) for name in step.model_fields_set})
        made._function = function
        return made


class DecidedStep(Step, defer_build=True):
    """A step whose decision a function takes: a step of its own, right before it."""

    _all: tuple[Step, ...] = PrivateAttr(default=())

    @property
    def all(self) -> tuple[Step, ...]:
        """The step that decides, and the one that follows it."""
        return self._all

    @classmethod
    def of(cls, step: Step, before: Step) -> DecidedStep:
        """Return a step together with what decides it."""
        made = cls.model_construct(**{name: getattr(step, name) for name in step.model_fields_set})
        made._all = (before, step)
        return made


StepLike: TypeAlias = Step | Callable[..., Any]
"""What may stand where a step stands: a step, or a function that needs nothing but its context."""


class Defaults(Model):
    """Values for steps that don't say otherwise."""

    retry: RetryPolicy | None = None
    """Retry policy of steps without one; not of `at_most_once` steps."""
    timeout: Duration | None = None
    """Timeout of steps without one."""
    on_error: OnError | None = None
    """`on_error` of steps without one."""
    on_error_siblings: OnErrorSiblings | None = None
    """`on_error_siblings` of the workflow and of containers without one."""
    execution: Execution | None = None
    """`execution` of steps without one."""


class McpSettings(Model):
    """How the workflow is offered to MCP clients."""

    expose: bool | None = None
    """`false`: not at all; `true`: also beside a `tool` trigger that stands for the workflow."""
    mode: Literal["auto", "sync", "task"] = "auto"
    """`sync`: never a task; `task`: only for clients with tasks; `auto`: a task where the client takes one."""
    grace: Duration | None = None
    """How long a call waits before its run becomes a task; default 0.5 s."""
    ask_first: bool = False
    """What the run asks before it becomes a task is asked in the call, and the answer makes the task."""
    hold: Duration | None = None
    """How long a call waits for its run before it gives a handle; default: the server's."""
    read_only: bool = False
    """A hint for clients: it changes nothing outside."""
    destructive: bool | None = None
    """A hint: what it changes may be lost."""
    idempotent: bool | None = None
    """A hint: the same call again changes nothing more."""
    open_world: bool | None = None
    """A hint: it deals with things outside of this system."""
    prompt: str | None = None
    """A prompt of the workflow's name with this text, its inputs as `{input.x}`; people choose it in their client."""


class Workflow(Model):
    """A workflow: static, without run state."""

    id: str
    """Name of the workflow."""
    description: str | None = None
    """What it does, for people and agents."""
    version: str | None = None
    """The author's label of this state of the definition."""
    label: str | None = None
    """Name for people."""
    examples: tuple[str, ...] = ()
    """Messages that start it, as people write them; they stand on the agent's card."""
    tags: tuple[str, ...] = ()
    """Words that it is found by; they stand on the agent's card."""
    input_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) of the input."""
    output_schema: dict[str, Any] | None = None
    """JSON Schema of the output."""
    output: Any = None
    """Template of the result; default: the last step's result."""
    context: dict[str, SharedKey] = Field(default_factory=dict[str, SharedKey])
    """Shared keys that steps update."""
    steps: Steps
    """The steps, in order."""
    entry_points: Annotated[Sequence[EntryPoint], AfterValidator(_kept)] = ()
    """Named ways to start."""
    defaults: Defaults = Defaults()
    """Values for steps that don't say otherwise."""
    execution: Execution | None = None
    """`execution` of all steps that don't say otherwise."""
    max_parallel: int | None = Field(default=None, ge=1)
    """How many steps of one run execute at once; default 64."""
    budget: Budget | None = None
    """What a run may use, with the runs below it: at the limit it asks before the next step."""
    direct_reply: bool = False
    """An A2A client whose message starts a run that ends at once, and gives nothing but a reply, gets that, no task."""
    mcp: Annotated[McpSettings, BeforeValidator(_offered)] = McpSettings()
    """How it is offered to MCP clients; `false`: not at all."""
    on_error_siblings: OnErrorSiblings | None = None
    """What a step's failure does to the others; default `finish`."""
    on_success: Steps = ()
    """Steps that run after success."""
    on_failure: Steps = ()
    """Steps that run after failure."""
    finally_: Steps = Field(default=(), validation_alias="finally", serialization_alias="finally")
    """Steps that run at the end, whatever the end, cancel included."""
    preflight: Literal["warn", "strict"] = "warn"
    """`strict` refuses to start while a requirement isn't met."""
    checkpoint: Checkpointing = Checkpointing()
    """distri's checkpoint setting: kept and shown."""
    triggers: tuple[Trigger, ...] = ()
    """Triggers that start the workflow at its beginning."""
    dialect: Literal["agentflow", "distri"] = "agentflow"
    """`distri`: references follow distri's search order."""

    if TYPE_CHECKING:  # what pydantic takes besides the fields' own types

        def __init__(
            self, *, id: str, steps: StepLike | Iterable[StepLike],  # noqa: A002  named as in YAML
            input: Mapping[str, Any] | type[Any] = ...,  # noqa: A002  the same
            input_schema: Mapping[str, Any] | type[Any] | None = ...,
            output: Any = ..., output_schema: Mapping[str, Any] | type[Any] | None = ..., description: str | None = ...,
            label: str | None = ..., version: str | None = ..., examples: Sequence[str] = ...,
            tags: Sequence[str] = ..., context: Mapping[str, SharedKey | Mapping[str, Any]] = ...,
            entry_points: Sequence[EntryPoint | Mapping[str, Any]] = ..., defaults: Defaults | Mapping[str, Any] = ...,
            triggers: Sequence[Trigger | Mapping[str, Any]] = ..., execution: Execution | None = ...,
            max_parallel: int | None = ..., budget: Budget | Mapping[str, Any] | None = ..., direct_reply: bool = ...,
            mcp: McpSettings | Mapping[str, Any] | bool = ...,
            on_error_siblings: OnErrorSiblings | None = ..., on_success: StepLike | Iterable[StepLike] = ...,
            on_failure: StepLike | Iterable[StepLike] = ..., finally_: StepLike | Iterable[StepLike] = ...,
            preflight: Literal["warn", "strict"] = ..., checkpoint: Checkpointing | Mapping[str, Any] = ...,
            dialect: Literal["agentflow", "distri"] = ...,
        ) -> None: ...  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _input(cls, data: Any) -> Any:
        """Take `input`, the short form of `input_schema`, as files do; and types in the place of schemas."""
        return with_types(data) if is_object(data) and not _SCHEMAS.isdisjoint(data) else data

    @property
    def name(self) -> str:
        """The label, or the id."""
        return self.label or self.id


class CallingStep(Step):
    """A step that calls a workflow which was given as an object: it comes along."""

    _called: Workflow | None = PrivateAttr(default=None)

    @property
    def called(self) -> Workflow | None:
        """The workflow."""
        return self._called

    @classmethod
    def of(cls, step: Step, called: Workflow) -> CallingStep:
        """Return a step together with the workflow that it calls."""
        made = cls.model_construct(**{name: getattr(step, name) for name in step.model_fields_set})
        made._called = called
        return made


Body.model_rebuild()
Step.model_rebuild()
Workflow.model_rebuild()
