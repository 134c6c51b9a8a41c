"""What is told of a failure besides its message: where an exception came from, and what led to it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from posixpath import basename
from typing import Any

from agentflow.cli.format import one_line, shorten
from agentflow.data import is_array, is_object
from agentflow.errors import Failure

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "(.+)", line (\d+)')
FRAMES = 4
"""Frames of an exception that are shown beside a run; `runs show --step` has all that are kept."""


UNDONE = 12
"""Undone steps that are named beside a failure."""


def cause(failure: Failure, limit: int = 60) -> str:
    """Say a failure in a few words: `HTTP 503`, or the beginning of its message with the place in the user's code."""
    status = failure.data.get("status")
    if isinstance(status, int):
        return f"HTTP {status}"
    return sentence(failure, limit)


def sentence(failure: Failure, limit: int) -> str:
    """Return a failure's message with the place in the user's code; a long message is cut, the place isn't."""
    place = failure.data.get("at")
    if not isinstance(place, str):
        return one_line(last_words(failure.message), limit)
    end = f" ({one_line(place, 200)})"
    return one_line(failure.message, max(limit - len(end), limit // 2)) + end


def last_words(message: str) -> str:
    """Return a message without the frames of a Python program's traceback: what matters stands at its end."""
    before, trace, after = message.partition(_TRACEBACK)
    lines = after.strip().splitlines()
    if not trace or len(lines) < 2:
        return message
    places = [found for line in lines if (found := _FRAME.match(line)) is not None]
    where = f" ({basename(places[-1][1])}:{places[-1][2]})" if places else ""
    return f"{before.rstrip()} {lines[-1].strip()}{where}".lstrip()


def trace_lines(data: Mapping[str, Any], most: int = FRAMES) -> list[str]:
    """Return the way through child runs to where it failed, the user's frames there, and those of what led to it.

    Args:
        data: a failure's data.
        most: how many frames an exception may show.
    """
    lines = [*_runs(data), *_undone(data), *_frames(data, most)]
    causes = data.get("causes")
    for each in causes if is_array(causes) else ():
        if is_object(each):
            lines.append(f"{each.get('how', 'caused by')} {each.get('message') or each.get('exception')}")
            lines += [f"  {line}" for line in _frames(each, most)]
    return lines


def _undone(data: Mapping[str, Any]) -> Iterator[str]:
    """Say what a saga has undone: `undone: flight, hotel`, and `could not undo: hotel: Exit code 1`."""
    report = data.get("compensated")
    entries = [each for each in report if is_object(each)] if is_array(report) else []
    done = [str(each.get("step")) for each in entries if each.get("reason") == "compensated"]
    if done:
        more = f" and {len(done) - UNDONE} more" if len(done) > UNDONE else ""
        yield f"undone: {', '.join(done[:UNDONE])}{more}"
    failed = [each for each in entries if each.get("reason") == "compensation_failed"]
    for each in failed[:UNDONE]:
        why = f": {one_line(str(each['message']), 200)}" if each.get("message") else ""
        yield f"could not undo: {each.get('step')}{why}"
    if len(failed) > UNDONE:
        yield f"could not undo {len(failed) - UNDONE} more"


def _runs(data: Mapping[str, Any]) -> Iterator[str]:
    runs = data.get("runs")
    parts: list[str] = []
    for each in runs if is_array(runs) else ():
        if not is_object(each):
            return
        step = f", step {each.get('step')}" if each.get("step") else ""
        parts.append(f"… {each['left_out']} more …" if "left_out" in each else f'"{each.get("workflow")}"{step}')
    if parts:
        yield f"in {' > '.join(parts)}"


def _frames(data: Mapping[str, Any], most: int) -> Iterator[str]:
    frames = data.get("traceback")
    if not is_array(frames):
        return
    if len(frames) > most:
        yield f"… {len(frames) - most} more"
    for frame in frames[-most:]:
        yield f"at {shorten(str(frame), 300)}"
