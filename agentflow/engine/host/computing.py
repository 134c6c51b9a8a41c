"""Executes steps that only compute in the transaction that claims them.

Nothing outside sees whether such a step was executed before its claim was committed, so it needs no commit of its own:
were the commit refused, it is computed again. What costs much, or never comes to an end, must not keep everything else
waiting: so many of them in one transaction and no more, the others go to the workers.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, NoReturn

from agentflow.engine.attempt.execute import execute
from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.exchange import Attempt, Returned
from agentflow.engine.host.flush import Flush
from agentflow.engine.host.slots import Slots
from agentflow.engine.plan.carrying import carry_out
from agentflow.engine.plan.commands import Outcome
from agentflow.engine.plan.faults import contain
from agentflow.engine.plan.handing import attempt_of
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.redaction import use

MOST = 32
"""Steps that are computed in one transaction."""
SLICE = 0.002
"""Seconds after which no more of them are."""


class _Here:
    """How a step that is being computed is reached: not at all, it is over before anybody could."""

    interrupted: str | None = None

    @property
    def scope(self) -> NoReturn:
        raise RuntimeError("what only computes has no scope")

    def interrupt(self, reason: str) -> None:
        """Let it come to its end."""


_HERE = _Here()


class Computing:
    """Computes the claimed steps of a flush."""

    def __init__(self, process: Process, port: Port, slots: Slots) -> None:
        """Compute nothing yet.

        Args:
            process: what it offers to steps.
            port: answers what attempts ask.
            slots: take back those of what is over.
        """
        self._process = process
        self._port = port
        self._slots = slots

    def compute(self, flush: Flush) -> bool:
        """Execute claimed steps that only compute, and carry out what they come to; False: there are none."""
        ready = [pair for pair in flush.claimed if pair[1].program.spec.pure and _computes(*pair)]
        if not ready or flush.computed >= MOST:
            return False
        use(self._process.gate.redactor)
        end, over = time.monotonic() + SLICE, set[int]()
        for run, node in ready[: MOST - flush.computed]:
            if time.monotonic() > end:
                flush.computed = MOST
                break
            if self._compute(run, node):
                over.add(id(node))
        flush.claimed = [pair for pair in flush.claimed if id(pair[1]) not in over]
        flush.computed += len(over)
        return bool(over)

    def _compute(self, run: RunState, node: Node) -> bool:
        """Execute a step; False: it has to wait for something."""
        attempt = attempt_of(run, node)
        returned: Returned | None = (attempt, None)
        if isinstance(attempt, Attempt):
            returned = _run(execute(self._process, self._port, attempt, _HERE))
        if returned is None:
            return False
        self._slots.running -= 1
        try:
            carry_out(
                run.tree, Outcome(run.tree.key, run.key, node.n, node.attempt, node.address, returned[0], returned[1])
            )
        except BaseException as error:  # nothing here waits, so it is nobody's cancellation
            contain((run, node), error)
        return True


def _computes(run: RunState, node: Node) -> bool:
    program = node.program
    return (
        node.phase == "run"
        and node.entered is None
        and program.concurrency is None
        and program.update is None
        and run.cancel is None
        and len(run.tree.runs) == 1  # else what a child tells would come after its parent's end
        and node.halting is None
    )


def _run(work: Coroutine[Any, Any, Returned]) -> Returned | None:
    """Return what a coroutine that never waits returns; None: it does wait."""
    try:
        work.send(None)
    except StopIteration as end:
        returned: Returned = end.value
        return returned
    work.close()
    return None
