"""The environment that a config asks for: the process's, with `.env` beside the file behind it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


class EnvVar(NamedTuple):
    """An environment variable that templates may read."""

    name: str
    public: bool = False
    """No secret."""
    default: str | None = None
    """Value where the environment has none."""
    connection: str | None = None
    """The connection whose token it is, of the run's owner; its value here only stands for that."""


def read_env_file(path: Path) -> dict[str, str]:
    """Read a `.env` file; one that isn't there or isn't text is empty.

    Lines are `NAME=value`, also with `export` before it; values may stand in quotes; `#` begins a comment.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found:
            values[found[1]] = _value(found[2])
    return values


def _value(raw: str) -> str:
    quote = raw[:1]
    if quote in ("'", '"'):
        pattern = r"'([^']*)'" if quote == "'" else r'"((?:[^"\\]|\\.)*)"'
        found = re.match(pattern, raw)
        if found:
            inner = found[1]
            return inner if quote == "'" else re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), inner)
    return re.split(r"\s+#", raw, maxsplit=1)[0].strip() if not raw.startswith("#") else ""


def env_values(
    variables: Collection[EnvVar], folder: Path | None, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the values of the listed variables, and of no others.

    Args:
        variables: what the config lists.
        folder: where `.env` may be; None: nowhere.
        environment: default: the process's.

    Of a variable that has a connection's token it is a text that stands for it, until a step is executed.
    """
    values = {each.name: f"agentflow-connection-{os.urandom(16).hex()}" for each in variables if each.connection}
    listed = [each for each in variables if not each.connection]
    if not listed:
        return values
    behind = read_env_file(folder / ".env") if folder else {}
    environment = os.environ if environment is None else environment
    for variable in listed:
        value = environment.get(variable.name, behind.get(variable.name, variable.default))
        if value is not None:
            values[variable.name] = value
    return values
