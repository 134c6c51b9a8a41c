"""Marks and limits of a run's state in memory."""

from __future__ import annotations

SOON = 5.0
"""Seconds for which a run that only waits for a time stays in memory."""

ROOT = -1
"""Number of the node that stands for the run itself."""

SATISFYING = frozenset({"condition", "entry_point", "branch", "tolerated", "ended", "operator"})
"""Reasons with which a canceled step counts as satisfied for its dependents."""
