"""Which workflow a message starts: what it names, what there is, else it is asked for, and never lost."""

from __future__ import annotations

import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import InvalidParamsError

from tests.surface_a2a.served import MODES, Mode, Server, official, output, request, send, state, text, waits

pytestmark = pytest.mark.anyio


async def test_a_message_names_its_workflow_by_a_data_part(server: Server) -> None:
    async with official(server.url) as client:
        done = await send(client, request({"workflow": "echo", "input": {"text": "hi"}}))
        assert output(done) == {"text": "hi"}
        with pytest.raises(InvalidParamsError, match='did you mean "echo"'):
            await send(client, request({"workflow": "ecco", "input": {}}))


async def test_a_message_that_names_nothing_is_asked_what_it_means(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("good morning"))
        assert state(asked) == "input-required"
        assert "Which workflow do you mean?" in text(asked)
        assert "- review: Asks for a decision." in text(asked)
        done = await send(client, request("echo", taskId=asked.id))
        assert output(done) == {"text": "good morning"}


async def test_a_choice_may_bring_the_input(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("good morning"))
        bad = await send(client, request({"workflow": "each", "input": {"names": 1}}, taskId=asked.id))
        assert (state(bad), "doesn't fit" in text(bad)) == ("input-required", True)
        both = await send(client, request({"workflow": "review", "input": {"text": "{input.x}"}}, taskId=asked.id))
        assert waits(both)[0]["message"] == "Publish {input.x}?"
        done = await send(client, request("reject", taskId=asked.id))
        assert output(done) == "reject"


async def test_input_that_a_text_cannot_be_is_asked_for(server: Server) -> None:
    async with official(server.url) as client:
        asked = await send(client, request("ann and bob", skill="each"))
        assert (state(asked), waits(asked)[0]["step"]) == ("input-required", "input")
        assert waits(asked)[0]["schema"]["required"] == ["names"]
        begun = await send(client, request({"names": ["ann"]}, taskId=asked.id))
        assert waits(begun)[0]["message"] == "And ann?"
        done = await send(client, request("yes", taskId=asked.id))
        assert output(done) == [{"ask": "yes"}]


async def test_data_that_does_not_fit_starts_nothing(server: Server) -> None:
    async with official(server.url) as client:
        with pytest.raises(InvalidParamsError):
            await send(client, request({"text": 7}, skill="echo"))


async def test_steps_read_the_message_that_started_them(server: Server) -> None:
    async with official(server.url) as client:
        assert output(await send(client, request("good morning", skill="heard"))) == "good morning, heard"


async def test_a_run_may_reject_what_it_is_asked(server: Server) -> None:
    async with official(server.url) as client, official(server.url, streaming=True) as streaming:
        refused = await send(client, request({}, skill="refuses"))
        assert (state(refused), text(refused)) == ("rejected", "Not for you")
        *_, last = [event async for event in streaming.send_message(request({}, skill="refuses"))]
        told = last.task.status if last.HasField("task") else last.status_update.status
        assert pb.TaskState.Name(told.state) == "TASK_STATE_REJECTED"


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
async def test_a_run_that_only_replies_is_answered_with_the_message_where_that_is_declared(
    server: Server, mode: Mode
) -> None:
    for streaming in (False, True):
        async with official(server.url, mode, streaming=streaming) as client:
            [event] = [event async for event in client.send_message(request("hi", skill="chat", contextId="chat"))]
            assert event.HasField("message")
            assert (event.message.parts[0].text, event.message.task_id) == ("hello to you", "")
            assert (event.message.context_id, event.message.role) == ("chat", pb.ROLE_AGENT)
    async with official(server.url, mode) as client:
        asked = await send(client, request("ask", skill="chat"))
        assert state(asked) == "input-required"
        ended = await send(client, request("this", taskId=asked.id))
        assert state(ended) == "completed"
        assert [part.text for message in ended.history for part in message.parts] == ["ask", "this", "hello to you"]


async def test_what_a_step_says_is_told_by_a_stream(server: Server) -> None:
    async with official(server.url) as client, official(server.url, streaming=True) as streaming:
        asked = await send(client, request("ask", skill="chat"))
        said: list[str] = []
        async for event in streaming.subscribe(pb.SubscribeToTaskRequest(id=asked.id)):
            if event.HasField("task"):
                await send(client, request("this", taskId=asked.id))
            said += [part.text for part in event.status_update.status.message.parts]
        assert "hello to you" in said
