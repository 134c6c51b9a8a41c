"""What a wait asks somebody to sign in to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CONNECTION: Final = "connection"
"""What a wait names in its details that asks somebody to sign in."""


def asked_for(details: Mapping[str, Any]) -> str | None:
    """Return the connection that a wait asks somebody to sign in to; None: it asks for something else."""
    name = details.get(CONNECTION)
    return name if isinstance(name, str) else None
