"""What the config file may say. Attribute docstrings become the descriptions of its JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from agentflow.data import is_object
from agentflow.definition.connection_fields import ConnectionEntry
from agentflow.definition.durations import UnreadableError
from agentflow.definition.gates import ApproveCall, short_gate
from agentflow.definition.host_rules import Hosts
from agentflow.definition.models import Defaults, Duration, Model
from agentflow.definition.money import Currency, PriceEntry

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(|B|kB|KB|MB|KiB|MiB)\s*")
_UNITS = {"": 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "KiB": 1024, "MiB": 1024**2}
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_size(value: object) -> object:
    """Read a size in bytes: a number, or a text such as `64 KiB` or `4MiB`."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError(f'"{value}" is no size; write bytes, or a text like 64KiB or 4MiB')
    return int(float(found[1]) * _UNITS[found[2]])


def _target(value: str) -> str:
    if not _TARGET.fullmatch(value):
        raise ValueError(f'"{value}" names no function; write it like module:function')
    return value


def _module(value: str) -> str:
    if not _MODULE.fullmatch(value):
        raise ValueError(f'"{value}" is no name of a module')
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError(f'"{value}" can\'t be the name of an environment variable')
    return value


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=1),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}),
]
"""Bytes; written as a number, or as `64KiB`, `4MiB`."""
Target = Annotated[str, BeforeValidator(lambda value: _target(value) if isinstance(value, str) else value)]
"""A Python function, `module:function`."""
Module = Annotated[str, BeforeValidator(lambda value: _module(value) if isinstance(value, str) else value)]
"""Name of a Python module."""
Variable = Annotated[str, BeforeValidator(lambda value: _variable(value) if isinstance(value, str) else value)]
"""Name of an environment variable."""


class EnvEntry(Model):
    """An environment variable that templates may read."""

    name: Variable
    """Its name."""
    public: bool = False
    """True: no secret. It may stand anywhere and is shown."""
    default: str | None = None
    """Value where the environment has none."""
    connection: str | None = None
    """A connection, such as `google:drive`, whose token it is: that of the run's owner, when a step is executed."""

    @model_validator(mode="after")
    def _one(self) -> EnvEntry:
        if self.connection is not None and (self.public or self.default is not None):
            raise ValueError("the token of a connection is never public, and has no default")
        return self


class PythonSection(Model):
    """Python code that the config may use."""

    modules: tuple[Module, ...] = ()
    """Modules whose functions steps, tools and agents may call; the config's folder is on the path."""


class Limits(Model):
    """Limits of runs and of the process."""

    max_parallel: int = Field(default=64, ge=1)
    """How many steps of one run execute at once."""
    host_parallel: int = Field(default=256, ge=1)
    """How many steps execute at once in one process."""
    result_size: Size = 4 * 1024 * 1024
    """Largest result of a step, and largest answer, in bytes."""
    input_size: Size = 4 * 1024 * 1024
    """Largest input of a run, in bytes."""
    event_size: Size = 64 * 1024
    """Largest published event, in bytes."""
    log_size: Size = 4 * 1024 * 1024
    """How much the steps of one run may write into its log, in characters; the rest is left out and counted."""
    log_rate: Size = 1024 * 1024
    """How much of it in a second."""


class HttpSettings(Model):
    """What api_call steps have in common."""

    base_url: str | None = None
    """What relative urls go below."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Headers of every request to the base url's origin; may hold templates of `env`."""
    timeout: Duration = 60.0
    """Longest time of one request."""

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        if value is not None and "{" not in value and not re.match(r"https?://[^/\s]+", value):
            raise ValueError(f'"{value}" is no address; it begins with http:// or https://')
        return value


class _Source(Model):
    """Where something comes from: exactly one of several fields says so."""

    python: Target | None = None
    """A Python function, `module:function`."""
    url: str | None = None
    """Address of a server."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """Headers sent to the server; may hold templates of `env`."""
    connection: str | None = None
    """Connection whose credentials are sent to the server."""
    description: str | None = None
    """What it is for."""
    timeout: Duration | None = None
    """Longest time of one call."""


class ToolEntry(_Source):
    """A tool, or a server that has tools."""

    command: str | None = None
    """Program that is started as an MCP server."""
    args: tuple[str, ...] = ()
    """Its arguments; may hold templates of `env`."""
    env: dict[str, str] = Field(default_factory=dict[str, str])
    """Its environment variables, besides a few that every program needs; may hold templates of `env`."""
    cwd: str | None = None
    """Folder that it is started in, relative to the config's; default: that itself."""
    input_schema: dict[str, Any] | None = None
    """JSON Schema of a function's arguments; default: what its signature says."""
    approve: Annotated[ApproveCall | None, BeforeValidator(short_gate)] = None
    """Asks somebody before it, or a tool of the server, is called: `true`, a message, or a mapping."""

    @model_validator(mode="after")
    def _one(self) -> ToolEntry:
        if sum(value is not None for value in (self.python, self.command, self.url)) != 1:
            raise ValueError("give exactly one of python, command and url")
        if self.url is not None and "{" not in self.url and not re.match(r"https?://[^/\s]+", self.url):
            raise ValueError(f'"{self.url}" is no address; it begins with http:// or https://')
        return self


class AgentEntry(_Source):
    """An agent that agent_run steps may ask: a Python function, or an A2A agent elsewhere."""

    token_env: Variable | None = None
    """Variable of `env` whose value is sent as `Authorization: Bearer …`."""
    tenant: str | None = None
    """Which agent of several at the address is meant, where its protocol has them."""
    skill: str | None = None
    """Skill of its card that is asked for."""
    hosts: Hosts = ()
    """Further hosts, as `host` or `host:port`, that its card may send requests to."""

    @model_validator(mode="after")
    def _one(self) -> AgentEntry:
        if (self.python is None) == (self.url is None):
            raise ValueError("give exactly one of python and url")
        if self.url is not None and "{" not in self.url and not re.match(r"https?://[^/\s]+", self.url):
            raise ValueError(f'"{self.url}" is no address; it begins with http:// or https://')
        if self.token_env is not None and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("give one of token_env and the header Authorization")
        return self


class TokenEntry(Model):
    """A token that lets somebody in."""

    name: str = Field(min_length=1)
    """What it is called, for operators."""
    value_env: Variable | None = None
    """Environment variable with its value."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    """SHA-256 of its value, in hexadecimal: a config holds no token itself."""
    owner: str | None = None
    """Whose runs it starts and sees; default: its name."""
    tenant: str = ""
    """The workspace that the owner acts in."""
    groups: tuple[str, ...] = ()
    """Groups that the owner is in: waits may be assigned to them."""
    scopes: tuple[str, ...] = ()
    """What it may do besides; `*`: see and do everything."""

    @model_validator(mode="after")
    def _one(self) -> TokenEntry:
        if (self.value_env is None) == (self.sha256 is None):
            raise ValueError("give exactly one of value_env and sha256")
        return self


class AuthSection(Model):
    """Who may use the agent when it is served."""

    tokens: tuple[TokenEntry, ...] = ()
    """Tokens, each sent as `Authorization: Bearer TOKEN`; without any only this machine is served."""


class SigningSection(Model):
    """How the agent's card is signed."""

    key_env: Variable | None = None
    """Environment variable with the private key, in PEM: EC (P-256, P-384, P-521), Ed25519 or RSA."""
    key_file: str | None = None
    """File with it, from the config's folder."""
    kid: str | None = None
    """What the key is called; default: its thumbprint."""
    jku: str | None = None
    """Where clients find the public key, as a JSON Web Key Set; default: the agent's `/.well-known/jwks.json`."""

    @model_validator(mode="after")
    def _one(self) -> SigningSection:
        if (self.key_env is None) == (self.key_file is None):
            raise ValueError("give exactly one of key_env and key_file")
        return self


class CardSection(Model):
    """The card that the agent shows when it is served."""

    signing: SigningSection | None = None
    """How it is signed; default: it isn't."""


class PushSection(Model):
    """Push notifications: changes of tasks are sent to where a client asks for."""

    enabled: bool = True
    """False: no client may ask for them, and none are sent."""
    allow: Hosts | None = None
    """Hosts that they may go to, as `host`, `*.host`, either with `:port`; default: every public one, by https."""
    private: bool = False
    """True: they may go to this machine and to private networks too, and by http."""
    tries: int = Field(default=16, ge=1)
    """How often one is sent in vain before its receiver counts as failed."""
    timeout: Duration = Field(default=15.0, gt=0)
    """How long a receiver may take to answer."""
    parallel: int = Field(default=32, ge=1)
    """To how many receivers one process sends at once."""


Kept = Annotated[Duration, Field(gt=0)]
"""How long something is kept."""


class RetentionSection(Model):
    """How long runs are kept after their end, by how they ended; without a word for ever."""

    completed: Kept | None = None
    """Those that have completed."""
    failed: Kept | None = None
    """Those that have failed."""
    canceled: Kept | None = None
    """Those that were cancelled."""
    rejected: Kept | None = None
    """Those that were rejected."""


class McpSection(Model):
    """What MCP clients are offered beside the workflows."""

    additions: Target | None = None
    """A Python function, `module:function`, that adds tools, prompts and resources of its own to the server."""


class IncludedFile(Model):
    """What an included file may say: workflows, and further includes."""

    include: str | tuple[str, ...] = ()
    """Globs of further files with workflows, relative to this one."""
    workflows: Any = None
    """The workflows: a mapping of ids to workflows, or a list of workflows with ids."""


class ConfigFile(Model):
    """The config file, `agentflow.yaml`."""

    name: str | None = None
    """Name of the agent that serves these workflows; default: the folder's name."""
    description: str | None = None
    """What the agent is for."""
    include: str | tuple[str, ...] = ()
    """Globs of further files with workflows, relative to this one."""
    env: tuple[Variable | EnvEntry, ...] = ()
    """Environment variables that templates may read as `{env.NAME}`; secrets, unless marked public."""
    skills: tuple[str, ...] | dict[str, dict[str, Any] | bool | None] = ()
    """Native skills that are granted, such as `native:shell`; as a mapping: with limits."""
    python: PythonSection = PythonSection()
    """Python code that the config may use."""
    store: str | None = None
    """Where runs are kept, a path or a URL; default: `.agentflow/runs.db` beside the file."""
    durability: Literal["strict", "relaxed"] = "strict"
    """`strict`: a commit survives a power cut; `relaxed`: it survives the process."""
    limits: Limits = Limits()
    """Limits of runs and of the process."""
    defaults: Defaults = Defaults()
    """Values for workflows and steps that don't say otherwise."""
    http: HttpSettings = HttpSettings()
    """What api_call steps have in common."""
    tools: dict[str, ToolEntry] = Field(default_factory=dict[str, ToolEntry])
    """Tools by name."""
    agents: dict[str, AgentEntry] = Field(default_factory=dict[str, AgentEntry])
    """Agents by name."""
    connections: dict[str, ConnectionEntry] = Field(default_factory=dict[str, ConnectionEntry])
    """Connections by name, such as `google:drive`."""
    prices: dict[str, PriceEntry] = Field(default_factory=dict[str, PriceEntry])
    """What a million tokens of a model cost, by its name."""
    currency: Currency = "USD"
    """The currency of prices, costs and budgets."""
    auth: AuthSection = AuthSection()
    """Who may use the agent when it is served."""
    card: CardSection = CardSection()
    """The card that the agent shows when it is served."""
    push: PushSection = PushSection()
    """Push notifications of tasks."""
    retention: RetentionSection = RetentionSection()
    """How long runs are kept after their end; who executes all runs deletes what is older."""
    mcp: McpSection = McpSection()
    """What MCP clients are offered beside the workflows."""
    workflows: Any = None
    """The workflows: a mapping of ids to workflows, or a list of workflows with ids."""

    @field_validator("env", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if is_object(value):
            names = ", ".join(value)
            raise UnreadableError(
                "a list of names is meant: their values are the environment's, or stand in .env",
                f"write env: [{names}]",
            )
        return value
