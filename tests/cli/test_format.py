"""How values look: durations, times, one-line results."""

from __future__ import annotations

import pytest

from agentflow.cli.format import (
    ago,
    answer_line,
    clock_time,
    duration,
    iso,
    one_line,
    rough,
    to_ascii,
    value_line,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0004, "0ms"),
        (0.85, "850ms"),
        (0.9999, "1.0s"),
        (1, "1.0s"),
        (12.44, "12.4s"),
        (41, "41s"),
        (59.96, "1m 00s"),
        (185, "3m 05s"),
        (3600, "1h 0m"),
        (8040, "2h 14m"),
        (90000, "1d 1h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0s"), (42.9, "42s"), (125, "2m"), (7300, "2h"), (200000, "2d")])
def test_a_rough_duration_has_one_unit(seconds: float, text: str) -> None:
    assert rough(seconds) == text


def test_times_are_relative_in_both_directions() -> None:
    assert ago(1000, 1125) == "2m ago"
    assert ago(1000 + 58 * 60, 1000) == "in 58m"


def test_json_carries_times_in_utc() -> None:
    assert iso(0.5) == "1970-01-01T00:00:00.500Z"
    assert iso(None) is None


def test_a_long_value_is_cut_without_being_encoded_whole() -> None:
    assert one_line({"rows": list(range(1000))}, 20) == '{"rows": [0, 1, 2, …'
    assert one_line("two\nlines\tof text") == "two lines of text"


def test_answers_read_like_sentences() -> None:
    assert value_line({"decision": "approve"}) == "approve"
    assert value_line({"decision": "approve", "amount": 400}) == "decision=approve, amount=400"
    assert answer_line({"decline": "too late"}) == "declined: too late"
    assert answer_line({"failure": "no route"}) == "failed: no route"
    assert answer_line({"value": True}) == "true"


def test_every_glyph_has_a_form_for_terminals_without_utf_8() -> None:
    assert to_ascii("✔ ✘ ✋ ● ↻ … · › -").isascii()


@pytest.mark.parametrize(
    ("stored", "told"), [(1_764_000_000_000.0, "9999-01-01T00:00:00.000Z"), (float("nan"), "1970-01-01T00:00:00.000Z")]
)
def test_a_stored_time_beyond_all_dates_is_shown_as_far_as_it_goes(stored: float, told: str) -> None:
    assert iso(stored) == told
    assert len(clock_time(stored)) == 8
    assert ago(stored, 0.0)
    assert rough(float("inf")) == duration(float("inf"))[:10] == "115740740d"
