"""Shared by all tests: the event loop, hypothesis profiles, and the check of case ids."""

from __future__ import annotations

import functools
import os
import ssl
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.node.tools import Node, installed

settings.register_profile("default", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "default")

MANIFEST = Path(__file__).parent / "cases" / "manifest.toml"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def trusted() -> Iterator[None]:
    """Read the certificates that HTTP clients trust once: it takes longer than most tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def node() -> Node:
    """Return Node with the JavaScript packages of the tests."""
    return installed()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse case ids that the manifest doesn't have."""
    known = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    for item in items:
        for mark in item.iter_markers("case"):
            if not mark.args or not all(case in known for case in mark.args):
                raise pytest.UsageError(f"{item.nodeid}: no such case in tests/cases/manifest.toml: {mark.args}")
