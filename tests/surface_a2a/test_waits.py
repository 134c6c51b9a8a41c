"""The whole cycle of a wait, by official clients: asked, answered badly, answered well, answered again."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import InvalidParamsError, TaskNotFoundError, UnsupportedOperationError

from tests.surface_a2a.served import MODES, Mode, Server, official, output, place, request, send, state, text, waits

pytestmark = pytest.mark.anyio
TIME = 60


@pytest.mark.case("D-WAIT-10")
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
@pytest.mark.parametrize("by_wait", [False, True], ids=["to the run", "to the wait"])
async def test_a_message_answers_the_wait_by_the_task_of_either(server: Server, mode: Mode, by_wait: bool) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url, mode) as client:
            asked = await send(client, request("the news", skill="review"))
            assert state(asked) == "input-required"
            [wait] = waits(asked)
            assert (wait["step"], wait["message"]) == ("decide", "Publish the news?")
            assert wait["schema"]["required"] == ["decision"]
            assert [part.text for each in asked.artifacts for part in each.parts] == ["Draft: the news"]
            answered = await send(client, request("approve", taskId=wait["taskId"] if by_wait else asked.id))
            assert answered.id == (wait["taskId"] if by_wait else asked.id)
            assert answered.context_id == asked.context_id
            assert state(answered) == "completed"
            ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
            while state(ended) == "working":
                ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
            assert (state(ended), output(ended)) == ("completed", "approve")


async def test_a_wait_is_a_task_of_the_same_context_that_names_its_run(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="nested"))
        [wait] = waits(asked)
        task = await client.get_task(pb.GetTaskRequest(id=wait["taskId"]))
        assert state(task) == "input-required"
        assert task.context_id == asked.context_id
        tree = place(task)
        assert (tree["rootTaskId"], tree["step"], tree["depth"]) == (asked.id, "decide", 2)
        parent = await client.get_task(pb.GetTaskRequest(id=tree["parentTaskId"]))
        assert place(parent)["parentTaskId"] == asked.id
        assert list(task.status.message.reference_task_ids) == [parent.id]
        ended = await send(client, request("reject", taskId=asked.id))
        assert (state(ended), output(ended)) == ("completed", "reject")


async def test_an_answer_that_does_not_fit_leaves_the_wait_open_and_the_next_good_one_is_taken(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="review"))
        for task_id in (asked.id, waits(asked)[0]["taskId"]):
            bad = await send(client, request({"decision": "perhaps"}, taskId=task_id))
            assert state(bad) == "input-required"
            assert "the answer doesn't fit" in text(bad)
            assert waits(bad) == waits(asked)
        good = await send(client, request({"decision": "reject"}, taskId=asked.id))
        assert (state(good), output(good)) == ("completed", "reject")


async def test_a_second_answer_is_refused_and_the_first_one_stays(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="twice"))
        first = waits(asked)[0]["taskId"]
        await send(client, request("one", taskId=first))
        with pytest.raises(UnsupportedOperationError):
            await send(client, request("two", taskId=first))
        ended = await send(client, request("three", taskId=asked.id))
        assert output(ended) == "one, three"


@pytest.mark.parametrize("by_wait", [False, True], ids=["to the run", "to the wait"])
async def test_a_message_sent_again_never_answers_the_next_question(server: Server, by_wait: bool) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="twice"))
        target = waits(asked)[0]["taskId"] if by_wait else asked.id
        answer = request("one", taskId=target)
        told = await send(client, answer)
        again = await send(client, answer)
        assert (again.id, state(again)) == (told.id, state(told))
        open_now = await client.get_task(pb.GetTaskRequest(id=asked.id))
        assert [wait["step"] for wait in waits(open_now)] == ["second"]
        ended = await send(client, request("two", taskId=asked.id))
        assert output(ended) == "one, two"
        assert state(await send(client, answer)) == "completed"


@pytest.mark.parametrize(("skill", "answer"), [("twice", "one"), ("side_by_side", {"step": "both/right", "answer": 2})])
async def test_each_question_of_a_run_is_a_message_of_its_own_whether_it_is_read_or_streamed(
    server: Server, skill: str, answer: Any
) -> None:
    async with official(server.url) as client, official(server.url, streaming=True) as listener:
        asked = await send(client, request({"text": "x"} if skill == "twice" else {}, skill=skill))
        with anyio.fail_after(TIME):
            stream = listener.subscribe(pb.SubscribeToTaskRequest(id=asked.id))
            await anext(stream)
            later = await send(client, request(answer, taskId=asked.id))
            told = (await anext(stream)).status_update.status
        assert state(later) == "input-required"
        assert later.status.message.message_id != asked.status.message.message_id
        assert (later.status.timestamp, later.status.message) == (told.timestamp, told.message)


async def test_of_several_waits_an_answer_names_its_step(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request({}, skill="side_by_side"))
        assert sorted(wait["step"] for wait in waits(asked)) == ["both/left", "both/right"]
        unclear = await send(client, request("7", taskId=asked.id))
        assert state(unclear) == "input-required"
        assert "2 answers are waited for: both/left, both/right" in text(unclear)
        half = await send(client, request({"step": "both/right", "answer": 2}, taskId=asked.id))
        assert [wait["step"] for wait in waits(half)] == ["both/left"]
        ended = await send(client, request("1", taskId=asked.id))
        assert output(ended) == {"left": 1, "right": 2}


async def test_waits_of_a_loop_are_answered_one_by_one(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request({"names": ["ann", "bob"]}, skill="each"))
        for wait in reversed(waits(asked)):
            await send(client, request(f"yes, {wait['step']}", taskId=wait["taskId"]))
        ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
        while state(ended) == "working":
            ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
        assert output(ended) == [{"ask": "yes, all[0]/ask"}, {"ask": "yes, all[1]/ask"}]


async def test_an_answer_after_the_end_is_refused(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="review"))
        await send(client, request("approve", taskId=asked.id))
        for task_id in (asked.id, waits(asked)[0]["taskId"]):
            with pytest.raises(UnsupportedOperationError):
                await send(client, request("reject", taskId=task_id))


async def test_a_message_answers_no_event_and_no_timer(server: Server) -> None:
    async with official(server.url) as client:
        event = await send(client, request({}, skill="event"))
        assert state(event) == "input-required"
        delay = await send(client, request({}, skill="long", returns=True))
        for task_id in (event.id, waits(event)[0]["taskId"], delay.id):
            with pytest.raises(UnsupportedOperationError):
                await send(client, request("now", taskId=task_id))
        for task_id in (event.id, delay.id):
            assert state(await client.cancel_task(pb.CancelTaskRequest(id=task_id))) == "canceled"


async def test_the_context_of_a_task_is_known_and_another_one_is_refused(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("x", skill="review", contextId="our-talk"))
        assert asked.context_id == "our-talk"
        with pytest.raises(InvalidParamsError):
            await send(client, request("approve", taskId=asked.id, contextId="other"))
        with pytest.raises(TaskNotFoundError):
            await send(client, request("approve", taskId="nobody", contextId="our-talk"))
        other = await send(client, request("y", skill="echo", contextId="our-talk"))
        assert (other.context_id, other.id != asked.id) == ("our-talk", True)
        ended = await send(client, request("approve", taskId=asked.id, contextId="our-talk"))
        assert ended.context_id == "our-talk"


async def test_the_turn_of_an_agent_is_a_task_by_which_it_is_answered(server: Server) -> None:
    with anyio.fail_after(TIME):
        async with official(server.url) as client:
            asked = await send(client, request({}, skill="consult"))
            [wait] = waits(asked)
            turn = await client.get_task(pb.GetTaskRequest(id=wait["turn"]))
            assert (state(turn), place(turn)["kind"], place(turn)["parentTaskId"]) == (
                "input-required",
                "agent",
                asked.id,
            )
            assert [part.text for each in turn.history for part in each.parts] == ["Report"]
            answered = await send(client, request("2026", taskId=turn.id))
            assert answered.id == turn.id
            while state(answered) in ("input-required", "working"):
                answered = await client.get_task(pb.GetTaskRequest(id=turn.id))
            assert [part.text for each in answered.history for part in each.parts] == ["Report", "Report of 2026"]
            assert [part.text for each in answered.artifacts for part in each.parts] == ["draft of 2026"]
            ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
            while state(ended) == "working":
                ended = await client.get_task(pb.GetTaskRequest(id=asked.id))
            assert (state(ended), output(ended)) == ("completed", "Report of 2026")
            listed = await client.list_tasks(pb.ListTasksRequest(context_id=asked.context_id))
            assert {task.id for task in listed.tasks} == {asked.id, wait["taskId"], turn.id}
            with pytest.raises(UnsupportedOperationError):
                await send(client, request("2027", taskId=turn.id))
