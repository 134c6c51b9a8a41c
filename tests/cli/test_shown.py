"""Texts from outside can only be read: they steer no terminal, turn nothing around and hide nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from agentflow.cli import shown
from agentflow.cli.format import one_line
from agentflow.cli.shown import bare, clean, cleaned_lines, made, render, safe_json, without_styles
from agentflow.cli.tables import Column, cells, layout
from agentflow.redaction import NOTHING, Redactor


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("one\ntwo\rthree", r"one\ntwo\rthree"),
        ("a\x85b\u2028c\u2029d", r"a\x85b\u2028c\u2029d"),
        ("x\x7f\x08y\x00", r"x\x7f\x08y\x00"),
        ("abc\u202edcba", r"abc\u202edcba"),
        ("\u2066a\u2069\u200e\u200f\u061c", r"\u2066a\u2069\u200e\u200f\u061c"),
        ("ad\u200bmin ad\u200dmin\u200c\ufeff\u2060\u00ad", r"ad\u200bmin ad\u200dmin\u200c\ufeff\u2060\xad"),
        ("A\U000e0041\U000e0042", r"A\U000e0041\U000e0042"),
        ("A\ufe00\ufe01😀\ufe0f\ufe0e", r"A\ufe00\ufe01😀️\ufe0e"),
        ("\u3164\u115f\uffa0", r"\u3164\u115f\uffa0"),
        ("half \ud800 of a pair \udcff", r"half \ud800 of a pair \udcff"),
        ("\ufffe\U0010ffff\ufdd0", r"\ufffe\U0010ffff\ufdd0"),
        ("a\tb", "a    b"),
    ],
)
def test_what_is_not_to_be_read_becomes_its_escape(text: str, seen: str) -> None:
    assert clean(text) == seen
    assert clean(clean(text)) == seen


@pytest.mark.parametrize(
    "text",
    ["größe 中文 日本　語 😀", "👨‍👩‍👧 ❤️ 🏴‍☠️ 1️⃣ ©️", "می‌خواهم", "क्‍ष", "葛󠄀城", "e\u0301", "שלום عربي", "\u00a0\u2026"],
)
def test_the_scripts_of_the_world_and_pictures_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_only_what_we_make_reaches_the_terminal_as_a_control_sequence() -> None:
    painted = made("\x1b[31m") + "a\x1b[32mb\n" + made("\x1b[0m")
    assert render(painted) == "\x1b[31ma\\x1b[32mb\\n\x1b[0m"
    assert bare(painted) == "a\x1b[32mb\n"


def test_a_text_cannot_imitate_what_we_make() -> None:
    frame = made("\x1b[2J")
    forged = [frame[1:], "\x1b" + "0" * 32 + "<\x1b[2J>"]
    for text in forged:
        assert "\x1b" not in render(text), text


def test_a_text_that_holds_line_breaks_is_cleaned_line_by_line() -> None:
    assert cleaned_lines("a\x1b\r\nb\rc\u2028\nd") == [r"a\x1b", "b", r"c\u2028", "d"]


def test_colours_of_other_programs_are_taken_out() -> None:
    assert without_styles("\x1b[1;31mred\x1b[0m \x1b[38:5:1mx\x1b[2J") == "red x\x1b[2J"


def test_json_means_the_same_when_it_is_safe() -> None:
    value = {"k\u202e": "\x7f\x9b31m\u2028\ud800\U000e0041\u200b \x1b 中 👨‍👩‍👧"}
    raw = safe_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(raw) == value
    assert "中 👨‍👩‍👧" in raw
    assert clean(raw.replace("\n", "")) == raw.replace("\n", "")


def test_widths_are_those_of_what_is_seen() -> None:
    head, row, other = layout([Column("A"), Column("B")], [["\x1b[2J", "x"], ["12345678", "y"]], 80)
    assert row == [r"\x1b[2J ", "x"]
    assert [cells(line[0]) for line in (head, row, other)] == [8, 8, 8]


@pytest.fixture
def hidden() -> Iterator[None]:
    """Hide a secret while a test runs."""
    shown.redact_by(Redactor({"TOKEN": "s3cr3t-token"}))
    yield
    shown.redact_by(NOTHING)


@pytest.mark.usefixtures("hidden")
def test_secrets_are_taken_out_before_a_text_is_cut_and_cleaned() -> None:
    assert one_line("key s3cr3t-token", 8) == "key ***"
    assert one_line({"k": "s3cr3t-token"}, 12) == '{"k": "***"}'
    assert render("a s3cr3t-token\x1b") == r"a ***\x1b"
