"""Fixtures of the command line's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load() -> ModuleType:
    """Import `project.py` beside this file: the tests are no package."""
    name = "agentflow_cli_test_project"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("project.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """Return a project in a fresh folder."""
    return load().make(tmp_path)
