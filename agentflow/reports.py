"""Reports of faults: the trace of an unexpected exception goes into a file, without secrets."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable


def described(error: BaseException) -> str:
    """Return an exception's trace; its class alone where even that can't be made."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # an exception of a user's may fail at anything
        return type(error).__name__


def report(error: BaseException, redact: Callable[[str], str], context: str = "") -> str | None:
    """Write an exception's trace into a file that only this user can read.

    Args:
        error: what nobody expected.
        redact: takes secrets out of a text.
        context: what is known besides, a line each.

    Returns:
        Its path, or None where there is no place for it.
    """
    try:
        import tempfile  # noqa: PLC0415  hardly ever

        text = redact(f"{_version()}\n{context}\n{described(error)}")
        handle, path = tempfile.mkstemp(prefix="agentflow-defect-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except Exception:  # a report that can't be made must not hide what it is about
        return None
    return path


def _version() -> str:
    import platform  # noqa: PLC0415  hardly ever

    ours = getattr(sys.modules.get("agentflow"), "__version__", "?")  # importing it here would lead around in a circle
    system = f"{platform.system()} {platform.machine()}"
    return f"agentflow {ours} · Python {platform.python_version()} · {system}"
