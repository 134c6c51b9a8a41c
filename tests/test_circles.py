"""No module imports another one that leads back to it: not at its top, nor inside functions, nor for types."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.trees import statements

ROOT = Path(__file__).parents[1]


def modules() -> dict[str, Path]:
    """Return the files of the package by module."""
    found: dict[str, Path] = {}
    for file in (ROOT / "agentflow").rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(file: Path, known: dict[str, Path]) -> set[str]:
    """Return what a module imports of the package, wherever in it."""
    found: set[str] = set()
    for node in statements(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in known else node.module for name in inner}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & known.keys()


def test_no_module_leads_back_to_itself() -> None:
    known = modules()
    graph = {name: imports(file, known) - {name} for name, file in known.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
    assert len(order) == len(known) > 200
