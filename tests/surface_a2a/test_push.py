"""Push notifications of a real server: what a client asks for arrives, in order, and says nothing that is secret."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import TaskNotFoundError

from agentflow import load_config
from agentflow.engine import Engine
from agentflow.server import create_app
from tests.surface_a2a.receiving import Got, Receiver, receiving
from tests.surface_a2a.served import MODES, WORKFLOWS, Mode, Server, official, plain, request, send, state, waits

pytestmark = pytest.mark.anyio
Call = Callable[..., Awaitable[Any]]
TIME = 60
OPEN = f"{WORKFLOWS}\npush: {{private: true}}\n"
PLAIN = "workflows: {echo: {input: {text: string}, steps: [{id: say, type: set, value: '{input.text}'}]}}\n"
by_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")


@pytest.fixture(scope="module")
def server_config() -> str:
    """Receivers on this machine are allowed."""
    return OPEN


def config(
    url: str, task_id: str = "", name: str = "", token: str = "", credentials: str = ""
) -> pb.TaskPushNotificationConfig:
    made = pb.TaskPushNotificationConfig(task_id=task_id, id=name, url=url, token=token)
    if credentials:
        made.authentication.CopyFrom(pb.AuthenticationInfo(scheme="Bearer", credentials=credentials))
    return made


@by_mode
async def test_a_client_creates_finds_lists_and_deletes_a_config(server: Server, mode: Mode) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url, mode) as client:
            task = await send(client, request("x", skill="review"))
            wanted = config(receiver.url("/a?key=k"), task.id, "mine", "tok", "cred")
            made = await client.create_task_push_notification_config(wanted)
            assert (made.id, made.url, made.task_id) == ("mine", receiver.url("/a?key=k"), task.id)
            asked = pb.GetTaskPushNotificationConfigRequest(task_id=task.id, id="mine")
            found = await client.get_task_push_notification_config(asked)
            assert (found.id, found.url, found.authentication.scheme) == ("mine", receiver.url("/a?key=k"), "Bearer")
            assert (found.token, found.authentication.credentials) == ("", "")
            if mode == MODES[3]:
                return  # the official client does no more than that in this mode
            listed = await client.list_task_push_notification_configs(
                pb.ListTaskPushNotificationConfigsRequest(task_id=task.id)
            )
            assert [(each.id, each.token) for each in listed.configs] == [("mine", "")]
            gone = pb.DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="mine")
            await client.delete_task_push_notification_config(gone)
            await client.delete_task_push_notification_config(gone)
            with pytest.raises(TaskNotFoundError):
                await client.get_task_push_notification_config(asked)


def asking(
    receiver: Receiver, *parts: object, skill: str, path: str = "/hook", **options: Any
) -> pb.SendMessageRequest:
    """Return a message that wants its task's changes to be sent to a receiver."""
    asked = request(*parts, skill=skill, **options)
    asked.configuration.task_push_notification_config.CopyFrom(
        config(receiver.url(path), "", "inline", token="tok", credentials="cred")
    )
    return asked


@by_mode
async def test_a_config_in_a_message_gets_every_change_from_the_first_in_order(server: Server, mode: Mode) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url, mode) as client:
            task = await send(client, asking(receiver, {"count": 3}, skill="chunks"))
            got = await receiver.last()
    assert [each.told for each in got] == ["working", "page 0 ", "page 1 ", "page 2 ", "done", "completed"]
    assert {each.task_id for each in got} == {task.id}
    for each in got:
        assert each.headers["content-type"] == "application/a2a+json"
        assert each.headers["authorization"] == "Bearer cred"
        assert each.headers["x-a2a-notification-token"] == "tok"


async def test_what_is_sent_is_what_a_stream_tells(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url, streaming=True) as client:
            asked = asking(receiver, {"count": 3}, skill="chunks")
            told = [plain(event) async for event in client.send_message(asked)]
            got = await receiver.last()
    assert [whole(each.body) for each in got] == [whole(event) for event in told[1:]]


async def test_a_question_is_told_and_what_follows_the_answer_too(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url) as client:
            task = await send(client, asking(receiver, "x", skill="review"))
            await receiver.last("input_required")
            assert state(await send(client, request({"decision": "approve"}, taskId=task.id))) == "completed"
            got = await receiver.last()
    assert [each.told for each in got] == ["working", "Draft: x", "input_required", "approve", "completed"]


async def test_an_answer_may_bring_a_config_and_gets_what_follows_it(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url) as client:
            task = await send(client, request("x", skill="twice"))
            answer = asking(receiver, "one", skill="", taskId=task.id)
            await send(client, answer)
            await receiver.last("input_required")
            await send(client, answer)  # once more: it has its config already
            await send(client, request("two", taskId=task.id))
            got = await receiver.last()
            listed = await client.list_task_push_notification_configs(
                pb.ListTaskPushNotificationConfigsRequest(task_id=task.id)
            )
    assert [each.told for each in got].count("completed") == 1
    assert [each.told for each in got][-2:] == ["one, two", "completed"]
    assert [each.id for each in listed.configs] == ["inline"]


async def test_a_wait_has_configs_of_its_own(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url) as client:
            task = await send(client, request("x", skill="twice"))
            wait = waits(task)[0]["taskId"]
            await client.create_task_push_notification_config(config(receiver.url(), wait))
            await send(client, request("one", taskId=wait))
            got = await receiver.last()
    assert [(each.task_id, each.told) for each in got] == [(wait, "completed")]


async def test_a_config_for_a_task_that_is_over_can_be_had_and_gets_nothing(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url) as client:
            task = await send(client, request("x", skill="echo"))
            made = await client.create_task_push_notification_config(config(receiver.url(), task.id))
            other = await send(client, asking(receiver, "y", skill="echo"))
            got = await receiver.last()
            asked = pb.GetTaskPushNotificationConfigRequest(task_id=task.id, id=made.id)
            assert (await client.get_task_push_notification_config(asked)).id == made.id
    assert {each.task_id for each in got} == {other.id}


async def test_a_slow_receiver_and_a_dead_one_delay_no_stream(server: Server) -> None:
    """Both hold back their first answer until the stream has come to its end."""
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url, streaming=True) as client:
            over = anyio.Event()

            async def hold(got: Got) -> int:
                await over.wait()
                return 200 if got.path == "/slow" else 503

            receiver.answer = hold
            task_id = ""
            states: list[str] = []
            async for event in client.send_message(asking(receiver, {"count": 20}, skill="chunks", path="/slow")):
                told = plain(event)
                if "task" in told:
                    task_id = told["task"]["id"]
                    for path in ("/dead", "/dead2"):
                        await client.create_task_push_notification_config(config(receiver.url(path), task_id))
                elif "statusUpdate" in told:
                    states.append(told["statusUpdate"]["status"]["state"])
            assert states[-1] == "TASK_STATE_COMPLETED"
            assert receiver.got == []
            over.set()
            got = await receiver.last()
    assert [each.told for each in got if each.path == "/slow"][-2:] == ["done", "completed"]


async def test_unknown_tasks_and_those_of_others_look_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANN", "of ann")
    monkeypatch.setenv("BOB", "of bob")
    auth = "auth: {tokens: [{name: ann, value_env: ANN}, {name: bob, value_env: BOB}]}\n"
    async with served(tmp_path, PLAIN + auth) as (_, call):
        message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
        task_id = (await call("SendMessage", {"message": message}, "of ann"))["result"]["task"]["id"]
        asked = {"id": "mine", "url": "https://93.184.215.14/"}
        made = await call("CreateTaskPushNotificationConfig", {**asked, "taskId": task_id}, "of ann")
        assert made["result"]["id"] == "mine"
        for operation in ("Create", "Get", "Delete", "List"):
            method = f"{operation}TaskPushNotificationConfig{'s' if operation == 'List' else ''}"
            refused: list[str] = []
            for each in (task_id, "0" * 26):
                params = {"taskId": each, **(asked if operation == "Create" else {"id": "mine"})}
                answer = await call(method, params if operation != "List" else {"taskId": each}, "of bob")
                assert answer["error"]["code"] == -32001
                refused.append(str(answer["error"]).replace(each, "TASK"))
            assert refused[0] == refused[1]
        listed = await call("ListTaskPushNotificationConfigs", {"taskId": task_id}, "of ann")
        assert [each["id"] for each in listed["result"]["configs"]] == ["mine"]


async def test_lists_come_in_pages(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver, official(server.url) as client:
            task = await send(client, request("x", skill="review"))
            for n in range(5):
                await client.create_task_push_notification_config(config(receiver.url(), task.id, f"c{n}"))
            names: list[list[str]] = []
            token = ""
            while token or not names:
                page = await client.list_task_push_notification_configs(
                    pb.ListTaskPushNotificationConfigsRequest(task_id=task.id, page_size=2, page_token=token)
                )
                names.append([each.id for each in page.configs])
                token = page.next_page_token
            assert names == [["c0", "c1"], ["c2", "c3"], ["c4"]]


async def test_without_the_feature_everything_is_refused_and_nothing_starts(tmp_path: Path) -> None:
    asked = {"taskId": "t", "id": "c", "url": "https://hooks.example.com/"}
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    async with served(tmp_path, f"{PLAIN}push: {{enabled: false}}\n") as (engine, call):
        for method, params in (
            ("SendMessage", {"message": message, "configuration": {"taskPushNotificationConfig": asked}}),
            ("CreateTaskPushNotificationConfig", asked),
            ("GetTaskPushNotificationConfig", {"taskId": "t", "id": "c"}),
            ("ListTaskPushNotificationConfigs", {"taskId": "t"}),
            ("DeleteTaskPushNotificationConfig", {"taskId": "t", "id": "c"}),
        ):
            assert (await call(method, params))["error"]["code"] == -32003
        assert await engine.list() == []


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": "https://10.0.0.1/"}, "taskPushNotificationConfig.url"),
        ({"url": ""}, "url"),
        ({"url": "https://u:p4ss@hooks.example.com/"}, "taskPushNotificationConfig.url"),
        ({"url": "https://93.184.215.14/", "token": "a\nb"}, "taskPushNotificationConfig.token"),
        ({"url": "https://93.184.215.14/", "token": "t" * 9000}, "taskPushNotificationConfig.token"),
        (
            {"url": "https://93.184.215.14/", "authentication": {"scheme": "Bea rer", "credentials": "c"}},
            "taskPushNotificationConfig.authentication.scheme",
        ),
        (
            {"url": "https://93.184.215.14/", "authentication": {"scheme": "Bearer", "credentials": "c\r\nx: y"}},
            "taskPushNotificationConfig.authentication.credentials",
        ),
        ({"url": "https://93.184.215.14/", "id": "i" * 200}, "taskPushNotificationConfig.id"),
    ],
)
async def test_a_config_that_cant_be_is_refused_before_anything_starts(
    tmp_path: Path, config: dict[str, Any], field: str
) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    async with served(tmp_path, PLAIN) as (engine, call):
        asked = {"message": message, "configuration": {"taskPushNotificationConfig": config}}
        answer = await call("SendMessage", asked)
        assert answer["error"]["code"] == -32602
        assert field in str(answer)
        assert "p4ss" not in str(answer)
        assert await engine.list() == []


@asynccontextmanager
async def served(folder: Path, text: str) -> AsyncGenerator[tuple[Engine, Call]]:
    """Serve a config in this process; gives the engine, and what calls a method (with a token) by JSON-RPC."""
    (folder / "agentflow.yaml").write_text(text, encoding="utf-8")
    async with Engine.open(":memory:", config=load_config(folder / "agentflow.yaml")) as engine:
        transport = httpx.ASGITransport(create_app(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:

            async def call(method: str, params: Any, token: str = "") -> Any:
                headers = {"A2A-Version": "1.0", "Authorization": f"Bearer {token}"}
                asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                return (await http.post("/a2a", json=asked, headers=headers)).json()

            yield engine, call


def whole(body: Any) -> Any:
    """Return what was told without fields that mean nothing."""
    if isinstance(body, dict):
        return {name: whole(value) for name, value in cast("dict[str, Any]", body).items() if value not in (False, [])}
    return [whole(each) for each in cast("list[Any]", body)] if isinstance(body, list) else body
