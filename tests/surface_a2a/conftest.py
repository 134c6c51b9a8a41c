"""Servers for tests: one for all of a module's, and one of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.surface_a2a.served import WORKFLOWS, Server


@pytest.fixture(scope="module")
def server_config() -> str:
    """The config of the server that the tests of a module share; a module may have one of its own."""
    return WORKFLOWS


@pytest.fixture(scope="module")
def server(server_config: str) -> Iterator[Server]:
    """A server that the tests of a module share."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder), config=server_config)
        try:
            yield made
        finally:
            made.end()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, in one folder; none outlives the test."""
    started: list[Server] = []
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:

        def start(*words: str, **fields: Any) -> Server:
            started.append(Server(Path(folder), *words, **fields))
            return started[-1]

        try:
            yield start
        finally:
            for each in started:
                each.end()
