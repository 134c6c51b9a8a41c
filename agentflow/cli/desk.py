"""What a command that looks at runs works with: the project it stands in, what reads its store, and short ids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from agentflow.cli.console import Console

if TYPE_CHECKING:
    from agentflow.config import Config, Plain
    from agentflow.engine.read.reader import Reader


@dataclass(frozen=True, slots=True)
class Project:
    """Where a command works."""

    store: str
    config: Config | None = None
    flags: str = ""
    """Options to repeat in commands that are told: ` -f other.yaml --store x.db`."""
    plain: Plain | None = None
    """What was read of a config, where `config` wasn't loaded."""

    @property
    def lasts(self) -> bool:
        """Whether a run can be found again when the command is over."""
        return self.store != ":memory:"

    @property
    def agents(self) -> Collection[str]:
        """Whose runs are executed here. '': it isn't known of whom a run is, as an older version began it."""
        from agentflow.config import UNNAMED  # noqa: PLC0415  not for every command

        if self.config is not None:
            return ("", self.config.agent)
        return ("", self.plain.name if self.plain is not None else UNNAMED)


@dataclass(slots=True)
class Desk:
    """A console, and an open store to show something of."""

    console: Console
    project: Project
    reader: Reader
    _short: dict[str, str] = field(default_factory=dict[str, str])

    def command(self, text: str) -> str:
        """Return a command line that works from here."""
        return f"agentflow {text}{self.project.flags}"

    def short(self, each: str) -> str:
        """Return the short form of an id that `learn` has seen."""
        return self._short.get(each, each[-6:])

    async def learn(self, ids: Sequence[str], kind: Literal["run", "wait"]) -> None:
        """Look up the shortest unique endings of ids."""
        unknown = [each for each in ids if each not in self._short]
        if unknown:
            self._short.update(zip(unknown, await self.reader.store.shortest(unknown, kind), strict=True))
