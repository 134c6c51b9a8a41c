"""Which tests say that they show something."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent.parent


@cache
def places(mark: str) -> dict[str, list[str]]:
    """Return what tests say by a mark that they show, each with the places of its marks."""
    found: dict[str, list[str]] = {}
    for file in _files():
        text = file.read_text(encoding="utf-8")
        if f"mark.{mark}(" not in text:  # to parse them all takes seconds
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(f"mark.{mark}"):
                for arg in node.args:
                    name = arg.value if isinstance(arg, ast.Constant) else ast.unparse(arg)
                    found.setdefault(str(name), []).append(f"{file.relative_to(TESTS)}:{node.lineno}")
    return found


def _files() -> Iterator[Path]:
    yield from sorted(TESTS.glob("test_*.py"))
    for folder in sorted(path for path in TESTS.iterdir() if path.is_dir() and path.name != "node"):
        yield from sorted(folder.rglob("test_*.py"))
