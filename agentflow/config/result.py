"""What loading a config gives."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from agentflow.config.env import EnvVar
from agentflow.config.plain import UNNAMED
from agentflow.definition.config_file import (
    AuthSection,
    CardSection,
    HttpSettings,
    Limits,
    McpSection,
    PushSection,
    RetentionSection,
)
from agentflow.definition.models import Defaults, Workflow
from agentflow.definition.parse import Parsed
from agentflow.definition.source import Document
from agentflow.errors import Place, Problem
from agentflow.redaction import Redactor
from agentflow.usage import Price, Prices, cost_of

_ITERATION = re.compile(r"(?<!/case)\[\d+\]")
"""What a run's addresses have more than a definition's."""


@dataclass(frozen=True)
class Config:
    """A checked config with its workflows."""

    file: Path | None = None
    """The config file; None for a config made in Python."""
    folder: Path = field(default_factory=Path.cwd)
    """The config's folder: what relative paths start from."""
    name: str = UNNAMED
    """Name of the agent that serves these workflows."""
    named: bool = True
    """Whether somebody gave it. It is the folder's otherwise, which may be called something else tomorrow."""
    description: str | None = None
    env: Mapping[str, EnvVar] = field(default_factory=dict[str, EnvVar])
    skills: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Granted native skill → its limits. Listing a module grants `native:python`."""
    python_modules: tuple[str, ...] = ()
    store: str | None = None
    """Where runs are kept, as it is written; see `store_location`."""
    durability: Literal["strict", "relaxed"] = "strict"
    limits: Limits = field(default_factory=Limits)
    defaults: Defaults = field(default_factory=Defaults)
    http: HttpSettings = field(default_factory=HttpSettings)
    tools: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Name → validated fields of `config_file.ToolEntry`, without defaults."""
    agents: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Name → validated fields of `config_file.AgentEntry`, without defaults."""
    connections: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Name → validated fields of `config_file.ConnectionEntry`, without defaults."""
    prices: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Model → validated fields of `money.PriceEntry`, without defaults."""
    currency: str = "USD"
    """The currency of prices, costs and budgets."""
    auth: AuthSection = field(default_factory=AuthSection)
    """Who may use the agent when it is served."""
    card: CardSection = field(default_factory=CardSection)
    """The card that the agent shows when it is served."""
    retention: RetentionSection = field(default_factory=RetentionSection)
    """How long runs are kept after their end."""
    push: PushSection = field(default_factory=PushSection)
    """Push notifications of tasks."""
    mcp: McpSection = field(default_factory=McpSection)
    """What MCP clients are offered beside the workflows."""
    workflows: Mapping[str, Workflow] = field(default_factory=dict[str, Workflow])
    documents: Mapping[str, Document] = field(default_factory=dict[str, Document], repr=False)
    """Loaded files by their name as shown to people."""
    parsed: Mapping[str, Parsed] = field(default_factory=dict[str, Parsed], repr=False)
    """Workflow id → how it was read."""
    sources: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Workflow id → key of its file in `documents`."""
    warnings: list[Problem] = field(default_factory=list[Problem], repr=False)
    broken: Mapping[str, Sequence[Problem]] = field(default_factory=dict[str, "Sequence[Problem]"], repr=False)
    """Workflows that were left out because they, or those that they call, have errors; only where that was asked."""
    env_values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Values of `env`: the process's environment, else `.env` beside the file, else the default."""

    @property
    def agent(self) -> str:
        """Name that its runs have in the store: a host goes on with runs of its own agent only."""
        return self.name if self.named else UNNAMED

    @cached_property
    def fed(self) -> Mapping[str, str]:
        """What stands for tokens of connections in rendered values → the connection."""
        return {self.env_values[name]: each.connection for name, each in self.env.items() if each.connection}

    @cached_property
    def redactor(self) -> Redactor:
        """What takes secrets out of texts and data: values of `env` that aren't public, and those of connections."""
        made = Redactor(self.secrets)
        if self.connections:
            from agentflow.requirements.connections.settings import AllSettings  # noqa: PLC0415  few configs have any

            for name, secret in AllSettings(self.connections, self.env_values).secrets():
                made.learn(f"of the connection {name}", secret)
        return made

    @property
    def model_prices(self) -> Prices:
        """What a million tokens of models cost."""
        found = {name: {kind: cost_of(each) for kind, each in entry.items()} for name, entry in self.prices.items()}
        return Prices({name: Price(**entry) for name, entry in found.items()}, self.currency)

    @property
    def secrets(self) -> dict[str, str]:
        """Values of `env` that aren't public, by name."""
        return {n: v for n, v in self.env_values.items() if n not in self.env or not self.env[n].public}

    def place(self, workflow_id: str, address: str, field: str | None = None) -> Place | None:
        """Return where a step, or one of its fields, stands.

        Args:
            workflow_id: the workflow.
            address: the step's address, in the definition or in a run (`fetch[3]/get`); "" is the workflow itself.
            field: a field as YAML writes it.
        """
        parsed, document = self.parsed.get(workflow_id), self.documents.get(self.sources.get(workflow_id, ""))
        if parsed is None or document is None:
            return None
        if address not in parsed.pointers:
            address = _ITERATION.sub("", address)
            if address not in parsed.pointers:
                return None
        return document.place(parsed.pointer(address, field))

    @property
    def store_location(self) -> str:
        """Where runs are kept: a URL, `:memory:`, or an absolute path.

        `AGENTFLOW_STORE` (from the current folder), else the config's `store` (from its own folder), else
        `.agentflow/runs.db` beside the config.
        """
        from_outside = os.environ.get("AGENTFLOW_STORE")
        said = from_outside or self.store or ".agentflow/runs.db"
        if said == ":memory:" or "://" in said:
            return said
        path = Path(said).expanduser()
        return str(path.absolute() if from_outside else (self.folder / path).absolute())
