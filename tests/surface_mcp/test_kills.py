"""A server that is killed between any two steps of the protocol: clients go on with the same ids, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.surface_mcp.served import LIMIT, call
from tests.surface_mcp.web import Web, request

pytestmark = pytest.mark.anyio
ACCEPT = {"action": "accept", "content": {"decision": "approve"}}
DONE = {"decision": "approve", "amount": 3}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], Web]]:
    """Starts servers over one store; none outlives the test."""
    started: list[Web] = []

    def start() -> Web:
        started.append(Web(tmp_path))
        return started[-1]

    yield start
    for each in started:
        each.stop()


async def post(web: Web, method: str, params: dict[str, Any], *, tasks: bool = False, key: str | None = None) -> Any:
    """Send a request of 2026-07-28, which needs no connection that was there before; return its result."""
    asked = request(method, params, tasks=tasks)
    if key is not None:
        asked["json"]["params"]["_meta"]["agentflow/idempotency-key"] = key
    async with httpx.AsyncClient(timeout=LIMIT) as http:
        answer = await http.post(f"{web.url}/mcp", **asked)
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = [line for line in text.splitlines() if line.startswith("data:")][-1].removeprefix("data:")
    assert answer.status_code == 200, text
    return json.loads(text)["result"]


Lane = AsyncGenerator[None, Web]
"""The steps of one client: after each it is given the server of the next one."""


async def by_task() -> Lane:
    """Take a task, and follow it."""
    web = yield
    made = await post(web, "tools/call", {"name": "approval", "arguments": {"amount": 3}}, tasks=True)
    assert made["resultType"] == "task"
    named = {"taskId": made["taskId"]}
    web = yield
    asked = await post(web, "tasks/get", named, tasks=True)
    [wait] = asked["inputRequests"]
    web = yield
    assert _lasting(await post(web, "tasks/get", named, tasks=True)) == _lasting(asked)
    replies = {**named, "inputResponses": {wait: ACCEPT}}
    assert await post(web, "tasks/update", replies, tasks=True) == {"resultType": "complete", **_meta(asked)}
    web = yield
    await post(web, "tasks/update", replies, tasks=True)  # the answer to it was lost, perhaps
    task: Any = {"status": ""}
    while task["status"] not in ("completed", "failed", "cancelled"):
        task = await post(web, "tasks/get", named, tasks=True)
    assert (task["taskId"], task["result"]["structuredContent"]) == (made["taskId"], DONE)


def _lasting(task: dict[str, Any]) -> dict[str, Any]:
    """Return what a task says, without when to look again."""
    return {name: value for name, value in task.items() if name != "pollIntervalMs"}


def _meta(result: Any) -> dict[str, Any]:
    return {"_meta": result["_meta"]} if "_meta" in result else {}


async def between_rounds() -> Lane:
    """Be asked between two rounds of a call."""
    web = yield
    called = {"name": "approval", "arguments": {"amount": 3}}
    asked = await post(web, "tools/call", called)
    assert list(asked["inputRequests"]) == ["review"]
    again = {**called, "requestState": asked["requestState"], "inputResponses": {"review": ACCEPT}}
    web = yield
    done = await post(web, "tools/call", again)
    assert done["structuredContent"] == DONE
    web = yield
    assert await post(web, "tools/call", again) == done


async def by_tools(mode: str) -> Lane:
    """Answer with the control tools; each time a new client."""
    web = yield
    async with web.client(mode=mode) as client:
        handle: Any = (await call(client, "approval", amount=3)).structured_content
    web = yield
    async with web.client(mode=mode) as client:
        again: Any = (await call(client, "get_workflow_run", task_id=handle["task_id"])).structured_content
        assert again == handle
    answer = {"task_id": handle["waiting_for"][0]["task_id"], "answer": {"decision": "approve"}, "message_id": mode}
    web = yield
    async with web.client(mode=mode) as client:
        done: Any = (await call(client, "resume_workflow", **answer)).structured_content
        assert (done["task_id"], done["output"]) == (handle["task_id"], DONE)
    web = yield
    async with web.client(mode=mode) as client:
        same: Any = (await call(client, "resume_workflow", **answer)).structured_content
        assert same == done


async def with_a_key() -> Lane:
    """Call again, because the answer was lost."""
    called = {"name": "approval", "arguments": {"amount": 3}}
    web = yield
    first = await post(web, "tools/call", called, tasks=True, key="order 7")
    web = yield
    assert (await post(web, "tools/call", called, tasks=True, key="order 7"))["taskId"] == first["taskId"]
    web = yield
    await post(web, "tasks/cancel", {"taskId": first["taskId"]}, tasks=True)
    web = yield
    assert (await post(web, "tasks/get", {"taskId": first["taskId"]}, tasks=True))["status"] == "cancelled"


async def step(lane: Lane, web: Web) -> bool:
    """Let a client take its next step; tells whether it has another one."""
    try:
        await lane.asend(web)
    except StopAsyncIteration:
        return False
    return True


async def test_clients_go_on_with_the_same_ids_after_a_kill_between_any_two_steps(
    serve: Callable[[], Web], tmp_path: Path
) -> None:
    lanes: list[Lane] = [by_task(), between_rounds(), by_tools("2026-07-28"), by_tools("legacy"), with_a_key()]
    runs = len(lanes)
    for lane in lanes:
        await anext(lane)
    with anyio.fail_after(4 * LIMIT):
        while lanes:
            web = serve()
            lanes = [lane for lane in lanes if await step(lane, web)]
            web.kill()
    assert (tmp_path / "notes").read_text("utf-8").splitlines() == ["noted"] * runs


@pytest.mark.slow
async def test_a_call_that_was_cut_off_is_found_by_its_key(serve: Callable[[], Web], tmp_path: Path) -> None:
    called, runs = {"name": "slow"}, list[Any]()
    with anyio.fail_after(2 * LIMIT):
        first = serve()
        async with anyio.create_task_group() as group:
            group.start_soon(_cut_off, first, called)
            async with first.client() as client:
                while not runs:
                    listed: Any = (await call(client, "list_workflow_runs")).structured_content
                    runs += listed["runs"]
            first.kill()
        (tmp_path / "go").touch()
        done = await post(serve(), "tools/call", called, key="cut off")
    assert (done["structuredContent"], done["_meta"]["agentflow/task_id"]) == ({"result": 7}, runs[0]["task_id"])


async def _cut_off(web: Web, called: dict[str, Any]) -> None:
    with pytest.raises(httpx.TransportError):
        await post(web, "tools/call", called, key="cut off")


async def test_a_task_made_at_one_server_is_answered_at_another(serve: Callable[[], Web]) -> None:
    one, other = serve(), serve()
    with anyio.fail_after(LIMIT):
        made = await post(one, "tools/call", {"name": "approval", "arguments": {"amount": 3}}, tasks=True)
        named = {"taskId": made["taskId"]}
        asked = await post(other, "tasks/get", named, tasks=True)
        [wait] = asked["inputRequests"]
        await post(other, "tasks/update", {**named, "inputResponses": {wait: ACCEPT}}, tasks=True)
        for web in (other, one):
            task: Any = {"status": ""}
            while task["status"] != "completed":
                task = await post(web, "tasks/get", named, tasks=True)
            assert task["result"]["structuredContent"] == DONE
