"""Filters of published events."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.expressions import filter_matches

EVENT = {"kind": "push", "repo": {"name": "x", "tags": ["a", "b"]}, "n": 3, "dot.ted": 1, "flag": True}


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        {},
        "",
        {"kind": "push"},
        {"kind": "push", "n": 3},
        {"n": 3.0},
        {"repo.name": "x"},
        {"repo": {"name": "x"}},
        {"repo.tags.1": "b"},
        {"repo": {"tags": ["a", "b"]}},
        {"dot.ted": 1},
        {"missing": None},
        {"flag": True},
        "event.n > 2 && event.repo.name == 'x'",
        "event.kind in ['push', 'pull']",
        'event.kind == "push"',
        "{event.flag}",
        "event.missing == null",
    ],
)
def test_an_event_matches(wanted: Any) -> None:
    assert filter_matches(wanted, EVENT)


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "pull"},
        {"n": "3"},
        {"n": True},
        {"flag": 1},
        {"repo.name.x": 1},
        {"repo": {"name": "x", "more": 1}},
        {"repo": "x"},
        {"missing": 1},
        {"repo.tags": ["a"]},
        {"repo.tags.7": "b"},
        "event.n > 3",
        "event.missing > 3",
        "event.kind > 3",
        "this is no condition",
        "input.x == 1",
        7,
    ],
)
def test_an_event_does_not_match(wanted: Any) -> None:
    assert not filter_matches(wanted, EVENT)


@pytest.mark.parametrize("data", [None, "text", 3, [1], {}])
def test_data_of_any_kind_can_be_asked(data: Any) -> None:
    assert not filter_matches({"a.b": 1}, data)
    assert not filter_matches("event.a.b == 1 && true", data)
