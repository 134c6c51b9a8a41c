"""What the config says of a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentflow.definition.durations import parse_duration
from agentflow.steps.remote import Entry
from agentflow.steps.signing import Signing


@dataclass(frozen=True, slots=True)
class Server:
    """One server of the config's `tools`: a program, or an address."""

    name: str
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    folder: Path | None = None
    """Where the program starts."""
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    credentials: Mapping[str, Any] | None = None
    """Of the connection that requests are signed with; an entry of the config's `connections`."""
    signing: Signing | None = None
    """Signs requests in the name of somebody."""
    timeout: float | None = None
    """Longest time of one call, in seconds."""

    @classmethod
    def of(cls, given: Entry) -> Server:
        """Read an entry of the config."""
        name, entry, folder, credentials = given.name, given.fields, given.folder, given.credentials
        timeout = entry.get("timeout")
        cwd = entry.get("cwd")
        if cwd is not None:
            folder = (folder or Path.cwd()) / str(cwd)
        return cls(
            name=name,
            command=entry.get("command"),
            args=tuple(str(each) for each in entry.get("args", ())),
            env={key: str(value) for key, value in entry.get("env", {}).items()},
            folder=folder,
            url=entry.get("url"),
            headers={key: str(value) for key, value in entry.get("headers", {}).items()},
            credentials=credentials,
            signing=given.signing,
            timeout=None if timeout is None else parse_duration(timeout),
        )
