"""Points in time as people write them: ISO 8601, and cron expressions in a time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isnan
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agentflow.definition.durations import UnreadableError, number

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}


EARLIEST = -62_135_596_800.0
"""The beginning of the year 1, in seconds since the epoch."""
LATEST = 253_370_764_800.0
"""The beginning of the year 9999: what comes later can't be written as a date in every time zone."""
_MILLISECONDS = 1e11
"""Numbers from here on count milliseconds, as JavaScript's clock does; in seconds it is the year 5138."""
_DIGITS = re.compile(r"[+-]?\d{9,}(\.\d+)?", re.ASCII)
"""Text that is a number of seconds or milliseconds: a date has eight digits."""


def parse_time(value: object) -> float:
    """Read a point in time: ISO 8601 (without an offset: UTC), or seconds or milliseconds since the epoch.

    Returns:
        Seconds since the epoch.

    Raises:
        UnreadableError: it isn't a time, or isn't before the year 9999.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _counted(number(value))
    if not isinstance(value, str):
        raise UnreadableError("a time is text in ISO 8601, such as 2026-03-01T09:00:00Z")
    text = value.strip()
    if _DIGITS.fullmatch(text):
        return _counted(number(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableError(f'"{text[:100]}" is no ISO 8601 time, such as 2026-03-01T09:00:00Z') from None
    return _possible((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), f'"{text[:100]}"')


def later(moment: float, seconds: float) -> float:
    """Return the time that comes some seconds after another; raises UnreadableError when that is no date any more."""
    return _possible(moment + seconds, "it")


def nearest_date(moment: float) -> datetime:
    """Return the date of a stored time, in UTC; of one that no date can be, as older versions took, the nearest."""
    if isnan(moment):
        moment = 0.0
    return datetime.fromtimestamp(min(max(moment, EARLIEST), LATEST), UTC)


def _counted(count: float) -> float:
    seconds = count / 1000 if abs(count) >= _MILLISECONDS else count
    return _possible(seconds, f"{count:.15g}")


def _possible(seconds: float, shown: str) -> float:
    if EARLIEST <= seconds < LATEST:
        return seconds
    raise UnreadableError(
        f"{shown} is no time between the years 1 and 9999",
        "a number counts seconds or milliseconds since 1970; divide micro- or nanoseconds first",
    )


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; raises ValueError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'no time zone is called "{name}"') from None


def check_cron(expression: str) -> None:
    """Raise ValueError unless this is a cron expression of 5 or 6 fields (seconds first) that has a next time."""
    next_cron(expression, "UTC", 0.0)


def next_cron(expression: str, timezone: str, after: float) -> float:
    """Return the first time of a cron expression after a moment, as Debian's cron counts around clock changes.

    Args:
        expression: 5 fields, 6 with seconds first, or `@daily` and the like.
        timezone: IANA name.
        after: seconds since the epoch.

    Raises:
        ValueError: the expression or the zone isn't valid, or no time comes.
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415  only schedules need it

    text = NAMED.get(expression.strip().lower(), expression)
    try:
        moment = next(CronSim(text, datetime.fromtimestamp(after, zone(timezone))))
    except CronSimError as error:
        raise ValueError(f'"{expression}" is no cron expression: {error}') from None
    except StopIteration:
        raise ValueError(f'"{expression}" never comes') from None
    return moment.timestamp()
