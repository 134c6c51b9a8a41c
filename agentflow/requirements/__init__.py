"""What steps need: native skills that the config grants, and connections that somebody authorised."""

from __future__ import annotations

from agentflow.requirements.checker import (
    Checker,
    ConnectionProvider,
    is_valid,
    message,
    missing_error,
    native_skills,
)

__all__ = ("Checker", "ConnectionProvider", "is_valid", "message", "missing_error", "native_skills")
