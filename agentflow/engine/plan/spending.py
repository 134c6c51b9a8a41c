"""What the attempts of a tree have used, each counted once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agentflow.store.usage_rows import UsageView
from agentflow.usage import NOTHING, Usage

_ITEM = re.compile(r"\[\d+\]")


class Spending:
    """What each attempt of a tree has told, and the most that an attempt of each step has used."""

    __slots__ = ("_attempts", "_most", "_told")

    def __init__(self, stored: Iterable[UsageView] = ()) -> None:
        """Begin with what is stored."""
        self._told: dict[tuple[int, int, int, int, str], Usage] = {}
        self._attempts: dict[tuple[int, int, int], Usage] = {}
        self._most: dict[tuple[str, str], tuple[int, int]] = {}
        for row in stored:
            self.tell(row.run, row.workflow, row.step, (row.n, row.attempt, row.entry), row.model, row.usage)

    def tell(
        self, run: int, workflow: str, address: str, of: tuple[int, int, int], model: str, used: Usage
    ) -> Usage | None:
        """Take what an entry of an attempt has used of a model so far; returns what is new of it, None: nothing."""
        key = (run, *of, model)
        before = self._told.get(key, NOTHING)
        if used.calls <= before.calls:  # it came twice, or late
            return None
        self._told[key] = used
        new = used - before
        attempt = (run, *of[:2])
        whole = self._attempts[attempt] = self._attempts.get(attempt, NOTHING) + new
        step = bare(workflow, address)
        cost, tokens = self._most.get(step, (0, 0))
        self._most[step] = max(cost, whole.parts), max(tokens, whole.tokens)
        return new

    def most(self, workflow: str, address: str) -> tuple[int, int] | None:
        """Return the most that an attempt of a step has used, as cost and tokens; None: none has told anything."""
        return self._most.get(bare(workflow, address))

    def of_attempt(self, run: int, n: int, attempt: int) -> Usage:
        """Return what an attempt has used so far."""
        return self._attempts.get((run, n, attempt), NOTHING)


def bare(workflow: str, address: str) -> tuple[str, str]:
    """Return what all items of a loop have in common: the step that they are of."""
    return workflow, _ITEM.sub("[]", address)
