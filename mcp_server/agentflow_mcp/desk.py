"""Carries calls out: starts runs, follows them as long as their caller waits, and looks after them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import anyio

from agentflow.data import is_object
from agentflow.engine import Answer, Decline, Engine, Run, WaitView, finding
from agentflow.errors import AgentflowError, ConflictError, InputError, NotFoundError
from agentflow.principal import LOCAL, Principal
from agentflow.store.common import OPEN
from agentflow_mcp.asking import Asking, form
from agentflow_mcp.catalogue import Offer, Tool, checker, offers
from agentflow_mcp.documents import ANSWERED, finished, handle, run_data
from agentflow_mcp.results import Request, Result, defect, plain, refused
from agentflow_mcp.tasks import GRACE, requests_of, task_of

DOOR: Final = "mcp"
BEAT: Final = 10.0
"""Seconds after which a caller hears again that its run goes on."""
TRIES = 3
"""How often a user is asked who gives answers that don't fit."""
_log = logging.getLogger("agentflow.mcp")


async def _silent(message: str | None) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What the client of one call can do while it waits."""

    progress: Callable[[str | None], Awaitable[None]] = _silent
    """Takes what the run is at."""
    ask: Asking | None = None
    """Asks its user; None: it can't."""
    key: str | None = None
    """Idempotency key of the call."""
    tasks: bool = False
    """Whether it takes a task for a result, and follows that itself."""
    forms: bool = False
    """Whether it shows the forms that a task, or a round of a call, asks for."""
    rounds: bool = False
    """Whether it takes what is asked for a result, and goes on with the call when it has the answers."""
    wrong: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was wrong with the answers that it has brought, by the waits' ids."""


Control: TypeAlias = "Callable[[Desk, Mapping[str, Any], Caller], Awaitable[Result]]"


class Desk:
    """Takes the calls of clients that share a principal. A run lives in the engine: no call that ends, ends it."""

    def __init__(
        self, engine: Engine, controls: Mapping[str, tuple[Tool, Control]], hold: float, principal: Principal = LOCAL
    ) -> None:
        """Look up which tools there are.

        Args:
            engine: carries runs on.
            controls: the tools that look after runs, by name.
            hold: seconds that a call waits for its run, before it gives a handle.
            principal: who calls.

        Raises:
            DefinitionError: two tools have one name, or clients wouldn't take a name.
        """
        self.engine = engine
        self.hold = hold
        self.principal = principal
        self._controls = controls
        self._offers = offers(engine.config, controls)
        self._checks = {name: checker(tool.input_schema) for name, (tool, _) in controls.items()}
        self._checks |= {n: checker(each.tool.input_schema) for n, each in self._offers.items() if each.own_schema}
        every = [*(tool for tool, _ in controls.values()), *(each.tool for each in self._offers.values())]
        self.tools: Sequence[Tool] = sorted(every, key=lambda tool: tool.name)

    def has(self, name: str) -> bool:
        """Tell whether there is a tool of this name."""
        return name in self._offers or name in self._controls

    async def call(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Result:
        """Call a tool that there is. What goes wrong is a result too."""
        return await self._safely(name, self._called(name, arguments, caller))

    async def _called(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Result:
        self._check(name, arguments)
        if name in self._controls:
            return await self._controls[name][1](self, arguments, caller)
        return await self._start(self._offers[name], arguments, caller)

    async def _safely(self, name: str, work: Awaitable[Result]) -> Result:
        redactor = self.engine.config.redactor
        try:
            found = await work
        except AgentflowError as error:
            found = refused(error)
        except Exception as error:  # whatever it is, the client hears of it, and the server goes on
            _log.exception("a call of %s failed", name)
            found = refused(defect(error, redactor))
        return found.without_secrets(redactor)

    def _check(self, name: str, arguments: Mapping[str, Any]) -> None:
        check = self._checks.get(name)
        problems = check(arguments) if check is not None else []
        if problems:
            what = f"the arguments of {name} don't fit: {'; '.join(problems)}"
            raise InputError(what, hint="correct them and call again; nothing was done")

    async def _start(self, offer: Offer, arguments: Mapping[str, Any], caller: Caller) -> Result:
        given: Any = dict(arguments)
        if offer.wrapped:
            if "input" not in given or len(given) > 1:
                raise InputError(f'{offer.tool.name} takes one argument, "input"')
            given = given["input"]
        run = await self.engine.start(
            offer.workflow, given, entry_point=offer.entry_point, idempotency_key=caller.key, door=DOOR,
            principal=self.principal,
        )  # fmt: skip
        return await self.followed(run, caller, self.hold)

    async def go_on(self, name: str, run_id: str, replies: Mapping[str, Any], caller: Caller) -> Result | None:
        """Go on with a call that has asked its client's user something.

        Args:
            name: the tool.
            run_id: the run that the call was about.
            replies: what the user said, by the waits' ids.
            caller: who calls.

        Returns:
            What the call gives now; None: there was no such call.
        """
        offer = self._offers.get(name)
        try:
            run = await self.engine.get(run_id, output=False, principal=self.principal)
        except NotFoundError:
            return None
        if offer is not None and run.workflow != offer.workflow:
            return None
        return await self._safely(name, self._gone_on(run, replies, caller, document=offer is None))

    async def _gone_on(self, run: Run, replies: Mapping[str, Any], caller: Caller, *, document: bool) -> Result:
        answers = await self.answered(run, replies)
        caller = replace(caller, wrong=answers.wrong, rounds=not answers.dismissed)
        return await self.followed(run, caller, self.hold, document=document)

    async def answered(self, run: Run, replies: Mapping[str, Any]) -> Answers:
        """Give what a client's user said to the run; what was answered already, and what isn't there, is left out.

        Raises:
            InputError: one is no reply of a form.
        """
        asked = requests_of(await self.engine.waits(run.id, principal=self.principal))
        given = {name: reply_of_form(replies[name]) for name in asked.keys() & replies.keys()}
        wrong: dict[str, str] = {}
        for name, reply in given.items():
            try:
                if reply is not None:
                    await self.engine.resume(name, reply, door=DOOR, principal=self.principal)
            except InputError as error:
                wrong[name] = error.why or error.what
            except ConflictError:  # somebody else was first
                continue
        return Answers(wrong, dismissed=None in given.values())

    async def followed(self, run: Run, caller: Caller, seconds: float, *, document: bool = False) -> Result:
        """Follow a run as long as its caller waits.

        Args:
            run: the run.
            caller: who waits.
            seconds: for how long.
            document: whether the run itself is told, and not only what it gives.

        Returns:
            Its result; what its caller is asked; a task, where it takes one; or a handle.
        """
        try:
            as_task = caller.tasks and not document
            run = await self.rest(run.id, caller, min(GRACE, seconds) if as_task else seconds)
            if run.ended and not document:
                return finished(run)
            if not run.ended and (as_task or caller.rounds):
                waits = await self.engine.waits(run.id, principal=self.principal)
                task = task_of(run, waits, self.engine.core.env.now(), forms=caller.forms)
                if as_task and (task.requests or not run.waiting):
                    return Result(task.data, "", run_id=run.id, is_task=True)
                if caller.rounds and run.waiting and task.requests:
                    return Result({}, "", run_id=run.id, requests=_again(task.requests, caller.wrong))
            data = await self.told(run)
            return plain(data, failed="error" in data, run_id=run.id)
        except AgentflowError as error:  # the run is there: who started it must be able to find it
            return refused(error, {"task_id": run.id, "workflow": run.workflow})

    async def rest(self, run_id: str, caller: Caller, seconds: float) -> Run:
        """Return a run when it has ended, asks something that its caller can't ask, or the time is over."""
        deadline = anyio.current_time() + seconds
        while True:
            left = max(deadline - anyio.current_time(), 0.0)
            run = await self.engine.wait(run_id, min(left, BEAT), principal=self.principal)
            if run.ended:
                return run
            if run.waiting:
                if not await self._asked(run, caller):
                    return run
                deadline = max(deadline, anyio.current_time() + seconds)
            elif left <= BEAT:
                return run
            else:
                await caller.progress(run.now_text)

    async def _asked(self, run: Run, caller: Caller) -> bool:
        """Ask the caller's user what a run waits for; tells whether something of it was answered."""
        if caller.ask is None:
            return False
        for view in await self.engine.waits(run.id, principal=self.principal):
            shape = form(view.schema) if view.kind in ANSWERED else None
            if shape is not None and await self._ask(view, caller, caller.ask, shape):
                return True
        return False

    async def _ask(self, view: WaitView, caller: Caller, ask: Asking, shape: Mapping[str, Any]) -> bool:
        """Ask for one answer; tells whether the wait is over, whoever has answered it."""
        said = view.message
        for _ in range(TRIES):
            over, reply = await self._said(view, caller, ask, said, shape)
            if over or reply is None:
                return over
            try:
                await self.engine.resume(view.id, reply, door=DOOR, principal=self.principal)
            except InputError as error:
                said = _wrong(view.message, error.why or error.what)
            except ConflictError:
                return True  # somebody else was first
            else:
                return True
        return False

    async def _said(
        self, view: WaitView, caller: Caller, ask: Asking, said: str, shape: Mapping[str, Any]
    ) -> tuple[bool, Answer | Decline | None]:
        """Ask, as long as nobody answers elsewhere; returns whether somebody did, and what was said here."""
        over, reply = True, None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_closed, view, tasks.cancel_scope)
            tasks.start_soon(_beat, caller, f"waits for an answer: {view.step}")
            reply = await ask(said, shape)
            over = False
            tasks.cancel_scope.cancel()
        return over, reply

    async def _until_closed(self, view: WaitView, scope: anyio.CancelScope) -> None:
        """Leave a scope when a wait isn't open any more."""
        try:
            await self._closed(view)
        except AgentflowError:  # nobody knows: the answer will tell
            return
        scope.cancel()

    async def _closed(self, view: WaitView) -> None:
        engine, principal = self.engine, self.principal
        run = await engine.get(view.run_id, output=False, principal=principal)
        async with aclosing(engine.subscribe(run.id, run.seq, principal=principal)) as events:
            while await self._is_open(view):
                if await anext(events, None) is None:
                    break

    async def _is_open(self, view: WaitView) -> bool:
        found = await finding.task_of(self.engine.store, view.id, self.principal)
        return found is not None and found.task.state in OPEN

    async def handle(self, run: Run) -> dict[str, Any]:
        """Return what stands for a run that goes on."""
        return handle(run, await self.engine.waits(run.id, principal=self.principal))

    async def told(self, run: Run) -> dict[str, Any]:
        """Return a run as the tools that look after runs tell it."""
        return run_data(run) if run.ended else await self.handle(run)


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a user's answers."""

    wrong: Mapping[str, str]
    """What doesn't fit, by the waits' ids: these are open still."""
    dismissed: bool
    """Whether the user closed a form."""


def _wrong(message: str, why: str) -> str:
    return f"{message}\n\nThat doesn't fit: {why}"


def _again(requests: Mapping[str, Request], wrong: Mapping[str, str]) -> dict[str, Request]:
    """Return requests that tell what was wrong with the answers before."""
    return {
        name: replace(each, message=_wrong(each.message, wrong[name])) if name in wrong else each
        for name, each in requests.items()
    }


def reply_of_form(reply: object) -> Answer | Decline | None:
    """Return what a form's reply says; None where its user said nothing.

    Raises:
        InputError: it is no reply of a form.
    """
    action = reply.get("action") if is_object(reply) else None
    if is_object(reply) and action == "accept":
        return Answer(reply.get("content") or {})
    if action == "decline":
        return Decline("declined by the user")
    if action == "cancel":
        return None
    raise InputError("a reply has the action accept, decline or cancel")


async def _beat(caller: Caller, message: str) -> None:
    """Tell a caller again and again what its call is at: some give up when they hear nothing."""
    while True:
        await anyio.sleep(BEAT)
        await caller.progress(message)


def reply_of(arguments: Mapping[str, Any]) -> Answer | Decline:
    """Return the answer or the refusal that arguments hold.

    Raises:
        InputError: both or none.
    """
    if ("answer" in arguments) == ("decline" in arguments):
        raise InputError("give either `answer` or `decline`", hint="the wait is still open: call resume_workflow again")
    return Answer(arguments["answer"]) if "answer" in arguments else Decline(arguments["decline"])


def meta_key(meta: object) -> str | None:
    """Return the idempotency key of a call.

    Raises:
        InputError: it is no text, or empty.
    """
    key = meta.get("agentflow/idempotency-key") if is_object(meta) else None
    if key is not None and (not isinstance(key, str) or not key):
        raise InputError("agentflow/idempotency-key is a text that isn't empty")
    return key
