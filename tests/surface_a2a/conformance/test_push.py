"""Push notifications: the configs of a task, and what comes to where they say."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow.definition.config_file import PushSection
from agentflow.errors import InputError
from agentflow.server.pushing.delivering import Delivery, push_policy
from tests.surface_a2a.conformance.wire import Json, Wire, message, state
from tests.surface_a2a.receiving import Got, receiving

pytestmark = pytest.mark.anyio
TIME = 60
CREDENTIALS: Json = {"scheme": "Bearer", "credentials": "secret-of-mine"}


@pytest.mark.a2a("PUSH-2", "PUSH-4", "PUSH-5", "PUSH-6", "PUSH-7")
async def test_configs_of_a_task_are_kept_until_they_are_deleted(wire: Wire) -> None:
    task = (await wire.send("input")).task["id"]
    made: list[Json] = []
    for path in ("one", "two"):
        params: Json = {"taskId": task, "url": f"http://127.0.0.1:1/{path}", "authentication": CREDENTIALS}
        made.append((await wire.call("CreateTaskPushNotificationConfig", params)).result)
    assert len({each["id"] for each in made}) == 2
    assert [(each["taskId"], each["url"][-3:]) for each in made] == [(task, "one"), (task, "two")]
    one: Json = {"taskId": task, "id": made[0]["id"]}
    found = (await wire.call("GetTaskPushNotificationConfig", one)).result
    assert (found["id"], found["url"], found["authentication"]["scheme"]) == (one["id"], made[0]["url"], "Bearer")
    listed = (await wire.call("ListTaskPushNotificationConfigs", {"taskId": task})).result["configs"]
    assert {each["id"] for each in listed} == {each["id"] for each in made}
    for _ in range(2):
        assert not (await wire.call("DeleteTaskPushNotificationConfig", one)).result
    (await wire.call("GetTaskPushNotificationConfig", one)).refused("TASK_NOT_FOUND")
    left = (await wire.call("ListTaskPushNotificationConfigs", {"taskId": task})).result["configs"]
    assert [each["id"] for each in left] == [made[1]["id"]]


@pytest.mark.a2a("PUSH-2")
async def test_an_id_that_the_client_gives_is_kept_and_the_config_replaced(wire: Wire) -> None:
    task = (await wire.send("input")).task["id"]
    for path in ("old", "new"):
        params = {"taskId": task, "id": "mine", "url": f"http://127.0.0.1:1/{path}"}
        assert (await wire.call("CreateTaskPushNotificationConfig", params)).result["id"] == "mine"
    [kept] = (await wire.call("ListTaskPushNotificationConfigs", {"taskId": task})).result["configs"]
    assert kept["url"].endswith("/new")


@pytest.mark.a2a("PUSH-3", "PUSH-5")
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateTaskPushNotificationConfig", {"taskId": "nobody", "url": "http://127.0.0.1:1/"}),
        ("GetTaskPushNotificationConfig", {"taskId": "nobody", "id": "c"}),
        ("ListTaskPushNotificationConfigs", {"taskId": "nobody"}),
        ("DeleteTaskPushNotificationConfig", {"taskId": "nobody", "id": "c"}),
    ],
)
async def test_a_task_that_is_not_there_has_no_configs(wire: Wire, operation: str, params: Any) -> None:
    (await wire.call(operation, params)).refused("TASK_NOT_FOUND")


@pytest.mark.a2a("PUSH-2", "JSON-6")
@pytest.mark.parametrize("url", [None, "", "no address", "ftp://example.com/x", "file:///etc/passwd"])
async def test_a_config_without_an_address_of_http_is_refused(wire: Wire, url: str | None) -> None:
    task = (await wire.send("input")).task["id"]
    params = {"taskId": task, **({} if url is None else {"url": url})}
    assert (await wire.call("CreateTaskPushNotificationConfig", params)).fields() == ["url"]


@pytest.mark.a2a("PUSH-8", "PUSH-9", "PUSH-10", "PUSH-13")
async def test_what_happens_to_a_task_is_sent_as_a_stream_tells_it(wire: Wire) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver:
            config: Json = {"url": receiver.url("/hook"), "token": "my-token", "authentication": CREDENTIALS}
            params = {"message": message("text"), "configuration": {"taskPushNotificationConfig": config}}
            task = (await wire.call("SendMessage", params)).task
            got = await receiver.last()
    assert [each.told for each in got][-2:] == ["Some text", "completed"]
    for each in got:
        assert len(each.body) == 1
        assert each.task_id == task["id"]
        assert each.headers["content-type"] == "application/a2a+json"
        assert each.headers["authorization"] == "Bearer secret-of-mine"
        assert each.headers["x-a2a-notification-token"] == "my-token"


@pytest.mark.a2a("PUSH-4", "PUSH-8")
async def test_a_config_of_a_task_that_waits_gets_what_the_answer_brings(wire: Wire) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver:
            task = (await wire.send("input")).task["id"]
            params = {"taskId": task, "url": receiver.url("/later")}
            await wire.call("CreateTaskPushNotificationConfig", params)
            assert state((await wire.send("x", "2026", taskId=task)).task) == "COMPLETED"
            got = await receiver.last()
    told = [each.told for each in got]
    assert (told[-1], "The year 2026" in told) == ("completed", True)


@pytest.mark.a2a("PUSH-11", "PUSH-8")
async def test_what_is_not_taken_is_sent_again_before_what_follows(rest: Wire) -> None:
    with anyio.fail_after(TIME):
        async with receiving() as receiver:

            async def once_in_vain(got: Got) -> int:
                del got
                return 500 if not receiver.got else 200

            receiver.answer = once_in_vain
            config: Json = {"url": receiver.url()}
            params = {"message": message("text"), "configuration": {"taskPushNotificationConfig": config}}
            await rest.call("SendMessage", params)
            got = await receiver.last()
    first, again, *_ = [each.body for each in got]
    assert again == first
    assert [each.told for each in got][-1] == "completed"


@pytest.mark.a2a("PUSH-12")
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://localhost:8443/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://172.16.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://0x7f000001/",
    ],
)
async def test_addresses_of_the_own_network_get_no_notifications_unless_the_config_says_so(url: str) -> None:
    settings = PushSection()
    with pytest.raises(InputError):
        await Delivery(push_policy(settings), settings.timeout).check(url)
