"""The JSON Schema beside a config, by which editors complete and check it: where it is, and whose it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentflow import __version__
from agentflow.errors import InputError, Place, Problem

SCHEMA = ".agentflow/schema.json"
"""Where it is, from the config's folder, unless the config says otherwise."""
MODELINE = f"# yaml-language-server: $schema={SCHEMA}"
"""The first line of a config that editors check by it."""
REFRESH = "agentflow schema --write"
_MODELINE = re.compile(r"^#\s*yaml-language-server\s*:.*?(\$schema=(\S+))")
_WRITTEN = re.compile(r'"\$comment"\s*:\s*"Written by agentflow (\S+?)[,"]')
_HEAD = 1000
"""Characters of a schema in which its version stands."""


def place_of(config: Path, text: str | None = None) -> Path:
    """Return where editors look for the schema of a config."""
    named = _named(config.read_text(encoding="utf-8") if text is None else text)
    return config.parent / (SCHEMA if named is None else named[0])


def _named(text: str) -> tuple[str, int, int] | None:
    """Return the file that a config's modeline names, with its line and column; None if it names none here."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            return None
        found = _MODELINE.match(line)
        if found is not None and "://" not in found[2]:
            return found[2], number, found.start(1) + 1
    return None


def write(path: Path, schema: Mapping[str, Any]) -> None:
    """Write a schema, marked with our version.

    Raises:
        InputError: it can't be written.
    """
    stamp = {"$comment": f"Written by agentflow {__version__}, by: {REFRESH}"}
    text = json.dumps({**stamp, **schema}, ensure_ascii=False, indent=2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f'can\'t write "{path}": {(error.strerror or "error").lower()}') from None


def state(path: Path) -> str | None:
    """Say what is wrong with the schema that editors find; None if it is ours, or of somebody else's making."""
    shown = os.path.relpath(path)
    try:
        with path.open(encoding="utf-8") as file:
            found = _WRITTEN.search(file.read(_HEAD))
    except (OSError, UnicodeDecodeError):
        return f"editors find no schema at {shown}"
    if found is None or found[1] == __version__:
        return None
    return f"editors use the schema of agentflow {found[1]}, and this is {__version__}"


def problem(config: Path, text: str, shown: str) -> Problem | None:
    """Return a warning where editors check a config by another schema than ours.

    Args:
        config: the file.
        text: what it says.
        shown: what the file is called in messages.
    """
    named = _named(text)
    if named is None:
        return None
    name, line, column = named
    wrong = state(config.parent / name)
    if wrong is None:
        return None
    place = Place(shown, line, column, len("$schema=") + len(name))
    return Problem("AF-SCHEMA-STALE", wrong, place=place, hint=REFRESH, severity="warning")
