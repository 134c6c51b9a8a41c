"""The real `agentflow serve`, and the SDK's client at its `/mcp`."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.extension import ClientExtension
from mcp.client.session import ElicitationFnT
from mcp.client.streamable_http import streamable_http_client

from tests.cli.project import clean_environ
from tests.servers import start
from tests.surface_mcp.served import CONFIG, LIMIT, MODULE


class Web:
    """A server in a folder of its own, or in one that others share."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        config: str = CONFIG,
        module: str = MODULE,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start it, and return when it takes requests."""
        self.folder = folder
        if not (folder / "agentflow.yaml").exists():
            (folder / "agentflow.yaml").write_text(config, encoding="utf-8")
            (folder / "shop.py").write_text(module, encoding="utf-8")
        own = {name: value for name, value in clean_environ().items() if not name.startswith("AGENTFLOW_")}
        with (folder / "stderr").open("a", encoding="utf-8") as log:
            command = ["serve", "--port", "0", "--json", "--grace", "1", *words]
            self._process, self._printed = start(command, cwd=folder, env={**own, **(env or {})}, stderr=log)
        line = self._printed.readline()
        assert line, (folder / "stderr").read_text("utf-8")
        self.told: dict[str, Any] = json.loads(line)
        self.url: str = self.told["url"]

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._over()

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._over()

    def _over(self) -> int:
        code = self._process.wait(LIMIT)
        self._printed.close()
        return code

    @asynccontextmanager
    async def client(
        self,
        path: str = "/mcp",
        *,
        mode: Any = "auto",
        token: str | None = None,
        elicitation: ElicitationFnT | None = None,
        extensions: Sequence[ClientExtension] = (),
    ) -> AsyncGenerator[Client]:
        """Give the SDK's client."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=LIMIT) as http,
            Client(
                streamable_http_client(self.url + path, http_client=http),
                mode=mode,
                elicitation_callback=elicitation,
                extensions=extensions,
                read_timeout_seconds=LIMIT,
            ) as client,
        ):
            yield client


MODERN = "2026-07-28"


def request(method: str, params: Mapping[str, Any], *, tasks: bool = False, name: str | None = None) -> dict[str, Any]:
    """Return what posts a request of the modern era: `headers` and `json`."""
    capabilities: dict[str, Any] = {"elicitation": {"form": {}}}
    if tasks:
        capabilities["extensions"] = {"io.modelcontextprotocol/tasks": {}}
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method,
    }
    given = name if name is not None else params.get("name", params.get("taskId"))
    if given is not None:
        headers["Mcp-Name"] = given
    return {
        "headers": headers,
        "json": {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}},
    }
