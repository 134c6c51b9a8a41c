"""What makes clients use the server, to be pasted into their configs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentflow_mcp.results import as_json

_TOKEN = "Bearer TOKEN"  # noqa: S105  what stands where the token is to be put


class Entry(NamedTuple):
    """How one client is told of the server."""

    client: str
    place: str
    """The file it belongs to; empty: it is a command."""
    text: str

    def __str__(self) -> str:
        """Its line."""
        return f"{self.client:<12} {self.place + ': ' if self.place else ''}{self.text}"


def over_http(name: str, url: str, *, tokens: bool) -> list[Entry]:
    """Return the entries of a server that is reached at a URL.

    Args:
        name: what clients call it.
        url: where it is.
        tokens: whether clients have to bring a token.
    """
    name = _called(name)
    told: dict[str, Any] = {"url": url}
    if tokens:
        told["headers"] = {"Authorization": _TOKEN}
    command = ["claude", "mcp", "add", "--transport", "http", name, url]
    return _entries(name, command + (["--header", f"Authorization: {_TOKEN}"] if tokens else []), "http", told)


def over_streams(name: str, command: str, arguments: Sequence[str]) -> list[Entry]:
    """Return the entries of a server that clients start.

    Args:
        name: what clients call it.
        command: the program.
        arguments: what it is given.
    """
    name = _called(name)
    told = {"command": command, "args": list(arguments)}
    return _entries(name, ["claude", "mcp", "add", name, "--", command, *arguments], "stdio", told)


def _called(name: str) -> str:
    """Return a name that all clients take: some refuse spaces and the like."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "agentflow"


def _entries(name: str, command: Sequence[str], kind: str, told: Mapping[str, Any]) -> list[Entry]:
    return [
        Entry("Claude Code", "", shlex.join(command)),
        Entry("VS Code", ".vscode/mcp.json", as_json({"servers": {name: {"type": kind, **told}}})),
        Entry("Cursor", ".cursor/mcp.json", as_json({"mcpServers": {name: told}})),
    ]
