"""gRPC: what a call brings beside its request, how errors are told, who may, how the server ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import grpc
import grpc.aio
import httpx
import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2, a2a_v0_3_pb2_grpc
from a2a.types import a2a_pb2 as pb
from a2a.types import a2a_pb2_grpc
from a2a.utils.grpc_status import status_from_call
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from starlette.requests import HTTPConnection

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.errors import AgentflowError
from agentflow.extras import installing
from agentflow.principal import Principal
from agentflow.server import create_app, run
from agentflow.server.who import Loopback, Refusal, Who, who_of
from agentflow_a2a.told import TASKS
from tests.surface_a2a.served import (
    MODES,
    Mode,
    Server,
    generation,
    official,
    output,
    request,
    send,
    state,
    waits,
)
from tests.surface_a2a.test_serving import ENV, TOKENS

pytestmark = pytest.mark.anyio
Serve = Callable[..., Server]
GRPC = next(mode for mode in MODES if mode == ("GRPC", "1.0"))
V1 = ("a2a-version", "1.0")


def _address(server: Server, agent: str = "desk") -> str:
    return str(server.told["agents"][agent]["A2A gRPC"])


@asynccontextmanager
async def _service(server: Server) -> AsyncGenerator[Any]:
    """Give the generated client, which sends what it is told to."""
    stub: Any = a2a_pb2_grpc.A2AServiceStub  # generated code has no types
    async with grpc.aio.insecure_channel(_address(server)) as channel:
        yield stub(channel)


async def _refused(call: Any) -> tuple[grpc.StatusCode, dict[str, str]]:
    """Return what a call was refused with: its code, and the reason and fields of its details."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status: Any = status_from_call(caught.value)
    told: dict[str, str] = {}
    for detail in status.details if status is not None else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            assert info.domain == "a2a-protocol.org"
            told["reason"] = info.reason
        elif detail.Unpack(bad):
            told["field"] = bad.field_violations[0].field
    return caught.value.code(), told


@pytest.mark.a2a("GRPC-1", "GRPC-3")
async def test_errors_have_the_codes_and_reasons_of_the_protocol(server: Server) -> None:
    async with official(server.url) as client:
        done = await send(client, request("x", skill="echo"))
    async with _service(server) as service:

        def call(name: str, message: Any) -> Any:
            return getattr(service, name)(message, metadata=[V1])

        not_found = (grpc.StatusCode.NOT_FOUND, {"reason": "TASK_NOT_FOUND"})
        assert await _refused(call("GetTask", pb.GetTaskRequest(id="nobody"))) == not_found
        assert await _refused(call("CancelTask", pb.CancelTaskRequest(id="nobody"))) == not_found
        assert await _refused(call("CancelTask", pb.CancelTaskRequest(id=done.id))) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            {"reason": "TASK_NOT_CANCELABLE"},
        )
        unsupported = (grpc.StatusCode.FAILED_PRECONDITION, {"reason": "UNSUPPORTED_OPERATION"})
        assert await _refused(call("SendMessage", request("again", taskId=done.id))) == unsupported
        assert await _refused(call("GetExtendedAgentCard", pb.GetExtendedAgentCardRequest())) == unsupported
        code, told = await _refused(call("GetTask", pb.GetTaskRequest(id=done.id, history_length=-1)))
        assert (code, told["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "historyLength")
        code, told = await _refused(call("SendMessage", pb.SendMessageRequest()))
        assert (code, told["reason"]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PARAMS")
        unread = request("x", skill="echo")
        unread.message.parts[0].media_type = "image/png"
        assert await _refused(call("SendMessage", unread)) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            {"reason": "CONTENT_TYPE_NOT_SUPPORTED"},
        )


@pytest.mark.a2a("GRPC-2")
@pytest.mark.parametrize("version", ["", "0.3", "1.7", "2.0", "nonsense"])
async def test_a_service_refuses_versions_that_it_does_not_speak(server: Server, version: str) -> None:
    async with _service(server) as service:
        metadata = [("a2a-version", version)] if version else []
        refused = await _refused(service.ListTasks(pb.ListTasksRequest(), metadata=metadata))
        assert refused == (grpc.StatusCode.FAILED_PRECONDITION, {"reason": "VERSION_NOT_SUPPORTED"})

        async def stream() -> None:
            async for _ in service.SendStreamingMessage(request("x", skill="echo"), metadata=metadata):
                pass

        assert await _refused(stream()) == refused


async def test_a_patch_of_the_version_does_not_matter_and_the_old_service_needs_none(server: Server) -> None:
    async with _service(server) as service:
        assert (await service.ListTasks(pb.ListTasksRequest(), metadata=[("a2a-version", "1.0.1")])).page_size == 50
    stub: Any = a2a_v0_3_pb2_grpc.A2AServiceStub
    async with grpc.aio.insecure_channel(_address(server)) as channel:
        for metadata in ([], [("a2a-version", "0.3")]):
            code, _ = await _refused(
                stub(channel).GetTask(a2a_v0_3_pb2.GetTaskRequest(name="tasks/nobody"), metadata=metadata)
            )
            assert code == grpc.StatusCode.NOT_FOUND


@pytest.mark.a2a("GRPC-4", "GRPC-2")
async def test_the_extension_is_echoed_and_a_subscription_goes_on_after_a_generation(server: Server) -> None:
    async with official(server.url) as client, _service(server) as service:
        done = await send(client, request({"count": 5}, skill="chunks"))

        async def subscribe(*metadata: tuple[str, str]) -> tuple[Any, list[Any]]:
            call = service.SubscribeToTask(pb.SubscribeToTaskRequest(id=done.id), metadata=[V1, *metadata])
            return await call.initial_metadata(), [event async for event in call]

        echoed, told = await subscribe(("last-event-id", "3"), ("a2a-extensions", f"urn:other, {TASKS}"))
        assert dict(echoed)["a2a-extensions"] == TASKS
        numbers = [generation(MessageToDict(event.artifact_update)) for event in told[1:4]]
        assert numbers == [4, 5, 6]
        echoed, _ = await subscribe(("last-event-id", "3"))
        assert "a2a-extensions" not in dict(echoed)


async def test_a_start_with_an_idempotency_key_in_the_metadata_starts_once(server: Server) -> None:
    async with _service(server) as service:
        metadata = [V1, ("idempotency-key", "order-7")]
        first, again = [
            (await service.SendMessage(request("x", skill="echo"), metadata=metadata)).task for _ in range(2)
        ]
        assert first.id == again.id


DESK = """
name: desk
workflows:
  echo: {input: {text: string}, steps: [{id: say, type: set, value: "{input.text}"}]}
  review: {steps: [{id: decide, type: wait_for_input, message: "Publish?", schema: {enum: [approve, reject]}}]}
"""
SHOP = "name: shop\nworkflows: {echo: {steps: [{id: a, type: set, value: of the shop}]}}\n"


@asynccontextmanager
async def _inside(*texts: str, who: Who | None = None) -> AsyncGenerator[tuple[Any, httpx.AsyncClient]]:
    """Serve configs in this process; give the generated client and one for HTTP."""
    configs = [load_text(text) for text in texts]
    who = who or who_of(configs, os.environ)
    at = run.grpc_at("127.0.0.1", 0, None, None, who)
    stub: Any = a2a_pb2_grpc.A2AServiceStub
    async with AsyncExitStack() as stack:
        engines = [await stack.enter_async_context(Engine.open(":memory:", config=config)) for config in configs]
        app = create_app(*engines, who=who, grpc=at)
        await stack.enter_async_context(app.router.lifespan_context(app))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(at.url))
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")
        yield stub(channel), await stack.enter_async_context(http)


async def test_a_request_that_is_too_large_is_refused() -> None:
    async with _inside(DESK + "limits: {input_size: 64KiB}\n") as (service, _):
        code, _ = await _refused(service.SendMessage(request("x" * 200_000, skill="echo"), metadata=[V1]))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await service.SendMessage(request("x", skill="echo"), metadata=[V1])).task.id


async def test_every_call_needs_a_token_where_tokens_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    async with _inside(DESK + TOKENS) as (service, _):
        for brings in ([], [("authorization", "Bearer of nobody")], [("authorization", "Basic of ann")]):
            metadata = [V1, *brings]
            for call in (
                service.GetTask(pb.GetTaskRequest(id="x"), metadata=metadata),
                service.GetExtendedAgentCard(pb.GetExtendedAgentCardRequest(), metadata=metadata),
                service.SendMessage(request("x", skill="echo"), metadata=metadata),
            ):
                assert (await _refused(call))[0] == grpc.StatusCode.UNAUTHENTICATED

            async def stream(metadata: list[tuple[str, str]] = metadata) -> None:
                async for _ in service.SubscribeToTask(pb.SubscribeToTaskRequest(id="x"), metadata=metadata):
                    pass

            assert (await _refused(stream()))[0] == grpc.StatusCode.UNAUTHENTICATED
        ann, bob = [V1, ("authorization", "Bearer of ann")], [V1, ("authorization", "Bearer of bob")]
        asked = (await service.SendMessage(request({}, skill="review"), metadata=ann)).task
        assert (await service.ListTasks(pb.ListTasksRequest(), metadata=bob)).total_size == 0
        refused = await _refused(service.GetTask(pb.GetTaskRequest(id=asked.id), metadata=bob))
        assert refused == (grpc.StatusCode.NOT_FOUND, {"reason": "TASK_NOT_FOUND"})
        answer = request("approve", taskId=waits(asked)[0]["taskId"])
        assert state((await service.SendMessage(answer, metadata=ann)).task) == "completed"


@dataclass
class _OneTeam:
    """Lets in one team, and writes down from where."""

    tokens: bool = False
    seen: list[str] = field(default_factory=list[str])

    def principal(self, request: HTTPConnection) -> Principal:
        assert request.client is not None
        self.seen.append(request.client.host)
        if request.headers.get("x-team") != "blue":
            raise Refusal(403, "only the blue team")
        return Principal("blue")


async def test_who_tells_who_asks_over_http_tells_it_of_calls_too() -> None:
    who = _OneTeam()
    async with _inside(DESK, who=who) as (service, _):
        listed = await service.ListTasks(pb.ListTasksRequest(), metadata=[V1, ("x-team", "blue")])
        assert listed.total_size == 0
        refused = await _refused(service.ListTasks(pb.ListTasksRequest(), metadata=[V1, ("x-team", "red")]))
        assert refused[0] == grpc.StatusCode.PERMISSION_DENIED
    assert who.seen == ["127.0.0.1", "127.0.0.1"]


async def test_several_configs_share_the_port_and_each_card_names_its_tenant() -> None:
    async with _inside(DESK, SHOP) as (service, http):
        for name in ("desk", "shop"):
            card = (await http.get(f"/agents/{name}/.well-known/agent-card.json")).json()
            (told,) = [each for each in card["supportedInterfaces"] if each["protocolBinding"] == "GRPC"]
            assert (told["protocolVersion"], told["tenant"]) == ("1.0", name)
        bought = request("x", skill="echo")
        assert output((await service.SendMessage(bought, metadata=[V1])).task) == "x"
        bought.tenant = "shop"
        assert output((await service.SendMessage(bought, metadata=[V1])).task) == "of the shop"
        code, told = await _refused(service.ListTasks(pb.ListTasksRequest(tenant="nobody"), metadata=[V1]))
        assert (code, told["reason"]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PARAMS")


async def test_who_waits_is_answered_when_the_server_ends_and_streams_end_too(serve: Serve) -> None:
    with anyio.fail_after(60):
        server = serve()
        async with official(server.url, GRPC) as client, _service(server) as service:
            found: list[pb.Task] = []
            ends: list[grpc.StatusCode] = []
            followed = anyio.Event()

            async def ask() -> None:
                found.append(await send(client, request({}, skill="long")))

            async def follow(task_id: str) -> None:
                try:
                    async for _ in service.SubscribeToTask(pb.SubscribeToTaskRequest(id=task_id), metadata=[V1]):
                        followed.set()
                except grpc.aio.AioRpcError as error:
                    ends.append(error.code())

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                while not (listed := (await client.list_tasks(pb.ListTasksRequest())).tasks):
                    pass
                group.start_soon(follow, listed[0].id)
                await followed.wait()
                assert await anyio.to_thread.run_sync(server.stop) == 0
            assert state(found[0]) == "working"
            assert ends == [grpc.StatusCode.UNAVAILABLE]


def test_a_port_for_grpc_that_is_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "agentflow.yaml").write_text("workflows: {hello: {steps: [{id: a, type: set, value: 1}]}}\n", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [str(Path(sys.executable).with_name("agentflow")), "serve", "--port", "0", "--grpc-port", port]
        refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, f"port {port} is used" in refused.stderr) == (73, True)
    assert "--grpc-port" in refused.stderr


def test_without_its_package_grpc_is_refused_by_the_name_of_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> None:
        return None

    monkeypatch.setattr(run, "find_spec", nothing)
    with pytest.raises(AgentflowError) as refused:
        run.grpc_at("127.0.0.1", 0, None, None, Loopback())
    assert (refused.value.code, refused.value.hint) == ("AF-INSTALL", installing("grpc"))


def test_the_address_on_the_card_is_the_port_s_unless_another_is_told() -> None:
    at = run.grpc_at("127.0.0.1", 0, None, "https://agents.example.com/desk", Loopback())
    assert at.url == f"agents.example.com:{at.port}"
    assert run.grpc_at("127.0.0.1", 0, "rpc.example.com:443", None, Loopback()).url == "rpc.example.com:443"


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_a_subscription_goes_on_through_waits_and_a_cancel_ends_it(server: Server, version: str) -> None:
    mode = Mode("GRPC", version)
    with anyio.fail_after(60):
        async with official(server.url, mode) as client, official(server.url, mode, streaming=True) as listener:
            asked = await send(client, request("x", skill="twice"))
            told: list[str] = []
            async for event in listener.subscribe(pb.SubscribeToTaskRequest(id=asked.id)):
                if event.HasField("task"):
                    await send(client, request("one", taskId=asked.id))
                elif event.HasField("status_update"):
                    told.append(pb.TaskState.Name(event.status_update.status.state))
                    if told == ["TASK_STATE_INPUT_REQUIRED"]:
                        await client.cancel_task(pb.CancelTaskRequest(id=asked.id))
            assert (told[0], told[-1]) == ("TASK_STATE_INPUT_REQUIRED", "TASK_STATE_CANCELED")


async def test_what_is_no_request_or_has_no_form_in_json_is_refused_as_the_caller_s_fault(server: Server) -> None:
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    raw_channel: Any = grpc.aio.insecure_channel(_address(server))
    async with raw_channel as channel:
        send_raw: Any = channel.unary_unary("/lf.a2a.v1.A2AService/SendMessage")
        code, _ = await _refused(send_raw(b"\xff\xff\xff", metadata=[V1]))
        assert code == invalid
    async with _service(server) as service:
        odd = request("x", skill="echo")
        odd.message.metadata["n"] = float("nan")
        assert (await _refused(service.SendMessage(odd, metadata=[V1])))[0] == invalid
        nobody = request("x", skill="echo")
        nobody.message.MergeFromString(b"\x20\x63")  # a role that this protocol doesn't know
        assert (await _refused(service.SendMessage(nobody, metadata=[V1])))[0] == invalid
        unknown: Any = 99
        assert (await _refused(service.ListTasks(pb.ListTasksRequest(status=unknown), metadata=[V1])))[0] == invalid


@pytest.mark.parametrize("kind", ["array", "object"])
async def test_what_is_too_deep_for_the_types_is_told_as_json_text(server: Server, kind: str) -> None:
    deep: Any = "bottom"
    for _ in range(80):
        deep = [deep] if kind == "array" else {"in": deep}
    message = {
        "messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "metadata": {"skillId": "echo", "deep": deep},
    }  # fmt: skip
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{server.url}/a2a/rest/message:send", json={"message": message}, headers={"A2A-Version": "1.0"}
        )
    task = answer.json()["task"]
    assert task["history"][0]["metadata"]["deep"] == deep
    async with _service(server) as service:
        found = await service.GetTask(pb.GetTaskRequest(id=task["id"]), metadata=[V1])
        asked = pb.ListTasksRequest(context_id=task["contextId"], history_length=5)
        listed = await service.ListTasks(asked, metadata=[V1])
    for each in (found, listed.tasks[0]):
        text = str(MessageToDict(each.history[0].metadata)["deep"])
        assert "bottom" in text
        assert len(text) > 80
