"""Nothing writes to the terminal but the console: what goes around it wouldn't be cleaned."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "agentflow"
OF = {
    "sys": {"stdout", "stderr", "__stdout__", "__stderr__"},
    "os": {"write", "writev"},
    "out": {"write", "writelines"},
    "err": {"write", "writelines"},
}
LIBRARIES = {"rich", "click", "curses"}
WRITERS = {"echo", "secho", "echo_via_pager", "print_exc", "print_exception", "print_stack", "showwarning", "pprint"}
HANDLERS = {"StreamHandler", "basicConfig", "RichHandler"}
ALLOWED = {
    ("cli/streams.py", "sys.stdout"): "puts what cleans in the place of the process's streams",
    ("cli/streams.py", "sys.stderr"): "as above",
    ("cli/console.py", "out.write"): "the gate itself: what it writes is rendered",
    ("cli/console.py", "err.write"): "the gate itself",
    ("cli/writer.py", "os.write"): "the end of the way, behind the gate",
    ("cli/live.py", "rich.console"): "draws lines that the console has rendered, on the console's stream",
    ("cli/live.py", "rich.live"): "as above",
    ("cli/live.py", "rich.text"): "as above",
    ("cli/tables.py", "rich.cells"): "counts columns, writes nothing",
    ("config/functions.py", "sys.stderr"): "where the user's own modules print while they are imported",
    ("store/sqlite/file/liveness.py", "os.write"): "the file of a host's lock",
}
"""What may go around it, and why. A new line here needs a reason that good."""


def around(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what writes to a terminal by itself, or leads others to: (line, what)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in {"print", "input", *HANDLERS, *WRITERS}:
                yield node.lineno, node.func.id
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            if node.attr in WRITERS | HANDLERS or node.attr in OF.get(owner, ()):
                yield node.lineno, f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.split(".")[0] in LIBRARIES:
                yield node.lineno, module
            yield from ((node.lineno, f"{module}.{n.name}") for n in node.names if n.name in OF.get(module, ()))
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, n.name) for n in node.names if n.name.split(".")[0] in LIBRARIES)


@cache
def found() -> dict[tuple[str, str], list[int]]:
    """Return what there is in the package, with its lines."""
    places: dict[tuple[str, str], list[int]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for line, what in around(ast.parse(file.read_text(encoding="utf-8"))):
            places.setdefault((file.relative_to(PACKAGE).as_posix(), what), []).append(line)
    return places


def test_nothing_goes_around_the_console() -> None:
    new = {place: lines for place, lines in found().items() if place not in ALLOWED}
    assert not new, f"write it with Console, which cleans it: {new}"


def test_every_exception_is_still_needed() -> None:
    assert set(ALLOWED) <= set(found())


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("print('x')", "print"),
        ("import sys\nsys.stderr.write('x')", "sys.stderr"),
        ("from sys import stdout", "sys.stdout"),
        ("import typer\ntyper.echo('x')", "typer.echo"),
        ("console.err.write('x')", "err.write"),
        ("import os\nos.write(1, b'x')", "os.write"),
        ("from rich import print", "rich"),
        ("import traceback\ntraceback.print_exc()", "traceback.print_exc"),
        ("import logging\nlogging.StreamHandler()", "logging.StreamHandler"),
    ],
)
def test_it_would_be_seen(code: str, what: str) -> None:
    assert what in {each for _, each in around(ast.parse(code))}
