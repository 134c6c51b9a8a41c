"""Says which computed value doesn't fit a step's field."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from agentflow.definition.faults import explain, quoted, real_path, value_at
from agentflow.errors import StepError
from agentflow.steps.contract import StepType

_HIDDEN = " has a value that doesn't fit"


def fitted(spec: StepType, fields: Mapping[str, Any]) -> BaseModel:
    """Return the fields of a step's type, validated; raises StepError where a computed value doesn't fit its field."""
    try:
        return spec.config.model_validate(fields)
    except ValidationError as error:
        raise _misfit(error, fields, spec.outbound) from None


def _misfit(error: ValidationError, fields: Mapping[str, Any], hidden: Collection[str]) -> StepError:
    """Return the failure of a step whose computed fields aren't as its type wants them.

    Args:
        error: what pydantic found; the first field is told.
        fields: what it looked at.
        hidden: fields that may hold secrets: their values aren't shown.
    """
    data, details = dict(fields), error.errors(include_url=False)
    paths = [real_path(data, detail["loc"], detail["type"] in ("missing", "extra_forbidden")) for detail in details]
    path = paths[0]
    same = [detail for detail, other in zip(details, paths, strict=True) if other == path]
    code, words, hint = "AF-FIELD-VALUE", _HIDDEN, None
    if same[0]["type"] in ("missing", "extra_forbidden"):
        words = " is missing" if same[0]["type"] == "missing" else " is no field of it"
    elif not path or path[0] not in hidden:
        code, words, hint = explain(same, value_at(data, path))
    what = f"{quoted(path)}{words}" if path else words.removeprefix(": ")
    return StepError(what, code=code, kind="invalid", retryable=False, hint=hint)
