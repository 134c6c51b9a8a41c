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

MANIFESTS = {
    "case": Path(__file__).parent / "cases" / "manifest.toml",
    "a2a": Path(__file__).parent / "surface_a2a" / "conformance" / "requirements.toml",
}


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
    """Refuse ids of cases and requirements that no manifest has."""
    for mark, manifest in MANIFESTS.items():
        known = tomllib.loads(manifest.read_text(encoding="utf-8"))
        for item in items:
            for each in item.iter_markers(mark):
                if not each.args or not all(name in known for name in each.args):
                    raise pytest.UsageError(f"{item.nodeid}: {manifest.relative_to(manifest.parents[2])} has no {each}")
