"""Points in time as people write them: ISO 8601, and cron expressions in a time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def parse_time(value: object) -> float:
    """Read a point in time: ISO 8601 (without an offset: UTC), or seconds since the epoch.

    Returns:
        Seconds since the epoch.

    Raises:
        ValueError: it isn't a time.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise ValueError("a time is text in ISO 8601, such as 2026-03-01T09:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f'"{value}" is no ISO 8601 time, such as 2026-03-01T09:00:00Z') from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


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
