"""Draws what terminals have shown, moment by moment, as one animated SVG: readable on light and on dark pages.

Who has asked their system for less motion, and programs that animate nothing, see the last moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

CELL, LINE, PAD, BAR = 8.4, 19, 12, 28
"""In pixels: a character's width, a line's height, the space around, a window's bar."""
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
LIGHT = {
    "page": "#ffffff", "edge": "#d0d7de", "bar": "#f6f8fa", "name": "#57606a", "default": "#1f2328", "red": "#cf222e",
    "green": "#116329", "brown": "#7d4e00", "blue": "#0550ae", "magenta": "#6639ba", "cyan": "#1b7c83",
}  # fmt: skip
DARK = {
    "page": "#0d1117", "edge": "#30363d", "bar": "#161b22", "name": "#9198a1", "default": "#e6edf3", "red": "#ff7b72",
    "green": "#56d364", "brown": "#e3b341", "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea",
}  # fmt: skip


class Span(NamedTuple):
    """A part of a line that looks alike."""

    column: int
    text: str
    color: str
    bold: bool


Line = tuple[Span, ...]
Frame = Sequence[Line]
"""What one terminal shows."""


@dataclass(frozen=True)
class Window:
    """A terminal: what stands in its bar, and its size."""

    title: str
    columns: int
    rows: int

    @property
    def height(self) -> int:
        """In pixels."""
        return BAR + 2 * PAD + self.rows * LINE


class Moment(NamedTuple):
    """What all terminals show from a time on, in seconds."""

    at: float
    frames: Sequence[Frame]


def draw(title: str, description: str, windows: Sequence[Window], moments: Sequence[Moment], length: float) -> str:
    """Return the SVG: `length` seconds, again and again."""
    width = round(max(window.columns for window in windows) * CELL + 2 * PAD)
    tops = [sum(window.height + PAD for window in windows[:number]) for number in range(len(windows))]
    height = tops[-1] + windows[-1].height
    names: dict[tuple[tuple[float, float], ...], str] = {}
    body: list[str] = []
    for number, window in enumerate(windows):
        body += _window(window, tops[number], width)
        for row in range(window.rows):
            for line, spans in _appearances([(at, frames[number][row]) for at, frames in moments], length).items():
                name = names.setdefault(tuple(spans), f"k{len(names)}")
                last = " z" if spans[-1][1] == length else ""
                body.append(f'<g class="{name}{last}">{"".join(_texts(line, tops[number], row))}</g>')
    style = "\n".join([*_colors(), *(_animation(name, spans, length) for spans, name in names.items())])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="title description">\n<title id="title">{escape(title)}</title>\n'
        f'<desc id="description">{escape(description)}</desc>\n<style>\n{style}\n</style>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _window(window: Window, top: int, width: int) -> Iterator[str]:
    box = f'x="0.5" y="{top + 0.5}" width="{width - 1}" rx="8"'
    yield f'<rect class="page edge" {box} height="{window.height - 1}"/>'
    yield f'<path class="bar" d="M1 {top + BAR}V{top + 9}a8 8 0 0 1 8-8H{width - 9}a8 8 0 0 1 8 8V{top + BAR}z"/>'
    yield f'<text class="name" x="{width / 2:g}" y="{top + 19}" text-anchor="middle">{escape(window.title)}</text>'


def _appearances(shown: Sequence[tuple[float, Line]], length: float) -> Mapping[Line, list[tuple[float, float]]]:
    """Return from when to when each content of a row is shown."""
    found: dict[Line, list[tuple[float, float]]] = {}
    ends = [at for at, _ in shown[1:]] + [length]
    for (start, line), end in zip(shown, ends, strict=True):
        if not line:
            continue
        spans = found.setdefault(line, [])
        if spans and spans[-1][1] == start:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return found


def _texts(line: Line, top: int, row: int) -> Iterator[str]:
    y = top + BAR + PAD + row * LINE + 14
    for span in line:
        look = f"c-{span.color}" + (" b" if span.bold else "")
        text = escape(span.text)
        yield f'<text class="{look}" x="{PAD + span.column * CELL:g}" y="{y}" xml:space="preserve">{text}</text>'


def _colors() -> Iterator[str]:
    yield f"text{{font:14px {FONT};white-space:pre}}.b{{font-weight:700}}.name{{font-size:12px}}"
    for palette, begin, end in ((LIGHT, "", ""), (DARK, "@media (prefers-color-scheme:dark){", "}")):
        rules = [f".{name}{{fill:{palette[name]}}}" for name in ("page", "bar", "name")]
        rules.append(f".edge{{stroke:{palette['edge']}}}")
        rules += [f".c-{name}{{fill:{color}}}" for name, color in palette.items()]
        yield begin + "".join(rules) + end
    yield "g{visibility:hidden}g.z{visibility:visible}"


def _animation(name: str, spans: Sequence[tuple[float, float]], length: float) -> str:
    steps = {0.0: "hidden"}
    for start, end in spans:
        steps[start] = "visible"
        steps[end] = "hidden"
    steps[length] = "visible" if spans[-1][1] == length else "hidden"
    frames = "".join(f"{at / length:.2%}{{visibility:{what}}}" for at, what in sorted(steps.items()))
    return (
        f"@keyframes {name}{{{frames}}}@media (prefers-reduced-motion:no-preference)"
        f"{{.{name}{{animation:{name} {length:g}s step-end infinite}}}}"
    )
