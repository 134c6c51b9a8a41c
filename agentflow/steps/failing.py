"""Turns whatever user code raises into the step's failure."""

from __future__ import annotations

import asyncio
import linecache
import math
import os
import sysconfig
import traceback
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import anyio

from agentflow.errors import AgentflowError, StepError
from agentflow.redaction import current

MAX_MESSAGE = 2000
MAX_FRAMES = 20
MAX_CAUSES = 5
"""Exceptions behind an exception, and exceptions in a group, that are told."""
_OWN = str(Path(__file__).resolve().parents[1]) + os.sep
_LIBRARIES = tuple(
    path + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_path(name))
)


class Asked(BaseException):
    """Ends an attempt whose call waits for an approval. Not an Exception: who catches those would go on without one."""


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an exception ends the step from outside, which nobody may swallow.

    User code can raise a cancellation of its own (an inner task that was cancelled): that is a failure like any other.
    """
    if isinstance(error, GeneratorExit | Asked):
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
    """Return the failure of a step whose user code raised: class and message, then the user's own frames.

    Args:
        error: what it raised; a `StepError` stays as it is.
        code: the code of anything that has none of its own.
    """
    if isinstance(error, StepError):
        return error
    data = raised(error)
    if isinstance(error, AgentflowError):
        return StepError(error.what, code=error.code, why=error.why, hint=error.hint, data=data)
    return StepError(message_of(error), code=code, why=_notes(error), data=data)


def raised(error: BaseException) -> dict[str, object]:
    """Return what is told of an exception beside its message, as a failure's `data`.

    `exception` is its class, `at` the place in the user's code, `traceback` the frames, `causes` what led to it.
    """
    data: dict[str, object] = {"exception": _name(error), **_where(error)}
    causes = [
        {"how": how, "exception": _name(each), "message": message_of(each), **_where(each)}
        for how, each in _behind(error)
    ]
    if causes:
        data["causes"] = causes
    return data


def message_of(error: BaseException) -> str:
    """Return an exception's class and text; of a group also what is in it."""
    name = _name(error)
    text = _text(error)
    if text and not text.startswith(f"{name}: "):
        text = f"{name}: {text}"
    if isinstance(error, BaseExceptionGroup):
        text += "".join(f"; {message_of(each)}" for each in _members(cast("BaseExceptionGroup[Any]", error)))
    return shorten(text or name)


def _name(error: BaseException) -> str:
    return shorten(type(error).__name__, 200)


def _text(error: BaseException) -> str:
    try:
        text = error.msg if isinstance(error, SyntaxError) and _source(error) else str(error)
        return text.strip()
    except BaseException:  # an exception of user code may fail at anything
        return ""


def _notes(error: BaseException) -> str | None:
    notes = getattr(error, "__notes__", None)
    if not isinstance(notes, list) or isinstance(error, AgentflowError):  # of ours they are told as they are
        return None
    texts = [each for each in cast("list[Any]", notes) if isinstance(each, str)]
    return shorten("\n".join(texts)) or None


def shorten(text: str, limit: int = MAX_MESSAGE) -> str:
    """Take secrets out of a text, cut it, and make it one that JSON can hold."""
    return current().head(text.encode("utf-8", "replace").decode(), limit)


def _behind(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """Yield the exceptions that led to one, nearest first, and those inside a group."""
    seen = {id(error)}
    current: BaseException | None = error
    for _ in range(MAX_CAUSES):
        how, current = _before(current)
        if current is None or id(current) in seen:
            break
        seen.add(id(current))
        yield how, current
    if isinstance(error, BaseExceptionGroup):
        for each in _members(cast("BaseExceptionGroup[Any]", error)):
            yield "inside", each


def _before(error: BaseException) -> tuple[str, BaseException | None]:
    if error.__cause__ is not None:
        return "caused by", error.__cause__
    return "while handling", None if error.__suppress_context__ else error.__context__


def _members(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    return list(group.exceptions[:MAX_CAUSES])


def of_user(error: BaseException) -> bool:
    """Tell whether an exception was raised in code of the user."""
    return any(_kind(code.co_filename) == "user" for code, _ in _codes(error.__traceback__))


def _where(error: BaseException) -> dict[str, object]:
    """Return an exception's frames, and the innermost place that is the user's."""
    try:
        frames, place = _frames(error)
    except BaseException:  # source files may be anything, and the working directory may be gone
        return {}
    return {"at": place, "traceback": frames} if frames else {}


def _frames(error: BaseException) -> tuple[list[str], str]:
    """Return the frames of the user's own code, innermost last, and the place of the last of them.

    Where a library raised, its own last frame follows them. Foreign frames alone are told where there are no others.
    """
    places = [(code.co_filename, line, code.co_name) for code, line in _codes(error.__traceback__)]
    source = _source(error)
    if source is not None:
        places.append(source)
    foreign = [place for place in places if _kind(place[0]) != "own"]
    users = [place for place in foreign if _kind(place[0]) == "user"]
    shown = (users or foreign)[-MAX_FRAMES:]
    if not shown:
        return [], ""
    last = f"{_shown(shown[-1][0])}:{shown[-1][1]}"
    if users and foreign[-1] is not users[-1]:
        shown.append(foreign[-1])
    return [shorten(_line(*place)) for place in shown], shorten(last)


def _codes(trace: TracebackType | None) -> Iterator[tuple[Any, int]]:
    for frame, line in traceback.walk_tb(trace):
        yield frame.f_code, line


def _source(error: BaseException) -> tuple[str, int, str] | None:
    """Return where a source file has a syntax error: no frame tells."""
    if not isinstance(error, SyntaxError) or not error.filename or error.filename.startswith("<"):
        return None
    return error.filename, error.lineno or 1, "<module>"


@lru_cache(maxsize=1024)
def _kind(filename: str) -> str:
    """Say whose code a file is: `own` (agentflow, or the interpreter's), `library`, or `user`."""
    if filename.startswith("<frozen "):
        return "own"
    path = filename if filename.startswith("<") else os.path.realpath(filename)
    if path.startswith(_OWN):
        return "own"
    return "library" if path.startswith(_LIBRARIES) else "user"


def _shown(filename: str) -> str:
    """Return a file's name as people look for it: from the working directory where it is below that."""
    inside = os.path.relpath(filename) if not filename.startswith("<") else filename
    return filename if inside.startswith("..") else inside


def _line(filename: str, line: int, name: str) -> str:
    linecache.checkcache(filename)
    text = linecache.getline(filename, line).strip()
    return f"{_shown(filename)}:{line}, in {name}" + (f": {text}" if text else "")
