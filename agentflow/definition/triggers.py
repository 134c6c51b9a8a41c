"""The kinds of triggers and their fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from agentflow.definition.faults import Faults, below
from agentflow.definition.models import Model, Trigger
from agentflow.definition.times import check_cron, zone


def _tagged(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class Manual(Model):
    """A person starts it."""

    type: Literal["manual"]
    """`manual`."""


class Schedule(Model):
    """A clock starts it."""

    type: Literal["schedule"]
    """`schedule`."""
    cron: str
    """Five fields, or six with seconds first."""
    timezone: str = "UTC"
    """Time zone by its IANA name."""
    enabled: bool = True
    """False: kept, and not started."""
    input: Any = None
    """The run's input."""

    @field_validator("cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        check_cron(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone(value)
        return value


class Slash(Model):
    """A command in a chat starts it."""

    type: Literal["slash"]
    """`slash`."""
    name: str = Field(min_length=1)
    """Name of the command."""
    aliases: tuple[str, ...] = ()
    """Further names."""
    channels: tuple[str, ...] = ()
    """Channels that offer it; empty: all."""
    args: tuple[Any, ...] = ()
    """What may follow the name."""
    description: str | None = None
    """What it does, for people."""


class Callback(Model):
    """A button starts it."""

    type: Literal["callback"]
    """`callback`."""
    id: str = Field(min_length=1)
    """Id in the button's data, `wf:<id>` or `wf:<id>:<value>`."""
    arg: str | None = None
    """Input key that gets the value."""


class Message(Model):
    """Any message starts it."""

    type: Literal["message"]
    """`message`."""


class NoAuth(Model):
    """Anybody may call."""

    type: Literal["none"]
    """`none`."""


class HmacHeader(Model):
    """The caller signs the body."""

    type: Literal["hmac_header"]
    """`hmac_header`."""
    header: str
    """Header with the signature."""
    connection_id: str
    """Connection that has the secret."""


class BearerToken(Model):
    """The caller sends a token."""

    type: Literal["bearer_token"]
    """`bearer_token`."""
    connection_id: str
    """Connection that has the token."""


class Ack(Model):
    """Answers at once that the call arrived."""

    type: Literal["ack"]
    """`ack`."""


class Sync(Model):
    """Answers with what the run responds."""

    type: Literal["sync"]
    """`sync`."""
    timeout_secs: float | None = Field(default=None, gt=0)
    """Longest time that the caller waits."""


WebhookAuth: TypeAlias = Annotated[
    NoAuth | HmacHeader | BearerToken, Field(discriminator="type"), BeforeValidator(_tagged)
]
WebhookResponse: TypeAlias = Annotated[Ack | Sync, Field(discriminator="type"), BeforeValidator(_tagged)]


class Webhook(Model):
    """An HTTP call starts it."""

    type: Literal["webhook"]
    """`webhook`."""
    path: str = Field(min_length=1)
    """Path of the URL."""
    methods: tuple[str, ...] = ("POST",)
    """HTTP methods that are taken."""
    auth: WebhookAuth = NoAuth(type="none")
    """How the caller proves itself."""
    response: WebhookResponse = Ack(type="ack")
    """What the caller gets."""


class Event(Model):
    """A published event starts it."""

    type: Literal["event"]
    """`event`."""
    topic: str = Field(min_length=1)
    """Topic of the event."""
    filter: Any = None
    """Values that the event's data must have, or a condition."""


class Tool(Model):
    """An agent calls it as a tool."""

    type: Literal["tool"]
    """`tool`."""
    name: str = Field(min_length=1)
    """Name of the tool."""
    description: str
    """What it does, for the agent."""
    input_schema: dict[str, Any] | None = None
    """JSON Schema of its arguments; default: the workflow's."""


TypedTrigger: TypeAlias = Manual | Schedule | Slash | Callback | Message | Webhook | Event | Tool

KINDS: dict[str, type[TypedTrigger]] = {
    "manual": Manual,
    "schedule": Schedule,
    "slash": Slash,
    "callback": Callback,
    "message": Message,
    "webhook": Webhook,
    "event": Event,
    "tool": Tool,
}


def typed(trigger: Trigger) -> TypedTrigger:
    """Return a trigger with the fields of its kind, defaults filled in.

    Raises:
        pydantic.ValidationError: its fields aren't valid.
    """
    return KINDS[trigger.type].model_validate(_fields(trigger, lenient=False))


def check_trigger(trigger: Trigger, owner: str, pointer: str, faults: Faults, *, lenient: bool) -> None:
    """Report what is wrong with a trigger's fields."""
    data = _fields(trigger, lenient=lenient)
    try:
        KINDS[trigger.type].model_validate(data)
    except ValidationError as error:
        faults.of_model(error, data, f"{owner} ({trigger.type})", KINDS[trigger.type], below(pointer), lenient=lenient)


def _fields(trigger: Trigger, *, lenient: bool) -> dict[str, Any]:
    data = trigger.model_dump()
    return {name: value for name, value in data.items() if value is not None} if lenient else data
