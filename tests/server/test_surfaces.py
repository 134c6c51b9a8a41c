"""What is served, and what is where a surface lacks a package."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.errors import AgentflowError
from agentflow.extras import installing
from agentflow.server import create_app, surface
from tests.cli.forks import COMMAND
from tests.cli.project import clean_environ


class _Entry:
    def __init__(self, name: str, lacks: str | None) -> None:
        self.name = name
        self._lacks = lacks

    def load(self) -> object:
        if self._lacks is not None:
            raise ModuleNotFoundError(name=self._lacks)
        return surface


def test_surfaces_that_lack_a_package_are_off_and_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [_Entry("there", None), _Entry("mcp", "mcp.server")]

    def given(*, group: str) -> list[_Entry]:
        return entries if group == surface.GROUP else []

    monkeypatch.setattr(surface, "entry_points", given)
    found = surface.surfaces()
    assert len(found.on) == 1
    assert [(each.name, each.package, each.hint) for each in found.off] == [("mcp", "mcp", installing("mcp"))]
    entries.pop(0)
    with pytest.raises(AgentflowError, match='the surface "mcp" needs the package "mcp"'):
        surface.surfaces()


@pytest.mark.parametrize(
    ("lacks", "served"),
    [("a2a", "MCP"), pytest.param("mcp", "A2A JSON-RPC", marks=pytest.mark.slow)],
)
def test_serve_goes_on_with_the_surfaces_that_there_are(tmp_path: Path, lacks: str, served: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n\nsys.modules[{lacks!r}] = None\n", encoding="utf-8")
    (tmp_path / "agentflow.yaml").write_text(
        "name: hello\nworkflows: {hello: {steps: [{id: say, type: set, value: hello}]}}\n", encoding="utf-8"
    )
    with subprocess.Popen(
        [COMMAND, "serve", "--port", "0"],
        cwd=tmp_path, env={**clean_environ(), "PYTHONPATH": str(tmp_path)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        assert server.stderr is not None
        told = server.stderr.readline()
        server.send_signal(signal.SIGTERM)
        printed = server.stdout.read()
    assert told == f'not served: {lacks}, which needs the package "{lacks}": {installing(lacks)}\n'
    assert served in printed
    assert ("MCP" in printed) == (lacks != "mcp")
    assert ("A2A" in printed) == (lacks != "a2a")


@pytest.mark.anyio
async def test_who_opens_the_server_s_address_reads_where_its_doors_are() -> None:
    config = load_text("name: hello\nworkflows: {hello: {steps: [{id: say, type: set, value: hello}]}}\n")
    async with Engine.open(":memory:", config=config) as engine:
        transport = httpx.ASGITransport(create_app(engine, url="http://127.0.0.1:99"))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:99") as http:
            answer = await http.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert {"  MCP            http://127.0.0.1:99/mcp", "hello"} <= {*answer.text.splitlines()}
