"""The list of tasks, and single ones: filters, pages, history."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import A2AError, InvalidParamsError, TaskNotCancelableError, TaskNotFoundError
from google.protobuf.json_format import ParseDict

from tests.surface_a2a.served import MODES, Mode, Server, official, plain, request, send, state, waits

pytestmark = pytest.mark.anyio
NEW = [mode for mode in MODES if mode.version == "1.0"]
RPC = {"A2A-Version": "1.0"}


def _asked(**fields: Any) -> pb.ListTasksRequest:
    return ParseDict(fields, pb.ListTasksRequest())


@pytest.mark.parametrize("mode", NEW, ids=lambda mode: mode.binding)
async def test_pages_of_a_context_give_each_task_once_the_newest_change_first(server: Server, mode: Mode) -> None:
    async with official(server.url, mode) as client:
        context = f"pages-{mode.binding}"
        started = [(await send(client, request(str(n), skill="echo", contextId=context))).id for n in range(5)]
        waiting = await send(client, request("x", skill="review", contextId=context))
        expected = [*started, waits(waiting)[0]["taskId"], waiting.id]
        found: list[str] = []
        token = ""
        while True:
            page = await client.list_tasks(_asked(contextId=context, pageSize=3, pageToken=token))
            assert (page.total_size, page.page_size) == (7, 3)
            found += [task.id for task in page.tasks]
            token = page.next_page_token
            if not token:
                break
        assert found[2:] == started[::-1]
        assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("mode", NEW, ids=lambda mode: mode.binding)
async def test_lists_are_filtered_by_state_and_time(server: Server, mode: Mode) -> None:
    async with official(server.url, mode) as client:
        context = f"filters-{mode.binding}"
        done = await send(client, request("a", skill="echo", contextId=context))
        open_ = await send(client, request("b", skill="review", contextId=context))
        completed = await client.list_tasks(_asked(contextId=context, status="TASK_STATE_COMPLETED"))
        assert [task.id for task in completed.tasks] == [done.id]
        asking = await client.list_tasks(_asked(contextId=context, status="TASK_STATE_INPUT_REQUIRED"))
        assert {task.id for task in asking.tasks} == {open_.id, waits(open_)[0]["taskId"]}
        since = plain(open_)["status"]["timestamp"]
        later = await client.list_tasks(_asked(contextId=context, statusTimestampAfter=since))
        assert open_.id in {task.id for task in later.tasks}
        assert done.id not in {task.id for task in later.tasks}


async def test_artifacts_and_history_are_listed_only_when_asked_for(server: Server) -> None:
    async with official(server.url) as client, httpx.AsyncClient() as http:
        await send(client, request("a", skill="echo", contextId="listed"))

        async def listed(**params: Any) -> Any:
            call = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {"contextId": "listed", **params}}
            answer = (await http.post(f"{server.url}/a2a", json=call, headers=RPC)).json()["result"]
            assert answer["nextPageToken"] == ""
            return answer["tasks"][0]

        bare = await listed()
        assert "artifacts" not in bare
        assert not bare.get("history")
        full = await listed(includeArtifacts=True, historyLength=1)
        assert full["artifacts"][0]["parts"][0]["data"] == {"text": "a"}
        assert full["history"][0]["parts"][0]["text"] == "a"


@pytest.mark.parametrize(
    "asked",
    [{"pageSize": 0}, {"pageSize": 101}, {"pageSize": -1}, {"pageToken": "nonsense"}, {"historyLength": -1}],
    ids=str,
)
async def test_a_list_that_cannot_be_is_refused(server: Server, asked: dict[str, Any]) -> None:
    async with official(server.url) as client:
        with pytest.raises(InvalidParamsError):
            await client.list_tasks(_asked(**asked))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
async def test_a_task_is_given_with_as_much_history_as_asked_for(server: Server, mode: Mode) -> None:
    async with official(server.url, mode) as client:
        asked = await send(client, request("first words", skill="twice"))
        wait = waits(asked)[0]["taskId"]
        await send(client, request("one", taskId=wait))
        for task_id, said in ((asked.id, ["first words", "one"]), (wait, ["one"])):
            whole = await client.get_task(pb.GetTaskRequest(id=task_id))
            assert [part.text for message in whole.history for part in message.parts] == said
            assert [message.task_id for message in whole.history] == [asked.id, wait][-len(said) :]
            if mode.version == "1.0":  # the adapter takes 0 for no word about it
                assert not (await client.get_task(pb.GetTaskRequest(id=task_id, history_length=0))).history
            last = await client.get_task(pb.GetTaskRequest(id=task_id, history_length=1))
            assert [part.text for message in last.history for part in message.parts] == ["one"]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
async def test_a_task_is_cancelled_once_and_one_that_ended_is_not(server: Server, mode: Mode) -> None:
    async with official(server.url, mode) as client:
        running = await send(client, request({}, skill="long", returns=True))
        assert state(running) in {"submitted", "working"}
        assert state(await client.cancel_task(pb.CancelTaskRequest(id=running.id))) == "canceled"
        told = mode != ("HTTP+JSON", "0.3")  # that client knows errors by their status only
        with pytest.raises(TaskNotCancelableError if told else A2AError):
            await client.cancel_task(pb.CancelTaskRequest(id=running.id))
        with pytest.raises(TaskNotFoundError if told else A2AError):
            await client.cancel_task(pb.CancelTaskRequest(id="nobody"))
        with pytest.raises(TaskNotFoundError if told else A2AError):
            await client.get_task(pb.GetTaskRequest(id="nobody"))


async def test_who_cancels_a_wait_declines_its_answer(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="review"))
        wait = waits(asked)[0]["taskId"]
        assert state(await client.cancel_task(pb.CancelTaskRequest(id=wait))) in {"canceled", "rejected"}
        run = await client.get_task(pb.GetTaskRequest(id=asked.id))
        while state(run) == "working":
            run = await client.get_task(pb.GetTaskRequest(id=asked.id))
        assert state(run) == "failed"


async def test_a_failed_run_tells_why_with_its_code(server: Server) -> None:
    async with official(server.url) as client:
        failed = await send(client, request({}, skill="gone"))
        assert state(failed) == "failed"
        told, data = plain(failed)["status"]["message"]["parts"]
        assert "no luck" in told["text"]
        assert (data["data"]["error"]["code"], data["data"]["error"]["step"]) == ("AF-PYTHON-RAISED", "fail")
