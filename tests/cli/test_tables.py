"""Tables: what goes first when the terminal is narrow."""

from __future__ import annotations

from agentflow.cli.shown import render
from agentflow.cli.tables import Column, cells, cut_to, layout, tabbed

COLUMNS = (
    Column("ID"),
    Column("STATE"),
    Column("WORKFLOW", cut=True),
    Column("NOW", cut=True),
    Column("STARTED", drop=1),
    Column("TOOK", drop=2),
)
ROWS = [
    ["7q3k2f", "✋ input-required", "report", "review: Approve the report?", "2m ago", "-"],
    ["61c9d4", "✘ failed", "report", "send: HTTP 503 from mail.example.com", "1h ago", "14.9s"],
]


def drawn(width: int) -> list[str]:
    return ["  ".join(row) for row in layout(COLUMNS, ROWS, width)]


def test_a_wide_terminal_shows_every_column_whole() -> None:
    head, first, second = drawn(120)
    assert head.split() == ["ID", "STATE", "WORKFLOW", "NOW", "STARTED", "TOOK"]
    assert first.endswith("2m ago   -")
    assert "send: HTTP 503 from mail.example.com  1h ago   14.9s" in second


def test_columns_drop_from_the_right_before_a_text_is_cut() -> None:
    assert drawn(88)[0].split() == ["ID", "STATE", "WORKFLOW", "NOW", "STARTED"]
    assert drawn(78)[0].split() == ["ID", "STATE", "WORKFLOW", "NOW"]
    assert "mail.example.com" in drawn(78)[2]


def test_id_and_state_are_never_cut() -> None:
    for width in range(20, 100):
        rows = drawn(width)
        assert rows[1].startswith("7q3k2f  ✋ input-required")
        assert rows[2].startswith("61c9d4  ✘ failed")


def test_sixty_columns_cut_what_it_does_now_and_fit() -> None:
    rows = drawn(60)
    assert rows[0].split() == ["ID", "STATE", "WORKFLOW", "NOW"]
    assert rows[2].endswith("…")
    assert all(cells(row) <= 60 for row in rows)


def test_wide_characters_count_double() -> None:
    assert cells("✋") == 2
    assert cut_to("漢字漢字", 5) == "漢字…"


def test_a_pipe_gets_whole_values_between_tabs() -> None:
    rows = tabbed(["ID", "NOW"], [["a", "two\nlines\there"]])
    assert [render(row) for row in rows] == ["ID\tNOW", "a\ttwo lines here"]
