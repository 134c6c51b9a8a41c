"""Durations as people write them."""

from __future__ import annotations

import pytest

from agentflow.definition.durations import parse_duration, remaining
from agentflow.definition.parse import parse_workflow
from agentflow.steps import registry


@pytest.mark.case("W-Y-2")
@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("1h 30m", 5400), ("2d", 172800), ("PT5M", 300), (90, 90)],
)
def test_a_duration_is_read_as_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds
    step = {"id": "a", "type": "set", "value": 1, "timeout": written}
    parsed = parse_workflow({"id": "w", "steps": [step]}, registry.find)
    assert parsed.workflow is not None
    assert parsed.workflow.steps[0].timeout == seconds


@pytest.mark.parametrize("written", ["", "3 parsecs", "P1M", "P1Y", "-3s", True, None, [], "1e300", "nan", -1])
def test_what_is_no_duration_is_told(written: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_duration(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.4, "0s"), (42, "42s"), (59.7, "1m"), (3539, "59m"), (3599, "1h"), (8040, "2h 14m"),
     (172795, "2d"), (169200, "1d 23h")],
)  # fmt: skip
def test_a_time_that_is_still_off_is_told_to_the_nearest(seconds: float, text: str) -> None:
    assert remaining(seconds) == text
