"""The table of stable error codes: what each means, and how every door shows it.

A new code is a row in the module of its area; `agentflow/explain/CODE.md` is its page.
"""

from __future__ import annotations

from agentflow.codes.checks import CHECKS
from agentflow.codes.outside import OUTSIDE
from agentflow.codes.running import RUNNING
from agentflow.doors import DOORS, Code, Door


def door(code: str) -> Door:
    """Return how a code is told; an unknown one is a defect."""
    entry = CODES.get(code)
    return DOORS[entry.category if entry else "defect"]


CODES: dict[str, Code] = {**CHECKS, **RUNNING, **OUTSIDE}
