"""What steps need: native skills that the config grants, and connections that somebody authorised."""

from __future__ import annotations

from agentflow.requirements.checker import (
    Checker,
    is_valid,
    message,
    missing_error,
    native_skills,
)
from agentflow.requirements.custom import SkillProvider, is_custom, lack_of
from agentflow.requirements.preflight import Lack, Preflight, preflight_of
from agentflow.requirements.providers import ConnectionProvider, NoBook, Providers
from agentflow.requirements.wants import Want

__all__ = (
    "Checker", "ConnectionProvider", "Lack", "NoBook", "Preflight", "Providers", "SkillProvider", "Want", "is_custom",
    "is_valid", "lack_of", "message", "missing_error", "native_skills", "preflight_of",
)  # fmt: skip
