"""Durations as people write them."""

from __future__ import annotations

import pytest

from agentflow.definition.durations import parse_duration
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
