"""What a command that only looks needs of a config: a few fields, read without the config's models.

Looking at runs must be quick, and must work while the config is being edited: what isn't valid here isn't there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from agentflow.config.env import EnvVar, env_values
from agentflow.data import is_array, is_object
from agentflow.errors import DefinitionError
from agentflow.redaction import Redactor

NAMES = ("agentflow.yaml", "agentflow.yml", "agentflow.json")
UNNAMED = "agentflow"
"""Of whom the runs are whose config has no name."""


@dataclass(frozen=True)
class Plain:
    """A config's `name`, `store`, `env` and `python`, as far as they can be read."""

    folder: Path = field(default_factory=Path.cwd)
    """The config's folder: what relative paths start from."""
    name: str = UNNAMED
    store: str | None = None
    """Where runs are kept, as it is written."""
    env: Mapping[str, EnvVar] = field(default_factory=dict[str, EnvVar])
    env_values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    python_modules: tuple[str, ...] = ()

    @cached_property
    def redactor(self) -> Redactor:
        """What takes the values of `env` that aren't public out of texts and data."""
        return Redactor({name: value for name, value in self.env_values.items() if not self.env[name].public})


def find_config(start: Path | None = None) -> Path | None:
    """Return the config file of a folder or its nearest parent; None if there is none.

    Args:
        start: default: the current folder.
    """
    folder = (start or Path.cwd()).absolute()
    for place in (folder, *folder.parents):
        for name in NAMES:
            if (place / name).is_file():
                return place / name
    return None


def read_plain(file: Path) -> Plain:
    """Read a config's few fields; whatever is wrong with the file, its folder is known."""
    folder = file.absolute().parent
    with suppress(OSError, ValueError, DefinitionError):
        from agentflow.definition.source import load_document  # noqa: PLC0415  not for commands without a config

        data = load_document(file.read_text(encoding="utf-8"), str(file)).data
        if is_object(data):
            return plain_of(folder, data)
    return Plain(folder)


def plain_of(folder: Path, data: Mapping[str, Any]) -> Plain:
    """Return the few fields of a config's data."""
    name, store, python = data.get("name"), data.get("store"), data.get("python")
    modules = python.get("modules") if is_object(python) else None
    env = _variables(data.get("env"))
    return Plain(
        folder,
        name if isinstance(name, str) and name else UNNAMED,
        store if isinstance(store, str) else None,
        env,
        env_values(env.values(), folder),
        tuple(each for each in modules if isinstance(each, str)) if is_array(modules) else (),
    )


def _variables(given: object) -> dict[str, EnvVar]:
    """Return the listed variables that can be read: what one of them holds is kept secret, whatever the others are."""
    found: dict[str, EnvVar] = {}
    for entry in given if is_array(given) else ():
        name = entry.get("name") if is_object(entry) else entry
        if not isinstance(name, str):
            continue
        found[name] = EnvVar(name)
        if is_object(entry):
            default, connection = entry.get("default"), entry.get("connection")
            found[name] = EnvVar(
                name,
                entry.get("public") is True,
                default if isinstance(default, str) else None,
                connection if isinstance(connection, str) else None,
            )
    return found
