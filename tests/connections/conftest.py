"""One authorization server for all tests of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cli.forks import Forker
from tests.cli.project import clean_environ
from tests.connections.people import Person, Provider, provider
from tests.node.tools import Node


@pytest.fixture(scope="session")
def server(node: Node) -> Iterator[Provider]:
    """Give the authorization server."""
    with provider(node) as started:
        yield started


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Return what runs commands without the time of their start."""
    made = Forker(clean_environ())
    yield made
    made.close()


@pytest.fixture
async def alice() -> AsyncIterator[Person]:
    """Give somebody with a browser."""
    person = Person("alice")
    yield person
    await person.close()


@pytest.fixture
async def bob() -> AsyncIterator[Person]:
    """Give somebody else."""
    person = Person("bob")
    yield person
    await person.close()
