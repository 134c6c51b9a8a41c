"""Reducers that are the user's code: they run in a thread, ahead of the transition that needs what they make.

A reducer is a pure function of two values, so what it made of them is remembered for a while. A transition that finds
nothing remembered (of a container's own update, or after a guess that came to nothing) calls it by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import anyio
from anyio import to_thread

from agentflow.data import decode, digest, encode
from agentflow.definition.models import SharedKey
from agentflow.engine.gate import REDUCED, Gate
from agentflow.engine.state import Node, RunState
from agentflow.engine.view import NodeView
from agentflow.errors import StepError
from agentflow.reports import described
from agentflow.steps.failing import step_error
from agentflow.store.loaded import LoadedRun

log = logging.getLogger("agentflow")

MOST = 1024
"""Results that are remembered."""
UNMADE = object()


class Reducers:
    """Calls reducers by their targets, `module:function`."""

    def __init__(self, function: Callable[[str], Callable[..., Any]], gate: Gate) -> None:
        """Remember nothing yet."""
        self._function = function
        self._gate = gate
        self._made: dict[tuple[str, str, str], Any] = {}
        """What reducers made of two values, or the error that they raised."""
        self._ahead: dict[int, dict[str, Any]] = {}
        """Values of runs' keys as they will be when the steps that have ended are taken in."""
        self._turns: dict[int, anyio.Lock] = {}

    def reduce(self, target: str, old: Any, new: Any) -> Any:
        """Return what a reducer makes of two values; raises StepError."""
        name = (target, digest(encode(old)), digest(encode(new)))
        made = self._made.get(name, UNMADE)
        if made is UNMADE:
            function = self._found(target)
            try:
                made = self._gate.data(function(old, new), REDUCED)
            except BaseException as error:  # the user's code may raise anything
                made = step_error(error, code="AF-STEP-RAISED")
            self._made[name] = made
            if len(self._made) > MOST:
                self._made.pop(next(iter(self._made)), None)
        if isinstance(made, StepError):
            raise made
        return made

    def _found(self, target: str) -> Callable[..., Any]:
        try:
            return self._function(target)
        except StepError as error:
            raise StepError(
                f'its reducer "{target}" can\'t be used: {error.what}', code=error.code, kind="invalid",
                retryable=False, why=error.why, hint=error.hint,
            ) from error  # fmt: skip

    async def ahead(self, run: RunState, node: Node, raw: bytes) -> None:
        """Let reducers work on the updates of a step that has ended with a result, before it is taken in."""
        context = run.program.workflow.context
        wanted = {key: context[key].reducer for key in node.program.step.update or () if key in context}
        wanted = {key: target for key, target in wanted.items() if ":" in target}
        if not wanted:
            return
        turn = self._turns.setdefault(run.key, anyio.Lock())
        try:
            async with turn:
                await self._work(run, wanted, _updates(run, node, raw))
        except Exception as error:  # the transition meets it too, and tells
            told = self._gate.text(described(error))
            log.debug("updates of %s couldn't be made ahead: %s", node.address, told)
        finally:
            if not turn.statistics().tasks_waiting:
                self._turns.pop(run.key, None)
                self._ahead.pop(run.key, None)

    async def _work(self, run: RunState, wanted: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Fold updates onto what the keys will be then: steps that end together are taken in one after the other."""
        will_be = self._ahead.setdefault(run.key, {})
        for key, target in wanted.items():
            default = run.program.workflow.context[key].default
            old = will_be.get(key, run.shared.values.get(key, default))
            will_be[key] = await to_thread.run_sync(self.reduce, target, old, values[key], abandon_on_cancel=True)

    async def warm(self, loaded: Iterable[LoadedRun], context: Callable[[LoadedRun], Mapping[str, SharedKey]]) -> None:
        """Let reducers fold what is stored of runs, before these are rebuilt."""
        for item in loaded:
            if not item.shared:
                continue
            declared = context(item)
            if any(":" in key.reducer for key in declared.values()):
                await to_thread.run_sync(self._fold, item, declared)

    def _fold(self, item: LoadedRun, declared: Mapping[str, SharedKey]) -> None:
        values: dict[str, Any] = {}
        for row in item.shared:
            key = declared.get(row.key)
            if key is not None and ":" in key.reducer:
                with suppress(Exception):
                    values[row.key] = self.reduce(key.reducer, values.get(row.key, key.default), decode(row.value))


def _updates(run: RunState, node: Node, raw: bytes) -> dict[str, Any]:
    """Return what a step's updates will be, once it is completed with a result: they see it."""
    before = node.state, node.result, node.value
    node.state, node.result = "completed", raw
    try:
        compiled = node.program.update
        return compiled.render(NodeView(run, node.scope, node.values)) if compiled is not None else {}
    finally:
        node.state, node.result, node.value = before
