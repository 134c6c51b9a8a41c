"""Reducers that are the user's code: they work in threads, and nobody but who needs what they make waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from anyio import CapacityLimiter, to_thread

from agentflow.data import decode, encode
from agentflow.engine.failures import failed_by
from agentflow.engine.gate import REDUCED, SHARED, Gate
from agentflow.engine.plan import reducing, shared, steps
from agentflow.engine.plan.carried import Folded, Reduced, Refolded, Worked, of_key
from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState
from agentflow.engine.plan.view import NodeView
from agentflow.engine.program import Program
from agentflow.errors import Failure, StepError
from agentflow.steps.failing import is_cancellation, step_error
from agentflow.store.loaded import LoadedRun
from agentflow.store.rows import SharedRow


class Reducers:
    """Calls reducers by their targets, `module:function`."""

    def __init__(self, function: Callable[[str], Callable[..., Any]], gate: Gate) -> None:
        """Begin; `function` finds what a target names."""
        self._function = function
        self._gate = gate

    async def work(self, run: RunState, node: Node, raw: bytes | None = None) -> Worked | Failure:
        """Let reducers work for a step; theirs is its failure.

        Args:
            run: its run.
            node: a step that waits for them, or has just been executed.
            raw: the result of one that has been executed, as JSON.
        """
        try:
            async with run.shared.turn:  # so that each works on what the one before has made
                if reducing.waits(node) and reducing.tries_again(node):
                    return Worked(refolded=await self._refolded(run, list(run.shared.stale)))
                return await self._reduced(run, node, node.result if raw is None else raw)
        except BaseException as error:
            if is_cancellation(error):
                raise
            return failed_by(self._gate, error)

    async def _reduced(self, run: RunState, node: Node, raw: bytes | None) -> Worked:
        """Fold a step's updates onto what the keys will be when it is taken in."""
        own = {key: run.program.reducers[key] for key in node.program.step.update or () if key in run.program.reducers}
        if not own:
            return Worked(raw)
        values, keys = _updates(run, node, raw), run.shared
        refolded = await self._refolded(run, [key for key in own if key in keys.stale])
        made: dict[str, Reduced] = {}
        for key, target in own.items():
            new = self._gate.data(values[key], SHARED)
            if key in refolded:
                old = refolded[key].value
                if isinstance(old, StepError):
                    raise of_key(key, old)
            else:
                keys.check(key)
                old = keys.ahead[key] if key in keys.ahead else shared.value_of(run, key)
            value = await _threaded(self._reduce, target, old, new)
            made[key] = Reduced(old, new, value)
            keys.ahead[key] = value
        return Worked(raw, made, refolded)

    async def _refolded(self, run: RunState, keys: Iterable[str]) -> dict[str, Refolded]:
        """Fold keys anew."""
        made: dict[str, Refolded] = {}
        for key in keys:
            rows = run.shared.of(key)
            made[key] = Refolded(rows, await _threaded(self._fold, run.program, key, rows))
        return made

    async def folded(self, runs: Sequence[LoadedRun], program: Callable[[str], Program]) -> dict[int, Folded]:
        """Fold what is stored of runs, before these are rebuilt."""
        made: dict[int, Folded] = {}
        for item in runs:
            its = program(item.row.definition)
            if item.shared and its.reducers:
                made[item.row.run] = await self.fold(its, item.shared)
        return made

    async def fold(self, program: Program, rows: Sequence[SharedRow]) -> Folded:
        """Fold the updates of a run."""
        values: dict[str, Any] = {}
        for key in program.reducers:
            own = [row for row in rows if row.key == key]
            if own:
                values[key] = await _threaded(self._fold, program, key, own)
        return Folded(len(rows), values)

    # in a thread

    def _fold(self, program: Program, key: str, rows: Sequence[SharedRow]) -> Any:
        """Return what a reducer makes of all updates of a key: an error, where it is gone or fails now."""
        value, target = program.workflow.context[key].default, program.reducers[key]
        try:
            for row in rows:
                value = self._reduce(target, value, decode(row.value))
        except Exception as error:
            return step_error(error, code="AF-STEP-RAISED")
        return value

    def _reduce(self, target: str, old: Any, new: Any) -> Any:
        """Return what a reducer makes of two values; raises StepError."""
        try:
            function = self._function(target)
        except StepError as error:
            raise StepError(
                f'its reducer "{target}" can\'t be used: {error.what}', code=error.code, kind="invalid",
                retryable=False, why=error.why, hint=error.hint,
            ) from error  # fmt: skip
        own = decode(encode(old))  # it may write into it
        try:
            return self._gate.data(function(own, decode(encode(new))), REDUCED)
        except BaseException as error:  # the user's code may raise anything
            raise step_error(error, code="AF-STEP-RAISED") from error


async def _threaded(call: Callable[..., Any], *args: Any) -> Any:
    """Call something in a thread of its own: one that blocks takes none from others, and is left when cancelled."""
    return await to_thread.run_sync(call, *args, abandon_on_cancel=True, limiter=CapacityLimiter(1))


def _updates(run: RunState, node: Node, raw: bytes | None) -> Mapping[str, Any]:
    """Return what a step's updates will be, once it is completed with a result: they see it."""
    compiled, values = node.program.update, steps.values_of(run, node)
    before = node.state, node.result, node.value
    node.state, node.result = "completed", raw
    try:
        return compiled.render(NodeView(run, node.scope, values)) if compiled is not None else {}
    finally:
        node.state, node.result, node.value = before
