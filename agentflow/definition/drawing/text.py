"""A workflow's graph in characters, for terminals: a line a step, lines between them, frames around what is nested."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from agentflow.definition.drawing.layers import Gaps, Point, Size
from agentflow.definition.drawing.picture import Block, Line, Shape, draw
from agentflow.definition.graph import Graph, Node, build, events
from agentflow.definition.models import Workflow
from agentflow.redaction import current

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_CHARS: Mapping[int, str] = {
    _UP | _DOWN: "│", _LEFT | _RIGHT: "─", _DOWN | _RIGHT: "╭", _DOWN | _LEFT: "╮", _UP | _RIGHT: "╰", _UP | _LEFT: "╯",
    _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤", _DOWN | _LEFT | _RIGHT: "┬", _UP | _LEFT | _RIGHT: "┴",
    _UP | _DOWN | _LEFT | _RIGHT: "┼", _UP: "│", _DOWN: "│", _LEFT: "─", _RIGHT: "─",
}  # fmt: skip
_GLYPHS = {
    **dict.fromkeys(("wait_for_input", "wait_for_event", "external_tool_call", "delay"), "◆"),
    **dict.fromkeys(("condition", "switch"), "◇"),
    **dict.fromkeys(("for_each", "while", "until", "recur"), "↻"),
    "workflow": "▶",
}
_LONGEST = 40
_LEAST = 12
Cells = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line of text, with the part of the picture that it is."""

    text: str
    kind: str = ""
    """`name`, `mark`, `type`, `line` or `back`."""


_NARROWER = (1.0, 0.85, 0.7, 0.55, 0.4)
"""Parts of the width that steps side by side may take: lines that pass them need some, too."""


def to_text(workflow: Workflow, width: int, cells: Cells = len) -> list[list[Piece]]:
    """Return the graph as lines of text, drawn or, where there is too little width for that, told.

    Args:
        workflow: what is drawn.
        width: how many columns there are.
        cells: tells how many of them a text takes.
    """
    graph = build(workflow)
    for part in _NARROWER:
        look = _Look(cells, width, round(part * width))
        block = draw(graph, look, width)
        if block.width <= width:
            return _drawn(block, look)
    return list(_told(graph, _Look(cells, width, width)))


def _drawn(block: Block, look: _Look) -> list[list[Piece]]:
    canvas = _Canvas(block, look.cells)
    for shape in block.shapes:
        if shape.node is None:
            canvas.frame(shape)
    for line in block.lines:
        canvas.line(line)
    for shape in block.shapes:
        canvas.texts(shape, look)
    return list(canvas.rows())


def _told(graph: Graph, look: _Look) -> Iterator[list[Piece]]:
    """Yield a line a step, with the steps that it comes after where those aren't just the one before."""
    names: dict[str, str] = {}
    before: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.edges:
        if edge.kind in ("after", "any"):
            before.setdefault(edge.target, []).append((edge.kind, edge.source))
    last: str | None = None
    for depth, event, item in events(graph):
        pad = Piece("  " * depth, "line")
        room = look.width - 2 * depth
        if event == "close":
            continue
        if event == "open":
            last = None
            yield [pad, Piece(look.cut(item.label, room), "type")]
            continue
        names[item.id] = item.label or "all of them"
        row = [pad, *look.pieces(item, room)]
        waits = before.get(item.id, [])
        if waits and [source for _, source in waits] != [last]:
            kind = "any of " if waits[0][0] == "any" else ""
            text = f"  after {kind}{', '.join(names.get(source, source) for _, source in waits)}"
            row.append(Piece(look.cut(text, max(room - sum(look.cells(piece.text) for piece in row[1:]), 0)), "line"))
        last = item.id
        yield [piece for piece in row if piece.text]


class _Look:
    """How a text looks."""

    boxed = False
    frame = (2, 1, 2, 1)
    margin = 2
    apart = 1

    def __init__(self, cells: Cells, width: int, widest: int) -> None:
        self.cells = cells
        self.width = width
        self.gaps = Gaps(across=3, down=1, track=1, line=1, widest=widest, centred=False)

    def node(self, node: Node, note: str, room: int) -> Size:
        """Return the size of a step's line."""
        del note
        return Size(sum(self.cells(piece.text) for piece in self.pieces(node, room)), 1, 0, 1)

    def caption(self, text: str) -> int:
        """Return how wide a frame must be for its caption."""
        return self.cells(self.cut(text, _LONGEST)) + 6 if text else 0

    def pieces(self, node: Node, room: int) -> list[Piece]:
        """Return what a step's line says, with no more of it than there is room for."""
        if node.step is None:
            return [Piece("○", "line")]
        glyph = Piece(_GLYPHS.get(node.type, "●") + " ", "mark" if node.marks else "name")
        marks = "".join(f" [{mark}]" for mark in node.marks)
        left = max(room - 2 - self.cells(marks), _LEAST)
        name = self.cut(node.label, min(_LONGEST, left))
        left -= self.cells(name) + 2
        kind = self.cut(node.named, left) if left >= min(6, self.cells(node.named)) else ""
        return [glyph, Piece(name, "name"), Piece(f"  {kind}" if kind else "", "type"), Piece(marks, "mark")]

    def cut(self, text: str, most: int) -> str:
        """Return a text of one line without secrets, cut to so many cells."""
        said = "".join(char if char.isprintable() else " " for char in current().text(text))
        if self.cells(said) <= most:
            return said
        while said and self.cells(said) > most - 1:
            said = said[:-1]
        return f"{said}…"


class _Canvas:
    """Cells that lines are drawn into, and texts over them."""

    def __init__(self, block: Block, cells: Cells) -> None:
        self.cells = cells
        self.width = block.width
        self.lines: list[dict[int, int]] = [{} for _ in range(block.height)]
        """Row → column → directions in which a line goes on."""
        self.back: set[tuple[int, int]] = set()
        self.over: list[dict[int, Piece]] = [{} for _ in range(block.height)]

    def frame(self, shape: Shape) -> None:
        """Draw a frame."""
        x, y, right, bottom = shape.x, shape.y, shape.x + shape.width - 1, shape.y + shape.height - 1
        corners = ((x, y), (right, y), (right, bottom), (x, bottom), (x, y))
        for one, other in pairwise(corners):
            self._draw(one, other)

    def line(self, line: Line) -> None:
        """Draw an edge, from the line below its source to the one above its target."""
        *points, (x, y) = line.points
        self._add(*points[0], _UP)
        self._add(x, y - 1, _DOWN)
        for one, other in pairwise([*points, (x, y - 1)]):
            self._draw(one, other)

    def _draw(self, one: Point, other: Point) -> None:
        (x1, y1), (x2, y2) = min(one, other), max(one, other)
        for x in range(x1, x2 + 1):
            self._add(x, y1, (_LEFT if x > x1 else 0) | (_RIGHT if x < x2 else 0))
        for y in range(y1, y2 + 1):
            self._add(x1, y, (_UP if y > y1 else 0) | (_DOWN if y < y2 else 0))

    def _add(self, x: int, y: int, ways: int) -> None:
        if 0 <= y < len(self.lines):
            self.lines[y][x] = self.lines[y].get(x, 0) | ways

    def texts(self, shape: Shape, look: _Look) -> None:
        """Write what a node or a frame says."""
        if shape.node is None:
            caption = look.cut(shape.caption, min(_LONGEST, shape.width - 6))
            bottom = shape.y + shape.height - 1
            if caption:
                self._put(shape.x + 2, shape.y, [Piece(f" {caption} ", "type")])
            if shape.back:
                self._put(shape.x, shape.y, [Piece("▲", "back")])
                self._put(shape.x + 2, bottom, [Piece(f" ↻ {look.cut(shape.back, shape.width - 8)} ", "back")])
            return
        self._put(shape.x, shape.y, look.pieces(shape.node, shape.width))

    def _put(self, x: int, y: int, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.text:
                self.over[y][x] = piece
                x += self.cells(piece.text)

    def rows(self) -> Iterator[list[Piece]]:
        """Yield the rows, each in pieces."""
        for lines, over in zip(self.lines, self.over, strict=True):
            row: list[Piece] = []
            x, drawn = 0, ""
            while x <= self.width:
                if x in over:
                    row += [Piece(drawn, "line"), over[x]]
                    drawn = ""
                    x += self.cells(over[x].text)
                else:
                    drawn += _CHARS[lines[x]] if x in lines else " "
                    x += 1
            row.append(Piece(drawn.rstrip(), "line"))
            yield [piece for piece in row if piece.text]
