"""Streams of changes: of tasks, of resources, and of what there is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import anyio
import mcp.types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server import Server
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.shared.exceptions import MCPError
from pydantic import ConfigDict

from agentflow.data import is_array
from agentflow.errors import AgentflowError
from agentflow_mcp import resources
from agentflow_mcp.additions import Additions, Change
from agentflow_mcp.desk import Desk
from agentflow_mcp.followed import Followed, Place, owner_of
from agentflow_mcp.protocol.client import Context, caller_of, needs_tasks, principal, takes_tasks
from agentflow_mcp.protocol.tasks import task_body
from agentflow_mcp.watched import changes

MOST: Final = 1024
"""Streams of one principal at once, and things that one stream tells of."""
GROUP: Final = "group"
"""Key of the task group in the lifespan's context."""


class TaskChange(types.NotificationParams):
    """A task as it is now, all its fields."""

    model_config = ConfigDict(extra="allow")


class TaskChanged(types.Notification[TaskChange, Literal["notifications/tasks"]]):
    """Tells of a change of a task."""

    method: Literal["notifications/tasks"] = "notifications/tasks"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream tells of."""

    tasks: Sequence[str]
    uris: Sequence[str]
    lists: types.SubscriptionFilter


Send = Callable[[Any], Awaitable[None]]


@asynccontextmanager
async def lifespan(_: Server[dict[str, Any]]) -> AsyncGenerator[dict[str, Any]]:
    """Hold what tells clients of changes that no request waits for."""
    async with anyio.create_task_group() as group:
        yield {GROUP: group}
        group.cancel_scope.cancel()


_LISTS: Final[Mapping[str, Any]] = {
    "tools": types.ToolListChangedNotification,
    "prompts": types.PromptListChangedNotification,
    "resources": types.ResourceListChangedNotification,
}


class _Open(NamedTuple):
    """A stream that is open."""

    owner: tuple[str, str]
    wanted: Wanted
    sender: MemoryObjectSendStream[Any]

    def tell(self, change: Change) -> None:
        """Tell it a change that it wants to know; who reads too slowly misses some."""
        lists = self.wanted.lists
        wants = {
            "tools": lists.tools_list_changed,
            "prompts": lists.prompts_list_changed,
            "resources": lists.resources_list_changed,
            "resource": change.uri in self.wanted.uris,
        }
        if wants[change.kind]:
            with suppress(anyio.WouldBlock, anyio.BrokenResourceError):
                self.sender.send_nowait(change)


def serve_listening(server: Server[dict[str, Any]], desk: Desk, added: Additions | None = None) -> None:
    """Let clients listen to changes."""
    streams = list[_Open]()

    def tell(change: Change) -> None:
        for stream in streams:
            stream.tell(change)

    desk.watchers.append(tell)
    if added is not None:
        added.watchers.append(tell)

    async def listen(ctx: Context, params: types.SubscriptionsListenRequestParams) -> types.SubscriptionsListenResult:
        wanted = await _wanted(ctx, desk, params.notifications, added)
        owner = owner_of(principal(ctx))
        if sum(each.owner == owner for each in streams) >= MOST:
            raise MCPError(types.INTERNAL_ERROR, "too many streams are open")
        sender, receiver = anyio.create_memory_object_stream[Any](MOST)
        stream = _Open(owner, wanted, sender)
        streams.append(stream)
        try:
            with sender, receiver:
                await _listened(ctx, desk, stream, receiver)
        finally:
            streams.remove(stream)
        return types.SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})

    server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, listen)
    _serve_subscribing(server, desk)


async def _wanted(ctx: Context, desk: Desk, asked: types.SubscriptionFilter, added: Additions | None) -> Wanted:
    """Return what of that which a client asks for it is told: what it sees none of isn't there."""
    given: Any = (asked.model_extra or {}).get("taskIds") or []
    ids = [each for each in given if isinstance(each, str)] if is_array(given) else []
    if ids and not takes_tasks(ctx):
        raise needs_tasks("listening to tasks")
    uris = asked.resource_subscriptions or []
    if len(ids) + len(uris) > MOST:
        raise MCPError(types.INVALID_PARAMS, f"a stream tells of {MOST} things at most")
    tasks = [each for each in dict.fromkeys(ids) if await resources.is_run(desk.follower, each, principal(ctx))]
    seen = [
        each
        for each in dict.fromkeys(uris)
        if (added is not None and added.reader(each)) or await resources.is_there(desk.follower, each, principal(ctx))
    ]
    extra: dict[str, Any] = {"taskIds": tasks} if tasks else {}
    lists = types.SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or None,
        prompts_list_changed=asked.prompts_list_changed or None,
        resources_list_changed=asked.resources_list_changed or None,
        resource_subscriptions=seen or None,
        **extra,
    )
    return Wanted(tasks, seen, lists)


async def _listened(ctx: Context, desk: Desk, stream: _Open, receiver: MemoryObjectReceiveStream[Any]) -> None:
    """Tell a client of what it wants, until it goes, or everything that it listens to has ended."""
    _, wanted, sender = stream
    meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}

    async def send(notification: Any) -> None:
        await ctx.session.send_notification(notification, related_request_id=ctx.request_id)

    acknowledged = types.SubscriptionsAcknowledgedNotificationParams(notifications=wanted.lists, _meta=meta)
    await send(types.SubscriptionsAcknowledgedNotification(params=acknowledged))
    async with anyio.create_task_group() as group:
        for task_id in wanted.tasks:
            group.start_soon(_tell_task, ctx, desk, task_id, sender.clone())
        for uri in wanted.uris:
            run_id = resources.run_id_of(uri)
            if run_id is not None:
                group.start_soon(_tell_resource, ctx, desk, uri, run_id, sender.clone())
        lists, runs = wanted.lists, all(resources.run_id_of(uri) is not None for uri in wanted.uris)
        if runs and not (lists.tools_list_changed or lists.prompts_list_changed or lists.resources_list_changed):
            sender.close()
        async for params in receiver:
            await send(_notification(params, meta))


def _notification(told: Any, meta: dict[str, Any]) -> Any:
    if isinstance(told, Change) and told.kind != "resource":
        return _LISTS[told.kind](params=types.NotificationParams(_meta=meta))
    told = told.uri if isinstance(told, Change) else told
    if isinstance(told, str):
        return types.ResourceUpdatedNotification(params=types.ResourceUpdatedNotificationParams(uri=told, _meta=meta))
    return TaskChanged(params=TaskChange(_meta=meta, **told))


async def _tell_task(ctx: Context, desk: Desk, task_id: str, sender: MemoryObjectSendStream[Any]) -> None:
    """Give a stream a task each time when it isn't what it was, at first as it is."""
    said: Any = None
    async with sender, aclosing(changes(desk.engine, task_id, principal(ctx))) as found:
        try:
            async for _ in found:
                body = await task_body(desk, task_id, caller_of(ctx))
                now = {name: value for name, value in body.items() if name not in ("lastUpdatedAt", "pollIntervalMs")}
                if now != said:
                    said = now
                    await sender.send(body)
        except AgentflowError:  # it was purged: there is nothing more to tell
            return


async def _tell_resource(ctx: Context, desk: Desk, uri: str, run_id: str, sender: MemoryObjectSendStream[Any]) -> None:
    """Give a stream the address of a run each time when it isn't what it was."""
    async with sender:
        await _each_change(desk, run_id, ctx, lambda: sender.send(uri))


async def _each_change(desk: Desk, run_id: str, ctx: Context, tell: Callable[[], Awaitable[None]]) -> None:
    who, said = principal(ctx), None
    async with aclosing(changes(desk.engine, run_id, who)) as found:
        try:
            async for _ in found:
                run = await desk.engine.get(run_id, principal=who)
                now = await desk.follower.told_whole(run, who)
                if said is not None and now != said:
                    await tell()
                said = now
        except AgentflowError:  # it was purged
            return


def _serve_subscribing(server: Server[dict[str, Any]], desk: Desk) -> None:
    """Let clients of the protocol before 2026-07-28 subscribe to runs."""
    following = Followed(MOST)

    async def follow(ctx: Context, uri: str, run_id: str, scope: anyio.CancelScope) -> None:
        with scope:
            await _each_change(desk, run_id, ctx, lambda: ctx.session.send_resource_updated(uri))
        following.end(place_of(ctx, uri), scope)

    async def subscribe(ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        uri = params.uri
        if not await resources.is_there(desk.follower, uri, principal(ctx)):
            raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
        run_id = resources.run_id_of(uri)
        scope = following.begin(place_of(ctx, uri), principal(ctx)) if run_id is not None else None
        if scope is not None:
            ctx.lifespan_context[GROUP].start_soon(follow, ctx, uri, run_id, scope)
        return types.EmptyResult()

    async def unsubscribe(ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        following.end(place_of(ctx, params.uri))
        return types.EmptyResult()

    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, subscribe)
    server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, unsubscribe)


def place_of(ctx: Context, uri: str) -> Place:
    """Return a session, and an address that it has subscribed to."""
    session = ctx.request.headers.get("mcp-session-id", "") if ctx.request is not None else ""
    return session, uri
