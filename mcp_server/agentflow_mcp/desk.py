"""Takes calls: checks their arguments, starts runs and goes on with them, and makes a result of what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from agentflow.config import Config
from agentflow.engine import Engine, Run, compiling
from agentflow.errors import AgentflowError, InputError, NotFoundError
from agentflow_mcp import states
from agentflow_mcp.additions import Change
from agentflow_mcp.caller import Caller
from agentflow_mcp.catalogue import Offer, Tool, checker, offers
from agentflow_mcp.following import BEAT, Follower
from agentflow_mcp.questions import DOOR, Page
from agentflow_mcp.replies import answered
from agentflow_mcp.results import Result, defect, refused

Control: TypeAlias = Callable[[Follower, Mapping[str, Any], Caller], Awaitable[Result]]
"""What a tool does that looks after runs."""
_log = logging.getLogger("agentflow.mcp")


class Desk:
    """Takes the calls of all clients of one config."""

    def __init__(
        self, engine: Engine, controls: Mapping[str, tuple[Tool, Control]], hold: float, beat: float = BEAT,
        page: Page | None = None,
    ) -> None:  # fmt: skip
        """Look up which tools there are.

        Args:
            engine: carries runs on.
            controls: the tools that look after runs, by name.
            hold: seconds that a call waits for its run, before it gives a handle.
            beat: seconds after which a caller hears again that its run goes on.
            page: returns the address where a person answers a wait that no model may answer.

        Raises:
            DefinitionError: two tools have one name, or clients wouldn't take a name.
        """
        self.engine = engine
        self.follower = Follower(engine, hold, beat, page)
        self.watchers: list[Callable[[Change], None]] = []
        """Are told when there are other tools, prompts and resources."""
        self._controls = controls
        self._look_up()

    def _look_up(self) -> None:
        found = offers(self.engine.config)
        self._offers = found
        self._checks = {name: checker(tool.input_schema) for name, (tool, _) in self._controls.items()}
        self._checks |= {name: checker(each.tool.input_schema) for name, each in found.items() if each.own_schema}
        every = [*(tool for tool, _ in self._controls.values()), *(each.tool for each in found.values())]
        self.tools: Sequence[Tool] = sorted(every, key=lambda tool: tool.name)

    def reload(self, config: Config) -> None:
        """Offer the workflows of a config that was loaded again, and tell it.

        Raises:
            DefinitionError: clients wouldn't take its names; nothing is changed.
            ConflictError: something else than workflows changed; nothing is changed.
        """
        offers(config)
        self.engine.config = compiling.reloaded(self.engine.core.env, self.engine.config, config)
        self._look_up()
        for kind in ("tools", "prompts", "resources"):
            for watcher in self.watchers:
                watcher(Change(kind))

    def has(self, name: str) -> bool:
        """Tell whether there is a tool of this name."""
        return name in self._offers or name in self._controls

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """Return the schema of a tool's arguments; None: there is no such tool."""
        offer = self._offers.get(name)
        if offer is not None:
            return offer.tool.input_schema
        return self._controls[name][0].input_schema if name in self._controls else None

    def starts(self, name: str) -> bool:
        """Tell whether a tool starts a workflow."""
        return name in self._offers

    def mode(self, name: str) -> Literal["auto", "sync", "task"]:
        """Tell whether a call of a tool may, or must, become a task."""
        offer = self._offers.get(name)
        return "sync" if offer is None else offer.tool.task

    async def call(self, name: str, arguments: Mapping[str, Any], caller: Caller, begun: Run | None = None) -> Result:
        """Call a tool that there is. What goes wrong is a result too.

        Args:
            name: the tool.
            arguments: the call's.
            caller: who calls.
            begun: the run that `begin` has started for this call.
        """
        work = self._called(name, arguments, caller) if begun is None else self._followed(begun, caller)
        return await self._safely(name, arguments, caller, work)

    async def begin(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Run | Result:
        """Start the run of a workflow's tool, as `call` does, without following it. What goes wrong is a result."""
        try:
            self._check(name, arguments)
            return await self._start(self._offers[name], arguments, caller)
        except Exception as error:
            return self._failed(name, error)

    async def _called(self, name: str, arguments: Mapping[str, Any], caller: Caller) -> Result:
        self._check(name, arguments)
        if name in self._controls:
            return await self._controls[name][1](self.follower, arguments, caller)
        return await self._followed(await self._start(self._offers[name], arguments, caller), caller)

    def _followed(self, run: Run, caller: Caller) -> Awaitable[Result]:
        return self.follower.followed(run, caller, self.follower.hold_of(run.workflow))

    async def _safely(self, name: str, arguments: Mapping[str, Any], caller: Caller, work: Awaitable[Result]) -> Result:
        try:
            found = await work
            if found.requests and found.run_id is not None:
                state = states.State(found.run_id, found.keys).text
                found = replace(found, state=states.seal(self.engine, name, arguments, caller.principal, state))
        except Exception as error:
            return self._failed(name, error)
        return found.without_secrets(self.engine.config.redactor)

    def _failed(self, name: str, error: Exception) -> Result:
        """Return what went wrong as a result: whatever it is, the client hears of it, and the server goes on."""
        redactor = self.engine.config.redactor
        if isinstance(error, AgentflowError):
            return refused(error).without_secrets(redactor)
        _log.error("a call of %s failed", name, exc_info=error)
        return refused(defect(error, redactor)).without_secrets(redactor)

    def _check(self, name: str, arguments: Mapping[str, Any]) -> None:
        check = self._checks.get(name)
        problems = check(arguments) if check is not None else []
        if problems:
            what = f"the arguments of {name} don't fit: {'; '.join(problems)}"
            raise InputError(what, hint="correct them and call again; nothing was done")

    async def _start(self, offer: Offer, arguments: Mapping[str, Any], caller: Caller) -> Run:
        given: Any = dict(arguments)
        if offer.wrapped:
            if "input" not in given or len(given) > 1:
                raise InputError(f'{offer.tool.name} takes one argument, "input"')
            given = given["input"]
        return await self.engine.start(
            offer.workflow, given, entry_point=offer.entry_point, idempotency_key=caller.key, door=DOOR,
            principal=caller.principal, retention=caller.keep,
        )  # fmt: skip

    async def go_on(
        self, name: str, arguments: Mapping[str, Any], state: str, replies: Mapping[str, Any], caller: Caller
    ) -> Result | None:
        """Go on with a call that has asked its client's user something.

        Args:
            name: the tool.
            arguments: the call's, as before.
            state: what the call has given its client to bring back.
            replies: what the user said, by the names of what was asked.
            caller: who calls.

        Returns:
            What the call gives now; None: there was no such call of this caller.
        """
        offer = self._offers.get(name)
        text = states.opened(self.engine, name, arguments, caller.principal, state)
        if text is None:
            return None
        known = states.read(text)
        try:
            run = await self.engine.get(known.run_id, principal=caller.principal)
        except NotFoundError:
            return None
        said = {known.keys[each]: reply for each, reply in replies.items() if each in known.keys}
        return await self._safely(name, arguments, caller, self._gone_on(run, said, caller, document=offer is None))

    async def _gone_on(self, run: Run, replies: Mapping[str, Any], caller: Caller, *, document: bool) -> Result:
        said = await answered(self.engine, self.follower.questions, run, replies, caller)
        caller = replace(caller, dismissed=said.dismissed, opened=said.opened)
        hold = self.follower.hold_of(run.workflow)
        return await self.follower.followed(run, caller, hold, document=document)
