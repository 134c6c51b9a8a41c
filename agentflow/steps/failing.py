"""Turns whatever user code raises into the step's failure."""

from __future__ import annotations

import asyncio
import math
import os
import sysconfig
import traceback
from pathlib import Path

import anyio

from agentflow.errors import AgentflowError, StepError

MAX_MESSAGE = 2000
MAX_FRAMES = 20
_OWN = str(Path(__file__).resolve().parents[1]) + os.sep
_LIBRARIES = tuple(
    path + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))
)


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an exception ends the step from outside, which nobody may swallow.

    User code can raise a cancellation of its own (an inner task that was cancelled): that is a failure like any other.
    """
    if isinstance(error, GeneratorExit):
        return True
    if not isinstance(error, anyio.get_cancelled_exc_class()):
        return False
    if anyio.current_effective_deadline() == -math.inf:
        return True
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return True
    return task is None or task.cancelling() > 0


def step_error(error: BaseException, *, code: str = "AF-PYTHON-RAISED") -> StepError:
    """Return the failure of a step whose user code raised: the message first, then only the user's own frames.

    Args:
        error: what it raised; a `StepError` stays as it is.
        code: the code of anything that has none of its own.
    """
    if isinstance(error, StepError):
        return error
    data: dict[str, object] = {"exception": type(error).__name__}
    frames = user_frames(error)
    if frames:
        data["traceback"] = frames
    if isinstance(error, AgentflowError):
        return StepError(error.what, code=error.code, why=error.why, hint=error.hint, data=data)
    return StepError(message_of(error), code=code, data=data)


def message_of(error: BaseException) -> str:
    """Return an exception's text; its class's name where the text alone says nothing."""
    name = type(error).__name__
    try:
        text = str(error).strip()
    except BaseException:  # an exception of user code may fail at anything
        text = ""
    if not text:
        text = name
    elif isinstance(error, LookupError | SystemExit | RecursionError):
        text = f"{name}: {text}"
    return shorten(text)


def shorten(text: str, limit: int = MAX_MESSAGE) -> str:
    """Cut a text, and make it one that JSON can hold."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def user_frames(error: BaseException) -> list[str]:
    """Return the frames of the user's own code, innermost last; all foreign ones where there are none."""
    try:
        frames = traceback.extract_tb(error.__traceback__)
    except BaseException:  # source files may be anything
        return []
    foreign = [frame for frame in frames if not _absolute(frame.filename).startswith(_OWN)]
    users = [frame for frame in foreign if not _absolute(frame.filename).startswith(_LIBRARIES)]
    return [shorten(_line(frame)) for frame in (users or foreign)[-MAX_FRAMES:]]


def _absolute(filename: str) -> str:
    return filename if filename.startswith("<") else os.path.realpath(filename)


def _line(frame: traceback.FrameSummary) -> str:
    name = frame.filename
    inside = os.path.relpath(name) if not name.startswith("<") else name
    shown = name if inside.startswith("..") else inside
    source = f": {frame.line}" if frame.line else ""
    return f"{shown}:{frame.lineno}, in {frame.name}{source}"
