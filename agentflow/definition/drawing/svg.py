"""A workflow's graph as an SVG that stands alone: light or dark as its viewer is, text that can be searched."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from agentflow.definition.drawing.layers import Gaps, Point, Size
from agentflow.definition.drawing.picture import Line, Shape, draw
from agentflow.definition.graph import Node, build
from agentflow.definition.models import Workflow
from agentflow.redaction import current

_ROOM = 1300
_EDGE = 28
_HEAD = 48
_BAR = 4
_NAME, _KIND, _PILL = 14, 12, 11
_LONGEST = 34
"""Characters of a name; all of it is told where the pointer rests."""
_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/\\ \"`-")
_WIDE = frozenset("mwMW@%&")
_ROUND = 7
_FAMILY = {
    **dict.fromkeys(("wait_for_input", "wait_for_event", "external_tool_call", "delay", "schedule", "poll"), "wait"),
    **dict.fromkeys(("condition", "switch"), "choice"),
    **dict.fromkeys(("for_each", "while", "until", "recur"), "loop"),
    **dict.fromkeys(("agent_run", "tool_call"), "agent"),
    **dict.fromkeys(("parallel", "sequence", "saga", "end", "join"), "group"),
    "workflow": "call",
}
_COLOURS = {
    "work": ("#2f6fde", "#6ea8fe"),
    "agent": ("#8250df", "#c297ff"),
    "wait": ("#bf8700", "#e3b341"),
    "choice": ("#0f8a8a", "#4ac7c7"),
    "loop": ("#1a7f37", "#56d364"),
    "group": ("#6e7781", "#9198a1"),
    "call": ("#bf3989", "#f778ba"),
}
"""Families of step types → their colours on light and on dark."""
_LIGHT_STYLE = """
.page{fill:#ffffff}.over{stroke:#ffffff}.card{fill:#ffffff;stroke:#c9d1d9}.hold{fill:#f6f8fa;stroke:#c9d1d9}
.frame{fill:#ffffff;stroke:#d0d7de}.hook{stroke-dasharray:5 4}
.name{fill:#1f2328}.kind,.caption{fill:#59636e}.line{stroke:#818b98}.tip{fill:#818b98}
.back{stroke:#1a7f37}.backtip{fill:#1a7f37}.mark{fill:#fff8c5;stroke:#d4a72c}.marked{fill:#6b4a00}
"""
_DARK_STYLE = """
.page{fill:#0d1117}.over{stroke:#0d1117}.card{fill:#161b22;stroke:#3d444d}.hold{fill:#11161d;stroke:#3d444d}
.frame{fill:#0d1117;stroke:#30363d}.name{fill:#f0f6fc}.kind,.caption{fill:#9198a1}.line{stroke:#7d8590}
.tip{fill:#7d8590}.back{stroke:#56d364}.backtip{fill:#56d364}.mark{fill:#3b2e00;stroke:#9e6a03}.marked{fill:#f2cc60}
"""
_STYLE = """
text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif}
.name{font-size:14px;font-weight:600}.kind{font-size:12px}.caption{font-size:12px}
.over{paint-order:stroke;stroke-width:4px}.marked{font-size:11px}.title{font-size:16px;font-weight:600}
.line,.back{fill:none;stroke-width:1.5}.dashed{stroke-dasharray:5 4}.dotted{stroke-dasharray:1.5 4;stroke-linecap:round}
"""


def to_svg(workflow: Workflow) -> str:
    """Return the graph as an SVG."""
    graph = build(workflow)
    block = draw(graph, _Look(), _ROOM)
    title = workflow.label or workflow.id
    width, height = max(block.width, round(_wide(title, 16))) + 2 * _EDGE, block.height + 2 * _EDGE + 28
    colours = "".join(f".{name}{{fill:{light}}}" for name, (light, _) in _COLOURS.items())
    dark = "".join(f".{name}{{fill:{each}}}" for name, (_, each) in _COLOURS.items())
    style = f"{_STYLE}{_LIGHT_STYLE}{colours}@media (prefers-color-scheme:dark){{{_DARK_STYLE}{dark}}}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f"role={quoteattr('img')} aria-label={quoteattr(_said(f'workflow {title}'))}>",
        f"<title>{_text(f'workflow {title}', 200)}</title>",
        f"<style>{' '.join(style.split())}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0.5L8 4L0 7.5z"/></marker><marker id="backtip" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="8" markerHeight="8" orient="auto"><path class="backtip" d="M0 0.5L8 4L0 7.5z"/></marker></defs>',
        f'<rect class="page" width="{width}" height="{height}"/>',
        f'<text class="name title" x="{_EDGE}" y="{_EDGE + 8}">{_text(title, 80)}</text>',
        f'<g transform="translate({(width - block.width) // 2} {_EDGE + 28})">',
        *(text for shape in block.shapes for text in _shape(shape)),
        *(text for line in block.lines for text in _line(line)),
        "</g>",
        "</svg>",
    ]
    return "\n".join([*parts, ""])


class _Look:
    """How an SVG looks."""

    gaps = Gaps(across=26, down=34, track=10, line=12, widest=1200)
    boxed = True
    frame = (16, 24, 16, 16)
    margin = 24
    apart = 14

    def node(self, node: Node, note: str, room: int) -> Size:
        """Return the size of a step's box, or of its head."""
        del room
        if node.step is None:
            return Size(10, 10, 5, 10)
        kind = _wide(node.named, _KIND) + sum(_wide(mark, _PILL) + 22 for mark in node.marks)
        name = _bold(node.label) + (_wide(_cut(note), _KIND) + 20 if note else 0)
        width = max(130, round(max(name, kind)) + 34)
        return Size(width, _HEAD, width // 2, _HEAD)

    def caption(self, text: str) -> int:
        """Return how wide a frame must be for its caption."""
        return round(_wide(_cut(text), _KIND)) + 28 if text else 0


def _wide(text: str, size: int) -> float:
    """Guess how wide a text is, rather too much: fonts differ."""
    total = 0.0
    for char in text:
        if unicodedata.east_asian_width(char) in "WF":
            total += 1.05
        elif char in _NARROW:
            total += 0.36
        elif char in _WIDE:
            total += 0.95
        else:
            total += 0.72 if char.isupper() else 0.6
    return total * size


def _bold(name: str) -> float:
    return _wide(_cut(name), _NAME) * 1.09


def _said(text: str) -> str:
    """Return a text without what XML can't hold."""
    return "".join(char if char.isprintable() else " " for char in current().text(text))


def _cut(text: str) -> str:
    said = _said(text)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def _text(text: str, limit: int) -> str:
    said = _said(text)
    return escape(said if len(said) <= limit else said[: limit - 1] + "…")


def _shape(shape: Shape) -> Iterator[str]:
    x, y, width, height, node = shape.x, shape.y, shape.width, shape.height, shape.node
    if node is None:
        hook = " hook" if shape.hook else ""
        yield f'<rect class="frame{hook}" x="{x}" y="{y}" width="{width}" height="{height}" rx="9"/>'
        yield f'<text class="caption" x="{x + 12}" y="{y + 16}">{escape(_cut(shape.caption))}</text>'
        if shape.back:
            yield f'<text class="caption" x="{x + 16}" y="{y + height - 6}">↻ {escape(_cut(shape.back))}</text>'
        return
    if node.step is None:
        yield f'<circle class="group" cx="{x + width // 2}" cy="{y + height // 2}" r="5"/>'
        return
    family = _FAMILY.get(node.type, "work")
    yield f"<g><title>{_text(f'{node.label}: {node.kind} {shape.caption}'.strip(), 400)}</title>"
    kind = "hold" if height > shape.head else "card"
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="9"/>'
    yield f'<rect class="{family}" x="{x + 6}" y="{y + 9}" width="{_BAR}" height="{shape.head - 18}" rx="2"/>'
    yield f'<text class="name" x="{x + 18}" y="{y + 20}">{escape(_cut(node.label))}</text>'
    if shape.caption:
        at = x + 18 + round(_bold(node.label)) + 10
        yield f'<text class="caption" x="{at}" y="{y + 20}">{escape(_cut(shape.caption))}</text>'
    yield f'<text class="kind" x="{x + 18}" y="{y + 38}">{escape(_cut(node.named))}</text>'
    at = x + 18 + round(_wide(node.named, _KIND)) + 9
    for mark in node.marks:
        wide = round(_wide(mark, _PILL)) + 12
        yield f'<rect class="mark" x="{at}" y="{y + 27}" width="{wide}" height="15" rx="7.5"/>'
        yield f'<text class="marked" x="{at + wide / 2}" y="{y + 38}" text-anchor="middle">{escape(mark)}</text>'
        at += wide + 6
    yield "</g>"


def _line(line: Line) -> Iterator[str]:
    edge, points = line.edge, line.points
    back = edge.kind == "again"
    look = {"any": " dashed", "on_success": " dashed", "finally": " dashed", "on_failure": " dotted"}.get(edge.kind, "")
    rises = points[-1][1] < points[0][1]
    style, tip = ("back", "backtip") if back else (f"line{look}", "tip")
    # a loop's last steps meet below: the one line from there has the arrow
    end = f' marker-end="url(#{tip})"' if rises or not back else ""
    yield f'<path class="{style}" d="{_path(points)}"{end}/>'
    x, y = points[0]
    if line.inward:
        yield f'<circle class="tip" cx="{x}" cy="{y}" r="3.5"/>'
    x, y = points[-1]
    if edge.kind == "any":
        yield f'<text class="caption over" x="{x + 7}" y="{y - 5}">any</text>'
    if back and rises:
        yield f'<text class="caption" x="{x + 8}" y="{points[1][1] - 5}">↻ {escape(_cut(edge.label))}</text>'


def _path(points: Sequence[Point]) -> str:
    """Return a way with its corners rounded."""
    kept = [point for number, point in enumerate(points) if not number or point != points[number - 1]]
    parts = [f"M{kept[0][0]} {kept[0][1]}"]
    for before, here, after in zip(kept, kept[1:], kept[2:], strict=False):
        room = min(_ROUND, _length(before, here) / 2, _length(here, after) / 2)
        start, end = _toward(here, before, room), _toward(here, after, room)
        parts.append(f"L{start[0]:g} {start[1]:g}Q{here[0]} {here[1]} {end[0]:g} {end[1]:g}")
    parts.append(f"L{kept[-1][0]} {kept[-1][1]}")
    return "".join(parts)


def _length(one: Point, other: Point) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _toward(here: Point, there: Point, far: float) -> tuple[float, float]:
    length = _length(here, there) or 1
    return here[0] + (there[0] - here[0]) / length * far, here[1] + (there[1] - here[1]) / length * far
