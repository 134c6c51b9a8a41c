"""Files: in messages that start and that answer, and as artifacts, by every transport."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import ContentTypeNotSupportedError, InvalidParamsError

from tests.surface_a2a.served import MODES, Mode, Server, official, output, plain, request, send, state, text, waits

pytestmark = pytest.mark.anyio
BYTES = bytes(range(256))


def _with(asked: pb.SendMessageRequest, *parts: pb.Part) -> pb.SendMessageRequest:
    asked.message.parts.extend(parts)
    return asked


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
async def test_a_file_comes_in_goes_out_and_answers_as_it_was(server: Server, mode: Mode) -> None:
    picture = pb.Part(raw=BYTES, media_type="image/png", filename="a b.png")
    page = pb.Part(url="https://example.com/?a=1&b=2", media_type="text/html")
    async with official(server.url, mode) as client:
        asked = await send(client, _with(request(skill="filed"), picture, page, pb.Part(text="look")))
        assert state(asked) == "input-required"
        made = {artifact.artifact_id: artifact for artifact in asked.artifacts}
        (copy,) = made["copy"].parts
        assert (copy.raw, copy.media_type, copy.filename) == (BYTES, "image/png", "a b.png")
        (link,) = made["link"].parts
        assert (link.url, link.media_type, link.filename) == (page.url, "text/html", "index.html")
        assert plain(made["told"])["parts"][0]["data"] == {"note": "look"}
        assert [part.text for part in made["log"].parts] == ["a", "b"]
        heard = [part for part in asked.history[0].parts if part.raw or part.url]
        assert [part.raw or part.url for part in heard] == [BYTES, page.url]

        wait = waits(asked)[0]["taskId"]
        bad = await send(client, _with(request("yes", taskId=wait), picture, picture))
        assert (state(bad), "of its files are for nothing" in text(bad)) == ("input-required", True)
        await send(client, _with(request("yes", taskId=wait), picture))
        done = await client.get_task(pb.GetTaskRequest(id=asked.id))
        while state(done) == "working":
            done = await client.get_task(pb.GetTaskRequest(id=asked.id))
    assert b64decode(output(done)) == BYTES


async def test_a_file_for_a_workflow_that_takes_none_is_refused_and_so_is_a_place_on_the_disk(server: Server) -> None:
    async with official(server.url) as client:
        with pytest.raises(ContentTypeNotSupportedError):
            await send(client, _with(request("x", skill="echo"), pb.Part(raw=b"x", filename="a")))
        with pytest.raises(InvalidParamsError):
            await send(client, _with(request(skill="filed"), pb.Part(url="file:///etc/passwd")))


async def test_a_file_that_is_larger_than_an_input_may_be_is_refused(server: Server) -> None:
    async with official(server.url) as client:
        large: Any = pb.Part(raw=bytes(4 * 1024 * 1024))
        with pytest.raises(InvalidParamsError, match="at most 4,194,304"):
            await send(client, _with(request("x", skill="filed"), large))
