"""The tools of a server of the config: what `tool_call` steps call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import mcp.types as types
from mcp.shared.exceptions import MCPError

from agentflow.definition.host_rules import place_of
from agentflow.errors import StepError
from agentflow.steps.contract import Context, Park, Result
from agentflow.steps.network import Policy
from agentflow.steps.providers import nearest
from agentflow.steps.remote import Entry
from agentflow_mcp.client import exchange, following
from agentflow_mcp.client.asked import PARTING, Asked, Call, Done, Said
from agentflow_mcp.client.connection import Live, Task
from agentflow_mcp.client.faults import from_call, is_unknown_session, result_unfit, session_is_over
from agentflow_mcp.client.pool import Pool
from agentflow_mcp.client.results import result_of
from agentflow_mcp.client.settings import Server
from agentflow_mcp.client.states import Kept, Question, park

MOST_ROUNDS = 100
"""How often a server may have a call sent again without asking anything."""


def open_tools(entry: Entry) -> ServerTools:
    """Make the provider of an entry of the config's `tools`; nothing is connected to yet."""
    server, policy = Server.of(entry), entry.policy or Policy(resolve=entry.resolve)
    if server.url is not None and not entry.templated:  # who wrote it into the config has allowed it, also in private
        policy = policy.naming(place_of(server.url))
    return ServerTools(Pool(server, policy))


class ServerTools:
    """The tools of one server."""

    def __init__(self, pool: Pool) -> None:
        """Connect to nothing yet."""
        self._pool = pool
        self._server = pool.server

    async def listed(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the server's tools by name.

        Raises:
            StepError: it can't be reached.
        """
        try:
            tools = (await self._pool.live()).tools
        except MCPError as error:
            raise from_call(self._server, "", error, "") from error
        return {
            name: {"description": each.description, "input_schema": each.input_schema} for name, each in tools.items()
        }

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Result | Park:
        """Call a tool, or go on with a call that isn't over.

        Raises:
            LookupError: there is no such tool.
            StepError: it failed.
        """
        kept, said = Kept.of(ctx.state), None
        if kept is not None and kept.question is not None:
            question, kept = kept.question, kept.answered(ctx.arrived)
            if question.key in kept.replies:
                said = (question.asked, kept.replies[question.key])
            if kept.question is not None and kept.task is None:
                return park(kept, tool)
        try:
            if kept is not None and kept.task is not None:
                return await following.follow(self._pool, kept, tool, ctx, said=said)
            return await self._start(tool, arguments, ctx, kept, said)
        except MCPError as error:  # while the tools were listed
            raise from_call(self._server, tool, error, "") from error

    async def _start(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        ctx: Context,
        kept: Kept | None,
        said: Said | None,
        *,
        again: bool = False,
    ) -> Result | Park:
        live = await self._pool.live()
        call = live.calls.find(kept.held) if kept is not None and kept.held is not None else None
        if call is None:
            await self._check(live, tool, arguments)
            call = self._begin(live, tool, arguments, ctx, kept, said)
        elif said is not None:
            call.answer(said[1])
        call.progress = ctx.progress
        event = await call.next()
        call.progress = None
        if isinstance(event, Asked):
            return park(Kept(self._server.name, held=call.id, question=Question.of("", event)), tool)
        if event.error is not None and not again and is_unknown_session(event.error):
            live.leave()  # the server has started anew, and has done nothing
            return await self._start(tool, arguments, ctx, kept, said, again=True)
        return await self._finish(live, event, tool, ctx)

    async def _check(self, live: Live, tool: str, arguments: Mapping[str, Any]) -> None:
        known = live.tools.get(tool)
        if known is None:
            await live.renew()  # it may be new
            known = live.tools.get(tool)
        if known is None:
            raise LookupError(nearest(tool, live.tools) or f'server "{self._server.name}" has no tools')
        misfits = known.misfits(arguments)
        if misfits:
            raise StepError(
                f'The input doesn\'t fit tool "{tool}": {"; ".join(misfits[:5])}',
                code="AF-TOOL-ARGUMENTS", kind="invalid", retryable=False,
            )  # fmt: skip

    def _begin(
        self,
        live: Live,
        tool: str,
        arguments: Mapping[str, Any],
        ctx: Context,
        kept: Kept | None,
        said: Said | None,
    ) -> Call:
        """Send a call; also again, with what was answered."""
        key, timeout = ctx.idempotency_key, self._server.timeout
        again = kept if kept is not None and kept.held is None else Kept(self._server.name)

        async def work(call: Call) -> exchange.Answer:
            replies: Mapping[str, Mapping[str, Any]] = again.replies
            state = again.request_state
            for round_ in range(MOST_ROUNDS):
                found = await exchange.send(
                    live, call, tool, arguments, key=key, timeout=timeout, replies=replies, request_state=state
                )
                if not isinstance(found, types.InputRequiredResult) or found.input_requests:
                    return found
                replies, state = dict[str, Mapping[str, Any]](), found.request_state
                await anyio.sleep(min(1.0, 0.05 * 2 ** min(round_, 10)))
            raise result_unfit(tool, "the server has it sent again without an end")

        # Who held a call may be gone: then it is sent again, and the reply that it was asked for is there already.
        return live.calls.begin(work, said)

    async def _finish(self, live: Live, done: Done, tool: str, ctx: Context) -> Result | Park:
        error, found = done.error, done.value
        if error is not None:
            asked = _addresses(error)
            if asked:
                return park(Kept(self._server.name, question=asked[0], more=asked[1:]), tool)
            if session_is_over(error):
                live.leave()
            raise from_call(self._server, tool, error, live.tail.text) from error
        if isinstance(found, types.CallToolResult):
            return result_of(tool, found, ctx)
        if isinstance(found, types.InputRequiredResult):
            first, *rest = exchange.questions(tool, found.input_requests)
            kept = Kept(self._server.name, question=first, more=tuple(rest), request_state=found.request_state)
            return park(kept, tool)
        if not isinstance(found, Task):
            raise result_unfit(tool, "its kind isn't known")
        until = None if self._server.timeout is None else ctx.now() + self._server.timeout
        kept = Kept(self._server.name, task=found.task_id, older=live.older, until=until)
        await ctx.save(kept.data)  # from here on a crash goes on with the task, and calls nothing again
        return await following.follow(self._pool, kept, tool, ctx, first=following.pause_of(found))

    async def withdraw(self, state: Any) -> None:
        """Tell the server that nobody wants a result any more."""
        kept = Kept.of(state)
        if kept is None or (kept.task is None and kept.held is None):
            return
        with anyio.move_on_after(PARTING):
            live = await self._pool.live()
            call = live.calls.find(kept.held) if kept.held is not None else None
            if call is not None:
                await call.stop()
            if kept.task is not None:
                await exchange.cancel(live, kept.task)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()


def _addresses(error: BaseException) -> tuple[Question, ...]:
    """Return the addresses that somebody has to visit before a tool can be called, where an error says so."""
    if not isinstance(error, MCPError) or error.code != types.URL_ELICITATION_REQUIRED:
        return ()
    try:
        data = error.data["elicitations"]
        return tuple(Question(f"url-{n}", str(each["message"]), None, str(each["url"])) for n, each in enumerate(data))
    except (TypeError, KeyError):
        return ()
