"""Reports of faults: the trace of an unexpected exception goes into a file, without secrets."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def described(error: BaseException) -> str:
    """Return an exception's trace; its class alone where even that can't be made."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # an exception of a user's may fail at anything
        return type(error).__name__


def report(error: BaseException, redact: Callable[[str], str]) -> str | None:
    """Write an exception's trace into a file of its own; returns its path, or None where there is no place for it.

    Args:
        error: what nobody expected.
        redact: takes secrets out of a text.
    """
    try:
        import tempfile  # noqa: PLC0415  hardly ever

        handle, path = tempfile.mkstemp(prefix="agentflow-defect-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(redact(described(error)))
    except OSError:
        return None
    return path
