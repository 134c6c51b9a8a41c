"""Points in time as people and programs write them."""

from __future__ import annotations

import pytest

from agentflow.definition.durations import UnreadableError, parse_duration
from agentflow.definition.parse import parse_workflow
from agentflow.definition.times import LATEST, later, nearest_date, parse_time
from agentflow.steps import registry

MOMENT = 1_772_355_600.0  # 2026-03-01T09:00:00Z


@pytest.mark.parametrize(
    "written",
    [
        *("2026-03-01T09:00:00Z", "2026-03-01T10:00:00+01:00", "2026-03-01T09:00:00", " 2026-03-01 09:00 "),
        *(1_772_355_600, 1_772_355_600.0, 1_772_355_600_000, 1_772_355_600_000.0, "1772355600", "1772355600000"),
    ],
)
def test_a_time_is_iso_8601_or_counted_in_seconds_or_milliseconds(written: object) -> None:
    assert parse_time(written) == MOMENT


def test_seconds_and_milliseconds_are_told_apart_by_their_size() -> None:
    assert parse_time(99_999_999_999) == 99_999_999_999.0
    assert parse_time(100_000_000_000) == 100_000_000.0
    assert parse_time(-1.5) == -1.5
    assert parse_time("20260301") == parse_time("2026-03-01")
    assert parse_time("9998-12-31T23:59:59Z") < LATEST


@pytest.mark.parametrize(
    "written",
    [
        *(1_772_355_600_000_000, 1_772_355_600_000_000_000, 1e300, -1e300, 10**400, -(10**400), "9" * 5000),
        *(float("nan"), float("inf"), "9999-01-01", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_no_date_can_be_is_refused_with_a_hint(written: object) -> None:
    with pytest.raises(UnreadableError, match="is no time between the years 1 and 9999") as caught:
        parse_time(written)
    assert "seconds or milliseconds" in str(caught.value.hint)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("written", ["", "soon", "2026-13-01", True, None, [], {}])
def test_what_is_no_time_is_told(written: object) -> None:
    with pytest.raises(UnreadableError, match="ISO 8601"):
        parse_time(written)


@pytest.mark.parametrize(
    "written", [1e300, 10**400, float("nan"), "inf", "P99999999D", "9" * 5000 + "s", 1_772_355_600_000]
)
def test_a_duration_without_end_is_refused(written: object) -> None:
    with pytest.raises(UnreadableError, match="less than 3,000 years"):
        parse_duration(written)


@pytest.mark.parametrize("written", [-1, -(10**400), "-5", float("-inf")])
def test_a_negative_duration_is_refused(written: object) -> None:
    with pytest.raises(UnreadableError, match="can't be negative"):
        parse_duration(written)


def test_a_time_after_a_time_is_one_or_an_error() -> None:
    assert later(MOMENT, 60) == MOMENT + 60
    with pytest.raises(UnreadableError):
        later(LATEST - 1, 2)


@pytest.mark.parametrize(("stored", "year"), [(1e300, 9999), (float("inf"), 9999), (-1e300, 1), (float("nan"), 1970)])
def test_a_stored_time_that_no_date_can_be_is_shown_as_the_nearest(stored: float, year: int) -> None:
    assert nearest_date(stored).year == year


def test_a_time_out_of_range_is_told_where_it_stands() -> None:
    steps = [
        {"id": "a", "type": "set", "value": 1, "at": 1e300},
        {"id": "b", "type": "delay", "until": 1e300},
        {"id": "c", "type": "delay", "for": 1e300},
    ]
    problems = parse_workflow({"id": "w", "steps": steps}, registry.find).problems
    assert [(problem.code, problem.pointer) for problem in problems] == [
        ("AF-FIELD-VALUE", "/steps/0/at"),
        ("AF-FIELD-VALUE", "/steps/1/until"),
        ("AF-FIELD-VALUE", "/steps/2/for"),
    ]
