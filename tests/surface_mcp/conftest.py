"""Fixtures of the MCP server's tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from mcp import Client

from tests.cli.conftest import forker
from tests.cli.forks import Forker
from tests.surface_mcp.served import Shop, make

__all__ = ("client", "forker", "shared", "shop")


@pytest.fixture
def shop(tmp_path: Path, forker: Forker) -> Shop:
    """Return a folder of one test alone."""
    return make(tmp_path, forker)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Shop:
    """Return the folder that a module's tests share."""
    return make(tmp_path_factory.mktemp("shop"), forker)


@pytest.fixture(scope="module", params=["2026-07-28", "legacy"])
async def client(request: pytest.FixtureRequest, shared: Shop) -> AsyncGenerator[Client]:
    """Return a client at a server that a module's tests share, once in each era of the protocol."""
    async with shared.client(mode=request.param) as client:
        yield client
