"""`graph`."""

from __future__ import annotations

import json
from pathlib import Path

from agentflow.cli.actions.definitions import load
from agentflow.cli.console import Console
from agentflow.cli.options import Common
from agentflow.cli.shown import redacted_data
from agentflow.cli.tables import cells
from agentflow.cli.targets import pick
from agentflow.cli.values import usage
from agentflow.definition.drawing.text import to_text
from agentflow.definition.graph import to_data, to_dot, to_mermaid
from agentflow.definition.models import Workflow
from agentflow.errors import InputError

FORMATS = ("text", "svg", "mermaid", "dot", "json")
_SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".dot": "dot", ".gv": "dot", ".json": "json", ".txt": "text"}
_STYLES = {"line": "dim", "type": "dim", "mark": "yellow", "back": "cyan", "name": "bold"}
_WIDEST = 200
"""Columns of a text where there is no terminal to fit."""


def graph(common: Common, target: str | None, shape: str | None, output: str | None) -> int:
    """Draw a workflow, or write its graph to a file."""
    if shape is not None and shape not in FORMATS:
        raise usage(f'there is no format "{shape}"', f"one of: {', '.join(FORMATS)}")
    config, name, file = load(common, target)
    workflow = pick(config, name, file or (config.file.name if config.file else None))
    console = common.console()
    if shape is None:
        by_file = _SUFFIXES.get(Path(output).suffix.lower(), "mermaid") if output else None
        shape = by_file or ("text" if console.out_terminal else "mermaid")
    if output is not None:
        _save(output, _text(workflow, shape))
        console.say(f"wrote {output}")
    elif shape == "json":
        console.document(redacted_data(to_data(workflow)))
    elif shape == "text":
        console.page(_lines(workflow, console))
    else:
        console.lines(_text(workflow, shape).rstrip("\n").split("\n"))
    return 0


def _save(file: str, text: str) -> None:
    path = Path(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f'can\'t write "{file}": {(error.strerror or "error").lower()}') from None


def _text(workflow: Workflow, shape: str) -> str:
    if shape == "json":
        return json.dumps(redacted_data(to_data(workflow)), ensure_ascii=False, indent=2) + "\n"
    if shape == "text":
        rows = to_text(workflow, _WIDEST, cells)
        return "".join("".join(piece.text for piece in row) + "\n" for row in rows)
    if shape == "svg":
        from agentflow.definition.drawing.svg import to_svg  # noqa: PLC0415  only here

        return to_svg(workflow)
    return to_mermaid(workflow) if shape == "mermaid" else to_dot(workflow)


def _lines(workflow: Workflow, console: Console) -> list[str]:
    """Return the lines of a drawing as they are shown: in the terminal's width, and in colour where there is some."""
    rows = to_text(workflow, console.width if console.out_terminal else _WIDEST, cells)
    return ["".join(console.paint(piece.text, _STYLES.get(piece.kind), out=True) for piece in row) for row in rows]
