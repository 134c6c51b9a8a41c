"""The fields that steps of all types have."""

from __future__ import annotations

from agentflow.definition.field_names import written
from agentflow.definition.models import Step

COMMON: dict[str, str] = {
    written(name, info): name
    for name, info in Step.model_fields.items()
    if name not in ("id", "type", "config", "bodies")
}
"""Name in YAML → name in Python, of all common fields but `id` and `type`."""

HOOKS = ("on_success", "on_failure", "finally")
CONTAINER_ONLY = frozenset({*HOOKS, "on_error_siblings"})
