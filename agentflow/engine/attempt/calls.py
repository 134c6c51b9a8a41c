"""The calls of tools that an attempt makes from inside: counted, remembered where it may have to wait, and approved.

An attempt one of whose calls has to be approved ends, waits, and runs again: what its calls have given until then is
kept with the wait, and given again instead of calling anew. Each call is known by its tool and arguments, and by how
many such there were before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

import anyio

from agentflow.data import canonical, copied, digest, is_object
from agentflow.engine.exchange import Attempt
from agentflow.engine.gate import FIELD, RESULT, Gate
from agentflow.engine.gate_forms import approval_form, brief
from agentflow.engine.suspended import CALL, suspended
from agentflow.errors import Failure, StepError
from agentflow.steps.contract import Park, Wait
from agentflow.steps.failing import Asked
from agentflow.steps.tool_gates import ToolGate
from agentflow.steps.unset import UNSET

STEP = "step"
"""Stands among approved calls for the one call that a step is, where the step itself was approved."""
_outer: ContextVar[tuple[Call, ...]] = ContextVar("agentflow_calls", default=())
"""The calls that code is inside of: a tool may call others."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call."""

    number: int
    """How many the step has made before: it has an idempotency key of its own."""
    mark: str = ""
    """What it is known by; empty where nothing has to be approved in this process."""
    nth: int = 0
    """How many such there were before."""
    given: Any = UNSET
    """What it has given before, when it needn't be made again."""


class Calls:
    """What one attempt calls."""

    def __init__(self, attempt: Attempt, gate: Gate, *, gated: bool) -> None:
        """Begin with what was called before the attempt waited; `gated`: there are tools that have to be approved."""
        kept = attempt.calls or {}
        self._attempt = attempt
        self._gate = gate
        self._gated = gated
        self._approved = attempt.approved or {}
        self._number = _count(kept.get("number"))
        self._made: dict[str, int] = dict(_object(kept.get("made")))
        """How many calls there were with the same tool and arguments."""
        self._given: dict[str, Any] = dict(_object(kept.get("given")))
        self._before = (self._number, dict(self._made))
        self._direct = Counter[str]()
        """Calls that code has made beside those that are counted: each asks for itself."""
        self._open: set[Call] = set()
        self._ended = anyio.Event()
        self.scope: anyio.CancelScope | None = None
        """Ends the attempt as soon as it has to wait, whatever its code makes of what it is told."""
        self._asked: tuple[Wait, Mapping[str, Any], Any] | None = None

    @property
    def asked(self) -> Park | None:
        """What the attempt waits for; None: nothing."""
        if self._asked is None:
            return None
        wait, why, saved = self._asked
        return Park(wait, suspended(self._attempt, saved, self.kept(), {CALL: why}), then="enter")

    async def _end(self) -> NoReturn:
        """End the attempt, as it has to wait; what it has begun is remembered before."""
        while self._open.difference(_outer.get()):
            await self._ended.wait()
        if self.scope is not None:
            self.scope.cancel()
        raise Asked

    async def begin(self, tool: str, server: str | None, arguments: Mapping[str, Any]) -> Call:
        """Begin a call; raises StepError where its arguments aren't data, and Asked where the attempt waits already."""
        if self._asked is not None:
            await self._end()
        number, self._number = self._number, self._number + 1
        if not self._gated:
            return Call(number)
        name = self._name(tool, server, arguments)
        nth = self._made.get(name, 0)
        self._made[name] = nth + 1
        mark = f"{name}/{nth}"
        call = Call(number, mark, nth, copied(self._given[mark]) if mark in self._given else UNSET)
        if call.given is UNSET:
            self._open.add(call)
        return call

    def inside(self, call: Call) -> Any:
        """Note that code is inside of a call; returns what `ended` takes."""
        return _outer.set((*_outer.get(), call)) if call.mark else None

    def ended(self, call: Call, token: Any) -> None:
        """Note that a call is over."""
        if token is not None:
            _outer.reset(token)
            self._open.discard(call)
            self._ended.set()
            self._ended = anyio.Event()

    def remember(self, call: Call, value: Any) -> Any:
        """Return what a call has given; as data, where it may be given once more."""
        if not call.mark:
            return value
        self._given[call.mark] = self._gate.data(value, RESULT)
        return copied(self._given[call.mark])

    async def approved(
        self, call: Call | None, gate: ToolGate, tool: str, server: str | None, arguments: Mapping[str, Any], state: Any
    ) -> Mapping[str, Any]:
        """Return the arguments of a call as they were approved, or have the attempt wait.

        Args:
            call: one of the step's code; None: the one that the step is.
            gate: what is asked.
            tool: its name.
            server: whose it is.
            arguments: by name.
            state: what the step has saved.

        Raises:
            StepError: it was refused, and the step goes on with that; or it can't be told whether it has to be asked.
            Asked: it has to wait.
        """
        if self._asked is not None:
            await self._end()
        shown = self._shown(arguments)
        told = {"arguments": arguments, "tool": tool, "server": server}
        if (call is None and STEP in self._approved) or not gate.asks(told):
            return arguments
        name = self._name(tool, server, arguments)
        nth = call.nth if call is not None else self._direct[name]
        self._direct[name] += call is None
        mark = f"{name}/{nth}/{self._attempt.attempt if gate.settings.each_attempt else 0}"
        said = self._approved.get(mark)
        if is_object(said):
            return _allowed(tool, arguments, said)
        wait = _wait(self._attempt, gate, shown, gate.message(told), tool, server)
        why = {
            "mark": mark, "tool": tool, "default": gate.settings.default, "on_reject": gate.settings.on_reject,
        }  # fmt: skip
        self._asked = wait, why, state  # from here on nothing is called any more
        return await self._end()

    def settle(self) -> None:
        """Take all calls until now for done: the step has saved how far it is, and goes on behind them."""
        self._before = (self._number, dict(self._made))
        self._given = {mark: value for mark, value in self._given.items() if not self._is_past(mark)}

    def _is_past(self, mark: str) -> bool:
        name, _, nth = mark.partition("/")
        return int(nth) < self._made.get(name, 0)

    def kept(self) -> dict[str, Any] | None:
        """Return what is kept of the calls, for the attempt to run again from where it has saved; None: nothing."""
        number, made = self._before
        if not number and not self._given:
            return None
        return {"number": number, "made": made, "given": self._given}

    def _name(self, tool: str, server: str | None, arguments: Mapping[str, Any]) -> str:
        return digest(canonical([tool, server, self._shown(arguments)]))

    def _shown(self, arguments: Mapping[str, Any]) -> Any:
        return self._gate.redactor.value(self._gate.data(arguments, FIELD))


def _wait(attempt: Attempt, gate: ToolGate, shown: Any, message: str, tool: str, server: str | None) -> Wait:
    settings = gate.settings
    details = {
        "gate": "tool", "type": attempt.type, "tool": tool, "server": server, "would": brief(shown),
        "effect": "unsafe", "human_only": settings.human_only or None,
    }  # fmt: skip
    schema = approval_form(settings.edit, shown.get)
    told = {name: value for name, value in details.items() if value is not None}
    return Wait("input", message, schema, timeout=settings.timeout, assignees=settings.assignees, details=told)


def _allowed(tool: str, arguments: Mapping[str, Any], said: Mapping[str, Any]) -> Mapping[str, Any]:
    if "refused" in said:
        failure = Failure.from_data(said["refused"])
        raise StepError(f'tool "{tool}": {failure.message}', code=failure.code, kind=failure.kind, retryable=False)
    edits = said.get("edit")
    return {**arguments, **edits} if is_object(edits) else arguments


def _object(value: Any) -> Mapping[str, Any]:
    return value if is_object(value) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
