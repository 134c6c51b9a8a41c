"""Servers and agents that are asked in the name of their run's owner, each owner by a way of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from agentflow.credentials import Book, Credentials, holder_of, principal_of
from agentflow.data import is_object
from agentflow.errors import AgentflowError, StepError
from agentflow.principal import LOCAL
from agentflow.steps.contract import AgentAsks, AgentTurn, Context, Park
from agentflow.steps.remote import LazyAgent, LazyTools
from agentflow.steps.signing import Signing, refuses, signed

KEPT: Final = 64
"""Owners whose ways are kept open; the one that was used least lately is closed when there is another one."""
_HOLDER: Final = "holder"
"""Where a state names its owner, so that what it has begun can be ended in that name."""


class Closes(Protocol):
    """What can be closed."""

    async def aclose(self) -> None:
        """Close its connections."""
        ...


P = TypeVar("P", bound=Closes)
T = TypeVar("T")


class _Way(Generic[P]):
    def __init__(self, signing: Signing, to: P) -> None:
        self.signing = signing
        self.to = to
        self.users = 0


class Ways(Generic[P]):
    """The ways to one server or agent, by owner: nothing that one has is used by another."""

    def __init__(self, name: str, connection: str, book: Callable[[], Book], open_: Callable[[Signing], P]) -> None:
        """Open nothing yet.

        Args:
            name: the server's or agent's.
            connection: in whose name it is asked.
            book: gives credentials where no step asks.
            open_: opens a way.
        """
        self._name = name
        self._connection = connection
        self._book = book
        self._open = open_
        self._ways: dict[str, _Way[P]] = {}

    async def ask(
        self, ctx: Context, what: Callable[[P, str], Awaitable[T]], refused: Callable[[StepError], bool]
    ) -> T:
        """Ask for a step; the owner signs in where the credentials are refused."""

        async def by(credentials: Credentials) -> T:
            return await self._by(credentials, what)

        return await signed(ctx, self._connection, by, refused=refused)

    async def by_holder(self, holder: str | None, what: Callable[[P, str], Awaitable[T]]) -> T:
        """Ask for somebody, out of any step; raises StepError where he isn't connected."""
        principal = LOCAL if holder is None else principal_of(holder)
        try:
            credentials = await self._book().credentials(self._connection, principal)
        except AgentflowError as error:
            raise StepError(
                f'"{self._name}" can\'t be asked: {error.what}', code="AF-AUTH-NEEDED", kind="skill", retryable=False,
                hint=error.hint,
            ) from error  # fmt: skip
        return await self._by(credentials.held_by(holder_of(principal)), what)

    async def _by(self, credentials: Credentials, what: Callable[[P, str], Awaitable[T]]) -> T:
        way = self._ways.pop(credentials.holder, None)
        if way is None:
            signing = Signing(credentials)
            way = _Way(signing, self._open(signing))
        self._ways[credentials.holder] = way  # the last one was used last
        way.signing.take(credentials)
        way.users += 1
        try:
            return await what(way.to, credentials.holder)
        finally:
            way.users -= 1
            await self._close_some()

    async def _close_some(self) -> None:
        while len(self._ways) > KEPT:
            idle = next((holder for holder, way in self._ways.items() if not way.users), None)
            if idle is None:
                return
            await self._ways.pop(idle).to.aclose()

    async def aclose(self) -> None:
        """Close them all."""
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.to.aclose()


class ConnectedTools:
    """A server's tools, called in the name of each run's owner."""

    def __init__(self, name: str, ways: Ways[LazyTools]) -> None:
        """Open nothing yet."""
        self._name = name
        self._ways = ways

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """Call a tool, or go on with a call that has parked."""

        async def call(tools: LazyTools, holder: str) -> Any:
            value = await tools.call(tool, arguments, _owned(ctx, holder))
            return Park(value.on, _with(value.state, holder), value.then) if isinstance(value, Park) else value

        return await self._ways.ask(ctx, call, refuses)

    async def listed(self) -> Mapping[str, Mapping[str, Any]]:
        """Return its tools, as this machine's user sees them."""
        return await self._ways.by_holder(None, lambda tools, _: tools.listed())

    async def withdraw(self, state: Any) -> None:
        """End what a call has begun."""
        await self._ways.by_holder(_holder(state), lambda tools, _: tools.withdraw(state))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._ways.aclose()


class ConnectedAgent:
    """An agent elsewhere, asked in the name of each run's owner."""

    def __init__(self, name: str, ways: Ways[LazyAgent]) -> None:
        """Open nothing yet."""
        self._name = name
        self._ways = ways

    async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
        """Run one turn."""

        async def run(agent: LazyAgent, holder: str) -> Any:
            return _asked(await agent.run(turn, _owned(ctx, holder)), holder)

        return await self._ways.ask(ctx, run, _denied)

    async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
        """Go on with a turn that asked."""

        async def go_on(agent: LazyAgent, holder: str) -> Any:
            return _asked(await agent.answer(turn, state, answer, _owned(ctx, holder)), holder)

        return await self._ways.ask(ctx, go_on, _denied)

    async def check(self) -> None:
        """Look whether it can be asked by this machine's user."""
        await self._ways.by_holder(None, lambda agent, _: agent.check())

    async def withdraw(self, state: Any) -> None:
        """End what a turn has begun."""
        await self._ways.by_holder(_holder(state), lambda agent, _: agent.withdraw(state))

    async def aclose(self) -> None:
        """Close its connections."""
        await self._ways.aclose()


def _denied(error: StepError) -> bool:
    """Tell whether an agent has refused the credentials."""
    return error.code == "AF-AGENT-DENIED"


def _asked(value: Any, holder: str) -> Any:
    return AgentAsks(value.wait, _with(value.state, holder)) if isinstance(value, AgentAsks) else value


def _with(state: Any, holder: str) -> Any:
    return {**state, _HOLDER: holder} if is_object(state) else state


def _holder(state: Any) -> str | None:
    holder = state.get(_HOLDER) if is_object(state) else None
    return holder if isinstance(holder, str) else None


class _Owned:
    """A step's context: what is saved names its owner."""

    def __init__(self, ctx: Context, holder: str) -> None:
        self._ctx = ctx
        self._holder = holder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    async def save(self, state: Any) -> None:
        """Commit a checkpoint."""
        await self._ctx.save(_with(state, self._holder))


def _owned(ctx: Context, holder: str) -> Context:
    return cast("Context", _Owned(ctx, holder))
