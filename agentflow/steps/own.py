"""Step types in a config's own modules: those are imported when a type isn't known otherwise, and only then."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agentflow.errors import StepError
from agentflow.steps import registry
from agentflow.steps.contract import StepType


class OwnTypes:
    """Finds step types by name: agentflow's and those of installed packages, then those of a config's modules."""

    def __init__(self, folder: Path | None = None, modules: Iterable[str] = ()) -> None:
        """Say where to look for what isn't known.

        Args:
            folder: the config's folder.
            modules: the modules that it lists under `python.modules`.
        """
        self.folder = folder
        self.modules = tuple(modules)
        self.failures: dict[str, StepError] = {}
        """Modules that couldn't be imported."""
        self._imported = False

    def __call__(self, name: str) -> StepType | None:
        """Return a step type; None if there is none."""
        found = registry.find(name)
        return registry.find(name) if found is None and self.load() else found

    def load(self) -> bool:
        """Import the config's modules, unless they were; tells whether there was something to import."""
        if self._imported or not self.modules:
            return False
        self._imported = True
        self._import()
        return True

    @property
    def told(self) -> str | None:
        """Say which modules were imported in vain; None where there was none."""
        read = [module for module in self.modules if module not in self.failures]
        return f"python.modules were imported and bring no such type: {', '.join(read)}" if read else None

    def _import(self) -> None:
        from agentflow.steps.modules import ModuleLoader  # noqa: PLC0415  few configs have step types of their own

        loader = ModuleLoader(self.folder, self.modules)
        try:
            for module in self.modules:
                try:
                    loader.read(module)
                except StepError as error:
                    self.failures[module] = error
        finally:
            loader.close()
