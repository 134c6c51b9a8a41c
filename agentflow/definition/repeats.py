"""What a retry policy may name under `on`: kinds of failures, and codes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentflow.codes import CODES
from agentflow.definition.models import RetryPolicy
from agentflow.definition.suggest import meant

FAILURES = ("network", "timeout", "http", "exit", "exception", "all")
"""Kinds of failures that a policy may name."""
FAILURES_HINT = f"kinds are {', '.join(FAILURES)}; or a code such as AF-HTTP-STATUS"
_CODE = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)+")


def unknown_failures(policy: RetryPolicy) -> Iterator[tuple[int, str, str | None]]:
    """Yield (number, name, what was meant) of names that no failure has; codes of one's own steps may be any."""
    for number, name in enumerate(policy.on):
        if name in FAILURES or name in CODES or (_CODE.fullmatch(name) and not name.startswith("AF-")):
            continue
        yield number, name, meant(name, CODES if name.upper().startswith("AF-") else FAILURES)
