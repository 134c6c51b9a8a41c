"""Reads what may be unreadable: older versions kept what isn't data, and one such value mustn't harm the rest."""

from __future__ import annotations

from typing import Any, Final

from agentflow.data import decode, salvaged
from agentflow.errors import Failure, StepError, StoreError

_FAILURE: Final = {"code": "AF-STORE-DAMAGED", "message": "the stored error can't be read", "retryable": False}


def read_result(raw: bytes, address: str) -> Any:
    """Return a step's result; raises StepError, which fails the step that reads it."""
    try:
        return decode(raw)
    except StoreError as error:
        what = f'the stored result of step "{address}" can\'t be read'
        raise StepError(what, code=error.code, kind="invalid", retryable=False, why=error.why) from None


def read_failure(raw: bytes | None) -> Failure | None:
    """Return a stored failure, or one that says that it can't be read."""
    data = salvaged(raw, _FAILURE) if raw else None
    return Failure.from_data(data) if data else None
