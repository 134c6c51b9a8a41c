"""What runs have used, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from agentflow.cli.desk import Desk
from agentflow.engine.models import Run
from agentflow.errors import NotFoundError
from agentflow.usage import Usage, text_of

if TYPE_CHECKING:
    from agentflow.engine.read.spent import Limit


def money(used: Usage) -> str:
    """Return a cost, all digits of it."""
    noun = "call" if used.unpriced == 1 else "calls"
    more = f" and {used.unpriced:,} {noun} without a price" if used.unpriced else ""
    return f"{text_of(used.parts)} {used.currency}{more}"


def tokens(used: Usage) -> str:
    """Return how many tokens went and came."""
    cached = f" ({used.cached_tokens:,} cached)" if used.cached_tokens else ""
    return f"{used.input_tokens:,} tokens in{cached}, {used.output_tokens:,} out"


def spent_line(used: Usage) -> str:
    """Return all of it in a line."""
    calls = "1 call" if used.calls == 1 else f"{used.calls:,} calls"
    return ", ".join([money(used), *([tokens(used)] if used.tokens else []), calls])


def spent_short(used: Usage) -> str:
    """Return what is told of a step among others."""
    if used.parts or not used.tokens:
        return f"{text_of(used.parts)} {used.currency}"
    return f"{used.tokens:,} tokens"


async def spent_lines(desk: Desk, run: Run, budget: Sequence[Limit]) -> list[str]:
    """Say what a run has used, and what was used before by the run that it goes on from."""
    lines = [f"usage   {spent_line(run.usage)}"] if run.usage else []
    if budget:
        lines.append("budget  " + ", ".join(f"{each.kind} {each.used} of {each.limit}" for each in budget))
    if run.retry_of is not None:
        with suppress(NotFoundError):
            before = await desk.reader.get(run.retry_of, output=False)
            if before.usage:
                lines.append(f"before  {spent_line(before.usage)}, in the run that it retries: not counted here")
    return lines
