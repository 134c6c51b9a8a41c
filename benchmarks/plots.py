"""Two plots as SVG, drawn here: bars of steps/s, and lines of the time per step against the size of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape

COLORS = {
    "agentflow": "#1f77b4",
    "limit-batches": "#9aa0a6",
    "limit-commits": "#c9ccd1",
    "langgraph": "#d9822b",
    "dbos": "#3d9970",
    "restate": "#8e5bb5",
    "prefect": "#b5485d",
}
WIDTH = 760
LEFT = 130
RIGHT = 90
BAR = 15


def _svg(height: float, parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>', *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333" {extra}>{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def bars(title: str, groups: Mapping[str, Sequence[tuple[str, float, bool]]]) -> str:
    """Draw steps/s on a logarithmic scale: group → (system, steps/s, complete)."""
    values = [value for group in groups.values() for _, value, _ in group]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    room = WIDTH - LEFT - RIGHT

    def across(value: float) -> float:
        return (math.log10(value) - low) / max(1, high - low) * room

    parts = [_text(10, 20, title, extra='font-weight="bold"')]
    y = 40.0
    for name, group in groups.items():
        parts.append(_text(10, y + 11, name, extra='font-weight="bold"'))
        for system, value, complete in group:
            long = max(2.0, across(value))
            color = COLORS.get(system, "#777")
            parts.append(_text(LEFT - 6, y + 11, system, "end"))
            parts.append(f'<rect x="{LEFT}" y="{y:.1f}" width="{long:.1f}" height="{BAR - 3}" fill="{color}"/>')
            parts.append(_text(LEFT + long + 5, y + 11, f"{'' if complete else '≈ '}{_short(value)}"))
            y += BAR
        y += BAR
    for power in range(low, high + 1):
        x = LEFT + across(10**power)
        parts.append(f'<line x1="{x:.1f}" y1="34" x2="{x:.1f}" y2="{y - 8:.1f}" stroke="#ddd" stroke-width="0.5"/>')
        parts.append(_text(x, y + 6, f"{10**power:,}", "middle"))
    return _svg(y + 18, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Draw microseconds per step against steps, both logarithmic: name → points."""
    points = [point for line in series.values() for point in line] or [(100.0, 1.0), (1_000.0, 10.0)]  # empty axes
    box = [[math.log10(of(point[axis] for point in points)) for of in (min, max)] for axis in (0, 1)]
    box[1] = [math.floor(box[1][0]), math.ceil(box[1][1])]
    top, height, room = 36.0, 300.0, WIDTH - 70 - 190

    def place(point: tuple[float, float]) -> tuple[float, float]:
        shares = [
            (math.log10(value) - low) / max(1e-9, high - low) for value, (low, high) in zip(point, box, strict=True)
        ]
        return 70 + shares[0] * room, top + height - shares[1] * height

    parts = [_text(10, 20, title, extra='font-weight="bold"')]
    for power in range(int(box[1][0]), int(box[1][1]) + 1):
        y = place((10 ** box[0][0], 10**power))[1]
        parts.append(f'<line x1="70" y1="{y:.1f}" x2="{70 + room}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(64, y + 4, f"{10**power:,} µs", "end"))
    for power in range(math.ceil(box[0][0]), math.floor(box[0][1]) + 1):
        x = place((10**power, 10 ** box[1][0]))[0]
        parts.append(_text(x, top + height + 18, f"{10**power:,}", "middle"))
    hues = ("#1f77b4", "#d9822b", "#3d9970", "#8e5bb5", "#b5485d", "#17a2b8", "#6c757d")
    for number, (name, line) in enumerate(series.items()):
        hue = hues[number % len(hues)]
        places = [place(point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{hue}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{hue}"/>' for x, y in places]
        y = top + 12 + 18 * number
        parts.append(f'<rect x="{85 + room}" y="{y - 9:.1f}" width="12" height="10" fill="{hue}"/>')
        parts.append(_text(103 + room, y, name))
    parts.append(_text(70 + room / 2, top + height + 36, "steps of the run", "middle"))
    return _svg(top + height + 46, parts)
