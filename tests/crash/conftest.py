"""Fixtures of crash tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.crash.scene import Scene
from tests.engine.conftest import clock, crew, lab, pytest_generate_tests

__all__ = ("clock", "crew", "lab", "pytest_generate_tests", "scene")


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A project of its own; no process of it outlives the test."""
    # a short path: a socket's has to fit into some hundred bytes
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Scene(Path(folder))
        try:
            yield made
        finally:
            made.end()
