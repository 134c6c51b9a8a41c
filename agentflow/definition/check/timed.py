"""When `schedule`, `recur` and `poll` go on: one of their times, one that can be read, and a pause or an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentflow.definition.check.report import Report, Spot
from agentflow.definition.check.triggers import check_cron
from agentflow.definition.durations import parse_duration
from agentflow.definition.scopes import Located
from agentflow.definition.times import parse_time


def check_schedule(located: Located, report: Report) -> None:
    """Check that a `schedule` has one time."""
    if _one(located, "after", "until", "5m", report):
        _readable(located, "after", parse_duration, report)
        _readable(located, "until", parse_time, report)


def check_recur(located: Located, report: Report) -> None:
    """Check that a `recur` has one kind of time, and that it pauses or ends."""
    config = located.step.config
    if not _one(located, "interval", "cron", "1h", report):
        return
    if config.get("cron") is not None:
        cron, timezone = Spot(located.address, "cron"), Spot(located.address, "timezone")
        check_cron(config["cron"], config.get("timezone"), cron, timezone, report)
        return
    if config.get("timezone") is not None:
        what = f'step "{located.step.id}" (recur) has a timezone, which only goes with cron'
        report.add("AF-FIELD-VALUE", what, Spot(located.address, "timezone", key=True), hint="remove `timezone`")
    pause = _readable(located, "interval", parse_duration, report)
    endless = config.get("until") in (None, False) and config.get("max") is None
    if pause == 0 and endless:
        _tell_endless(located, 'has no pause, and neither "max" nor "until" ends it', "max: 100", report)


def check_poll(located: Located, report: Report) -> None:
    """Check that a `poll` pauses or ends."""
    pause = _readable(located, "interval", parse_duration, report)
    if pause == 0 and located.step.timeout is None:
        _tell_endless(located, "has no pause, and no timeout ends it", "timeout: 10m", report)


def _one(located: Located, first: str, second: str, example: str, report: Report) -> bool:
    config = located.step.config
    if (config.get(first) is None) != (config.get(second) is None):
        return True
    both = config.get(first) is not None
    what = f'step "{located.step.id}" ({located.step.type}): give either {first} or {second}'
    spot = Spot(located.address, second, key=True) if both else Spot(located.address)
    report.add("AF-FIELD-VALUE", what, spot, hint=None if both else f"{first}: {example}")
    return False


def _readable(located: Located, field: str, parse: Callable[[Any], Any], report: Report) -> Any:
    """Return a constant field, read; None where it isn't constant or can't be read."""
    value = located.step.config.get(field)
    if value is None or (isinstance(value, str) and "{" in value):
        return None
    try:
        return parse(value)
    except (ValueError, TypeError) as error:
        what = f'"{field}" of step "{located.step.id}" ({located.step.type}): {error}'
        report.add("AF-FIELD-VALUE", what, Spot(located.address, field))
    return None


def _tell_endless(located: Located, why: str, hint: str, report: Report) -> None:
    what = f'step "{located.step.id}" ({located.step.type}) {why}: a loop has an end'
    report.add("AF-LOOP-ENDLESS", what, Spot(located.address), hint=hint)
