"""What a step that waits for a slot of its key waits for, in words."""

from __future__ import annotations

from agentflow.store.slot_rows import SlotWait


def waits_for(wait: SlotWait) -> str:
    """Return a line such as: waits for `deploy` (1 of 1 held by run abc123, step x)."""
    names = [f"run {run[-6:]}, step {step}" for run, step in wait.holders]
    more = wait.held - len(names)
    by = "; ".join(names) + (f" and {more} more" if more > 0 else "")
    ahead = f"; {wait.ahead} before it" if wait.ahead else ""
    return f"waits for `{wait.key}` ({wait.held} of {wait.limit} held{' by ' + by if by else ''}{ahead})"
