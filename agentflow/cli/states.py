"""The states of a run, as people name them."""

from __future__ import annotations

from collections.abc import Mapping

from agentflow.store.rows import State

STATES: Mapping[str, State] = {
    "submitted": "submitted",
    "working": "working",
    "input-required": "input-required",
    "auth-required": "auth-required",
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
    "rejected": "rejected",
}
