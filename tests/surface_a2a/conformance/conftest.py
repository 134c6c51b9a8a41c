"""One server for all conformance tests of a process, and a client of each binding."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.surface_a2a.conformance.wire import Binding, Wire
from tests.surface_a2a.served import Server

AGENT = (Path(__file__).parent / "agent.yaml").read_text(encoding="utf-8")
BINDINGS: list[Binding] = ["JSONRPC", "HTTP+JSON"]


@pytest.fixture(scope="session")
def agent() -> Iterator[Server]:
    """A served config whose one workflow does what the id of a message says."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder), config=AGENT)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(scope="module")
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    """A client of HTTP."""
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


@pytest.fixture(params=BINDINGS)
def wire(request: pytest.FixtureRequest, http: httpx.AsyncClient, agent: Server) -> Wire:
    """A client of each binding."""
    return Wire(http, agent.url, request.param)


@pytest.fixture
def rpc(http: httpx.AsyncClient, agent: Server) -> Wire:
    """A client of JSON-RPC."""
    return Wire(http, agent.url, "JSONRPC")


@pytest.fixture
def rest(http: httpx.AsyncClient, agent: Server) -> Wire:
    """A client of HTTP+JSON."""
    return Wire(http, agent.url, "HTTP+JSON")
