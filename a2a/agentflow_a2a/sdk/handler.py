"""What the SDK's transports call: our operations, in its types and errors."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from a2a.server.context import ServerCallContext
from a2a.server.events import Event
from a2a.server.request_handlers import RequestHandler
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from a2a.utils.proto_utils import validate_proto_required_fields
from google.protobuf.json_format import MessageToDict, ParseDict, SerializeToJsonError
from google.protobuf.message import Message

from agentflow_a2a import versions
from agentflow_a2a.deep import shallow
from agentflow_a2a.numbers import settled
from agentflow_a2a.operations import CALLER, Caller, Operations
from agentflow_a2a.refusals import Kind, RefusedError
from agentflow_a2a.streaming import Told

_ERRORS: Mapping[Kind, type[errors.A2AError]] = {
    "task_not_found": errors.TaskNotFoundError,
    "task_not_cancelable": errors.TaskNotCancelableError,
    "push_not_supported": errors.PushNotificationNotSupportedError,
    "unsupported": errors.UnsupportedOperationError,
    "content_type": errors.ContentTypeNotSupportedError,
    "no_extended_card": errors.ExtendedAgentCardNotConfiguredError,
    "invalid_params": errors.InvalidParamsError,
    "version": errors.VersionNotSupportedError,
    "internal": errors.InternalError,
}
logging.getLogger("a2a").addHandler(logging.NullHandler())  # else each refused request stands on stderr
_UNDERSCORE = re.compile(r"_(\w)")
M = TypeVar("M", bound=Message)


def spoken(asked: str) -> str:
    """Return a version as Major.Minor; raises VersionNotSupportedError for one that nobody speaks here."""
    version = versions.spoken(asked)
    if version is None:
        raise errors.VersionNotSupportedError(versions.unspoken(asked))
    return version


class Handler(RequestHandler):
    """One agent, and others that a request's tenant names."""

    def __init__(self, operations: Operations, others: Mapping[str, Operations]) -> None:
        """Answer with the operations of an agent, or of that one of `others` that is meant."""
        self._operations = operations
        self._others = others

    def _of(self, context: ServerCallContext) -> Operations:
        """Return whose operations a request means."""
        if not context.tenant or not self._others:
            return self._operations
        meant = self._others.get(context.tenant)
        if meant is None:
            raise errors.InvalidParamsError(f'no agent "{context.tenant}"; there are: {", ".join(self._others)}')
        return meant

    async def on_message_send(self, params: pb.SendMessageRequest, context: ServerCallContext) -> pb.Task | pb.Message:
        _complete(params)
        try:
            told = await self._of(context).send(_plain(params), _caller(context))
        except RefusedError as error:
            raise error_of(error) from None
        return made(told.content, pb.Message() if told.kind == "message" else pb.Task())

    async def on_message_send_stream(
        self, params: pb.SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        _complete(params)
        async with aclosing(_events(self._of(context).stream(_plain(params), _caller(context)))) as events:
            async for event in events:
                yield event

    async def on_subscribe_to_task(
        self, params: pb.SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Event]:
        _complete(params)
        async with aclosing(_events(self._of(context).subscribe(params.id, _caller(context)))) as events:
            async for event in events:
                yield event

    async def on_get_task(self, params: pb.GetTaskRequest, context: ServerCallContext) -> pb.Task:
        _complete(params)
        history = params.history_length if params.HasField("history_length") else None
        try:
            return made(await self._of(context).get(params.id, history, _caller(context)), pb.Task())
        except RefusedError as error:
            raise error_of(error) from None

    async def on_list_tasks(self, params: pb.ListTasksRequest, context: ServerCallContext) -> pb.ListTasksResponse:
        try:
            return made(await self._of(context).list(_plain(params), _caller(context)), pb.ListTasksResponse())
        except RefusedError as error:
            raise error_of(error) from None

    async def on_cancel_task(self, params: pb.CancelTaskRequest, context: ServerCallContext) -> pb.Task:
        _complete(params)
        try:
            return made(await self._of(context).cancel(params.id, _caller(context)), pb.Task())
        except RefusedError as error:
            raise error_of(error) from None

    async def on_create_task_push_notification_config(
        self, params: pb.TaskPushNotificationConfig, context: ServerCallContext
    ) -> pb.TaskPushNotificationConfig:
        validate_proto_required_fields(params)
        try:
            kept = await self._of(context).pushes.create(_plain(params), _caller(context).principal)
        except RefusedError as error:
            raise error_of(error) from None
        return made(kept, pb.TaskPushNotificationConfig())

    async def on_get_task_push_notification_config(
        self, params: pb.GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> pb.TaskPushNotificationConfig:
        validate_proto_required_fields(params)
        try:
            found = await self._of(context).pushes.get(params.task_id, params.id, _caller(context).principal)
        except RefusedError as error:
            raise error_of(error) from None
        return made(found, pb.TaskPushNotificationConfig())

    async def on_list_task_push_notification_configs(
        self, params: pb.ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> pb.ListTaskPushNotificationConfigsResponse:
        validate_proto_required_fields(params)
        try:
            page = await self._of(context).pushes.list(_plain(params), _caller(context).principal)
        except RefusedError as error:
            raise error_of(error) from None
        return made(page, pb.ListTaskPushNotificationConfigsResponse())

    async def on_delete_task_push_notification_config(
        self, params: pb.DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        validate_proto_required_fields(params)
        try:
            await self._of(context).pushes.delete(params.task_id, params.id, _caller(context).principal)
        except RefusedError as error:
            raise error_of(error) from None

    async def on_get_extended_agent_card(
        self, params: pb.GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> pb.AgentCard:
        try:
            return made(self._of(context).extended_card(), pb.AgentCard())
        except RefusedError as error:
            raise error_of(error) from None


def _complete(params: Message) -> None:
    """Refuse a request that lacks required fields; they are named as JSON names them."""
    try:
        validate_proto_required_fields(params)
    except errors.InvalidParamsError as error:
        told: Any = vars(error)["data"]  # typed as a dict of anything
        missing: list[dict[str, str]] = told["errors"]
        named = [{**each, "field": _camel(each["field"])} for each in missing]
        words = "; ".join(f"{each['field']}: {each['message']}" for each in named)
        raise errors.InvalidParamsError(words, {"errors": named}) from None


def _camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)


async def _events(stream: AsyncGenerator[Told, None]) -> AsyncGenerator[Event]:
    try:
        async with aclosing(stream) as told:
            async for each in told:
                yield _event(each)
    except RefusedError as error:
        raise error_of(error) from None


def _event(told: Told) -> Event:
    if told.kind == "task":
        return made(told.content, pb.Task())
    if told.kind == "message":
        return made(told.content, pb.Message())
    if told.kind == "artifact":
        return made(told.content, pb.TaskArtifactUpdateEvent())
    return made(told.content, pb.TaskStatusUpdateEvent())


def _caller(context: ServerCallContext) -> Caller:
    caller: Caller = context.state[CALLER]
    return caller


def _plain(message: Message) -> dict[str, Any]:
    """Return a request as JSON, whole numbers as such: the SDK's types know only floats."""
    try:
        return settled(MessageToDict(message))
    except SerializeToJsonError as error:
        raise errors.InvalidParamsError(f"the request can't be told in JSON: {error}") from None


def made(content: Mapping[str, Any], message: M) -> M:
    """Return content as one of the SDK's messages; what is too deep for one stands in it as JSON text."""
    return ParseDict(shallow(dict(content)), message, ignore_unknown_fields=True)


def error_of(refused: RefusedError) -> errors.A2AError:
    """Return the SDK's error for one of ours."""
    data: dict[str, Any] = {"code": refused.code} if refused.code else {}
    if refused.fields:
        data["errors"] = [{"field": name, "message": message} for name, message in refused.fields.items()]
    return _ERRORS[refused.kind](refused.message, data or None)
