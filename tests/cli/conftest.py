"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.forks import Forker
from tests.cli.project import Project, clean_environ, make


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Return what runs commands without the time of their start."""
    made = Forker(clean_environ())
    yield made
    made.close()


@pytest.fixture
def project(tmp_path: Path, forker: Forker) -> Project:
    """Return a project in a fresh folder."""
    return make(tmp_path, forker)
