"""Tables: columns drop from the right as the width shrinks, then texts are cut; ids and states stay whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentflow.cli.shown import clean, made

GAP = "  "


class Column(NamedTuple):
    """One column of a table."""

    title: str
    drop: int = 0
    """0: always there; else columns with the highest number are dropped first."""
    cut: bool = False
    """May be cut with `…` when nothing is left to drop."""
    least: int = 8
    """It isn't cut below this."""
    easy: int = 36
    """Down to this it is cut before another column drops: a long text doesn't push out all that stands beside it."""


def cells(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  only terminals need it

    return cell_len(text)


def cut_to(text: str, width: int) -> str:
    """Cut a text to a width in terminal columns, the last of them `…`."""
    if cells(text) <= width:
        return text
    kept = ""
    for char in text:
        if cells(kept + char) > width - 1:
            break
        kept += char
    return kept.rstrip() + "…"


def pad(text: str, width: int) -> str:
    """Fill a text with spaces up to a width in terminal columns."""
    return text + " " * (width - cells(text))


def layout(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Fit a table into a width.

    Args:
        columns: its columns.
        rows: their texts, one line each.
        width: columns of the terminal.

    Returns:
        Header and rows as padded texts of the columns that are left; the last column isn't padded.
    """
    rows = [[clean(text) for text in row] for row in rows]
    kept = list(range(len(columns)))
    widths = [max([cells(c.title), *(cells(row[n]) for row in rows)]) for n, c in enumerate(columns)]
    easy = [min(w, c.easy) if c.cut else w for w, c in zip(widths, columns, strict=True)]
    while _total(kept, easy) > width:
        droppable = [n for n in kept if columns[n].drop]
        if not droppable:
            break
        kept.remove(max(droppable, key=lambda n: (columns[n].drop, n)))
    over = _total(kept, widths) - width
    for n in reversed(kept):  # what stands further left says which one it is
        if over > 0 and columns[n].cut:
            less = min(over, max(widths[n] - columns[n].least, 0))
            widths[n] -= less
            over -= less
    table = [[column.title for column in columns], *rows]
    return [_fit(row, columns, kept, widths) for row in table]


def _total(kept: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[n] for n in kept) + len(GAP) * (len(kept) - 1)


def _fit(row: Sequence[str], columns: Sequence[Column], kept: Sequence[int], widths: Sequence[int]) -> list[str]:
    texts = [cut_to(row[n], widths[n]) if columns[n].cut else row[n] for n in kept]
    return [*(pad(text, widths[n]) for text, n in zip(texts[:-1], kept, strict=False)), texts[-1]]


def tabbed(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table for a pipe: full values, one tab between them, no tab or line break inside."""
    return [made("\t").join(" ".join(text.split()) for text in row) for row in [titles, *rows]]
