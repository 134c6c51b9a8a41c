"""Names of what steps need: `native:shell`, `google:drive`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

NATIVE = ("shell", "browser", "network", "agent", "tool", "python", "filesystem")
"""The native skills that exist."""
BY_NAME: Final = frozenset({"native:tool", "native:agent"})
"""Skills that need no word in the config: its tools and agents are granted by being named. It may take them away."""


NOTHING: Final[Mapping[str, Any]] = {"allow": []}
"""The limits of one that it takes away."""
_SYNONYMS = {
    **dict.fromkeys(("http", "https", "net", "internet"), "network"),
    **dict.fromkeys(("bash", "sh", "command", "exec", "process", "subprocess", "terminal"), "shell"),
    "web": "browser",
    "py": "python",
    **dict.fromkeys(("file", "files", "fs", "disk"), "filesystem"),
}
"""What people call the native skills."""
_NAME = re.compile(r"[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+").fullmatch


def synonym(name: str) -> str | None:
    """Return the native skill that is meant by another word for it; None if there is none."""
    return _SYNONYMS.get(name.lower())


def granted(skills: Mapping[str, Any]) -> frozenset[str]:
    """Return the native skills that a config grants, given those that it names with their limits; `false`: not."""
    taken = {name for name in BY_NAME if skills.get(name) in (False, NOTHING)}
    return frozenset({name for name, limits in skills.items() if limits is not False} | BY_NAME) - taken


def skill_fault(skill: str) -> str | None:
    """Say what is wrong with a skill's name; None if nothing is."""
    if not _NAME(skill):
        return f'"{skill}" is no requirement; write native:shell, or provider:service'
    namespace, _, name = skill.partition(":")
    if namespace == "native" and name not in NATIVE:
        return f'there is no native skill "{name}"; there are {", ".join(NATIVE)}'
    return None
