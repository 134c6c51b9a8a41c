"""Clients listen to tasks and resources: each change is told, whichever process it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp.types as types
import pytest
from mcp import Client
from mcp.client.extension import NotificationBinding
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from pydantic import ConfigDict

from agentflow import Answer, Engine
from agentflow.config.load import load_text
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import LIMIT, call
from tests.surface_mcp.test_tasks import TASKS, Follows, Loose, begin, no_forms

pytestmark = pytest.mark.anyio

CONFIG = """\
workflows:
  ask:
    steps:
      - id: s
        type: wait_for_input
        message: How many?
        schema: {type: object, properties: {n: {type: integer}}, required: [n]}
    output: "{steps.s.n}"
"""


class Params(types.NotificationParams):
    """Whatever a notification says."""

    model_config = ConfigDict(extra="allow")


class Hears(Follows):
    """Takes tasks, and hears of their changes."""

    def __init__(self) -> None:
        """Have heard nothing."""
        self.sender, self.heard = anyio.create_memory_object_stream[dict[str, Any]](100)

    def notifications(self) -> Sequence[NotificationBinding[Any]]:
        """Observe tasks."""
        return [NotificationBinding(method="notifications/tasks", params_type=Params, handler=self._take)]

    async def _take(self, params: Params) -> None:
        await self.sender.send(dict(params.model_extra or {}))

    async def next(self) -> dict[str, Any]:
        """Return the next change."""
        with anyio.fail_after(LIMIT):
            return await self.heard.receive()


@asynccontextmanager
async def served(store: Path, ears: Hears, *, elsewhere: bool) -> AsyncGenerator[tuple[Client, Engine]]:
    """Return a client at a server, and an engine that goes on with runs: the server's, or another one."""
    config = load_text(CONFIG)
    async with (
        Engine.open(store, config=config) as worker,
        Engine.open(store, config=config, host="none") as idle,
    ):
        server = make_server(Desk(idle if elsewhere else worker, CONTROLS, hold=60), "listened")
        async with Client(
            server, mode="2026-07-28", elicitation_callback=no_forms, extensions=[ears], read_timeout_seconds=LIMIT
        ) as client:
            yield client, worker
    ears.sender.close()
    ears.heard.close()


@asynccontextmanager
async def listening(client: Client, **wanted: Any) -> AsyncGenerator[None]:
    """Listen in the block."""
    notifications = types.SubscriptionFilter(**wanted)
    params = types.SubscriptionsListenRequestParams(notifications=notifications)
    request = types.SubscriptionsListenRequest(params=params)
    async with anyio.create_task_group() as group:
        group.start_soon(client.session.send_request, request, Loose)
        yield
        group.cancel_scope.cancel()


@pytest.mark.parametrize("elsewhere", [False, True], ids=["advanced here", "advanced by another process"])
async def test_a_stream_tells_a_task_from_its_question_to_its_result(tmp_path: Path, elsewhere: bool) -> None:
    ears = Hears()
    async with served(tmp_path / "runs.db", ears, elsewhere=elsewhere) as (client, worker):
        handle = await begin(client, "ask")
        async with listening(client, taskIds=[handle.task_id, "unknown"]):
            first = await ears.next()
            while first["status"] == "working":
                first = await ears.next()
            assert (first["taskId"], first["status"]) == (handle.task_id, "input_required")
            [key] = first["inputRequests"]
            await worker.resume(key, Answer({"n": 3}))
            last = await ears.next()
            while last["status"] != "completed":
                last = await ears.next()
            assert last["result"]["structuredContent"] == {"result": 3}


async def test_a_stream_of_tasks_that_have_ended_tells_them_and_ends(tmp_path: Path) -> None:
    ears = Hears()
    async with served(tmp_path / "runs.db", ears, elsewhere=False) as (client, worker):
        run = await worker.start("ask")
        await worker.cancel(run.id)
        await worker.wait(run.id, LIMIT)
        params = types.SubscriptionsListenRequestParams(
            notifications=types.SubscriptionFilter.model_validate({"taskIds": [run.id]})
        )
        with anyio.fail_after(LIMIT):
            await client.session.send_request(types.SubscriptionsListenRequest(params=params), Loose)
        assert (await ears.next())["status"] == "cancelled"


async def test_who_has_not_declared_tasks_does_not_listen_to_any(tmp_path: Path) -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=0), "listened")
        async with Client(server, mode="2026-07-28") as client:
            params = types.SubscriptionsListenRequestParams(
                notifications=types.SubscriptionFilter.model_validate({"taskIds": ["x"]})
            )
            with pytest.raises(MCPError) as caught:
                await client.session.send_request(types.SubscriptionsListenRequest(params=params), Loose)
    assert caught.value.error.code == types.MISSING_REQUIRED_CLIENT_CAPABILITY
    assert caught.value.error.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


async def test_a_run_that_is_subscribed_to_is_told_to_have_changed() -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60), "listened")
        async with Client(server, mode="2026-07-28", read_timeout_seconds=LIMIT) as client:
            handle: Any = (await call(client, "ask")).structured_content
            uri = f"agentflow://runs/{handle['task_id']}"
            wanted = [uri, "agentflow://runs/unknown", "agentflow://workflows/ask"]
            async with client.listen(resource_subscriptions=wanted) as changes:
                assert changes.honored.resource_subscriptions == [uri, "agentflow://workflows/ask"]
                await engine.resume(handle["waiting_for"][0]["task_id"], Answer({"n": 1}))
                with anyio.fail_after(LIMIT):
                    assert await anext(changes) == ResourceUpdated(uri)


async def test_clients_of_the_protocol_before_subscribe_to_runs() -> None:
    told = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            assert message.params.uri == uri
            told.set()

    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60), "listened")
        async with Client(server, mode="legacy", message_handler=hear, read_timeout_seconds=LIMIT) as client:
            handle: Any = (await call(client, "ask")).structured_content
            uri = f"agentflow://runs/{handle['task_id']}"
            for _ in range(2):
                await client.session.send_request(_subscribe(uri), Loose)
            with pytest.raises(MCPError, match="Resource not found"):
                await client.session.send_request(_subscribe("agentflow://runs/unknown"), Loose)
            await engine.resume(handle["waiting_for"][0]["task_id"], Answer({"n": 1}))
            with anyio.fail_after(LIMIT):
                await told.wait()
            left = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
            await client.session.send_request(left, Loose)


def _subscribe(uri: str) -> types.SubscribeRequest:
    return types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
