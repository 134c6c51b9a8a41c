"""An agent that isn't ours: the official SDK's own handler in front of a few lines of an agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value
from starlette.applications import Starlette

from tests.surface_a2a.relay import Relay


class Clerk(AgentExecutor):
    """Does what the first word of a message says."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.said: list[str] = []
        self.canceled = anyio.Event()
        self.go = anyio.Event()
        self.url = ""
        """Its own address."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Take a message."""
        message, task_id, context_id = context.message, context.task_id, context.context_id
        assert message is not None
        assert task_id is not None
        assert context_id is not None
        text = "".join(part.text for part in message.parts)
        self.said.append(text)
        if text == "hello":
            await event_queue.enqueue_event(pb.Message(message_id="m", role=pb.ROLE_AGENT, parts=[pb.Part(text="hi")]))
            return
        if context.current_task is None:
            task = pb.Task(id=task_id, context_id=context_id, history=[message])
            task.status.state = pb.TASK_STATE_SUBMITTED
            await event_queue.enqueue_event(task)
        await self._work(text, TaskUpdater(event_queue, task_id, context_id), context.current_task is not None)

    async def _work(self, text: str, updater: TaskUpdater, again: bool) -> None:
        await updater.start_work(updater.new_agent_message([pb.Part(text="thinking")]))
        if again:
            if text == "never":
                await updater.requires_input(updater.new_agent_message([pb.Part(text="Really?")]))
                return
            await updater.add_artifact([pb.Part(text=f"for {text}")], "answer", name="answer")
        elif text == "ask":
            await updater.requires_input(updater.new_agent_message([pb.Part(text="For whom?")]))
            return
        elif text == "fail":
            await updater.failed(updater.new_agent_message([pb.Part(text="no paper left")]))
            return
        elif text == "two":
            for name, data in (("totals", {"n": 3}), ("notes", {"ok": True})):
                await updater.add_artifact([pb.Part(data=ParseDict(data, Value()))], name, name=name)
        else:
            for n in range(3):
                await updater.add_artifact([pb.Part(text=f"{n} ")], "pages", append=n > 0, last_chunk=n == 2)
            if text == "hold":
                await self.go.wait()
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Stop."""
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()
        self.canceled.set()


@asynccontextmanager
async def foreign(
    version: str, binding: str = "JSONRPC", *, streaming: bool = True, wire: Relay | None = None
) -> AsyncGenerator[tuple[str, Clerk]]:
    """Serve the agent, in one version of the protocol over one transport; gives its address, or its wire's, and it."""
    clerk, card = Clerk(), pb.AgentCard(name="clerk", description="A clerk.", version="1")
    card.capabilities.streaming = streaming
    card.default_input_modes.append("text/plain")
    card.default_output_modes.append("text/plain")
    card.skills.add(id="clerk", name="clerk", description="A clerk.", tags=["clerk"])
    handler = DefaultRequestHandler(clerk, InMemoryTaskStore(), card)
    old = version == "0.3"
    routes = [
        *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=old),
        *create_rest_routes(handler, path_prefix="/rest", enable_v0_3_compat=old),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    config.load()
    (listening,) = [config.bind_socket()]
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    clerk.url = url
    if wire is not None:
        wire.to(url)
        url = wire.url
    path = "/rpc" if binding == "JSONRPC" else "/rest"
    card.supported_interfaces.add(url=f"{url}{path}", protocol_binding=binding, protocol_version=version)
    server.config.loaded_app = Starlette(routes=[*create_agent_card_routes(card), *routes])
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, [listening])
        try:
            yield url, clerk
        finally:
            clerk.go.set()
            server.should_exit = True
    listening.close()
