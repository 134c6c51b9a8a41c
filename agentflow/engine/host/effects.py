"""Carries out what committed transitions do outside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from agentflow.engine.plan.effects import Effect, Interrupt, Reap, Withdraw

log = logging.getLogger("agentflow")


def carry_out(effects: Iterable[Effect], withdraw: Callable[[Withdraw], None]) -> None:
    """Carry out what was decided, in this order; `withdraw` takes what is begun elsewhere, and will be taken back."""
    for effect in effects:
        if isinstance(effect, Interrupt):
            if effect.step.lease is not None:  # else it has come to its end meanwhile
                effect.step.lease.interrupt(effect.reason)
        elif isinstance(effect, Withdraw):
            withdraw(effect)
        else:
            reap(effect)


def reap(effect: Reap) -> None:
    """End what an attempt has left behind. What goes wrong then doesn't keep the step from being entered again."""
    try:
        effect.reap(effect.saved)
    except BaseException as error:  # it may be the user's
        log.warning("what step %s has left behind can't be ended: %s", effect.address, type(error).__name__)
