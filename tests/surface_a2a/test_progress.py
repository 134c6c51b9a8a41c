"""Progress of steps: status updates of the run's task, in streams, in answers, and after the fact."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from a2a.types import a2a_pb2 as pb

from agentflow_a2a.told import TASKS
from tests.surface_a2a.served import MODES, Mode, Server, generation, official, plain, request, state, text

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.binding}-{mode.version}")
async def test_progress_is_a_status_update_with_its_words_and_its_fraction(server: Server, mode: Mode) -> None:
    for name in ("counting", "counted"):
        (server.folder / name).unlink(missing_ok=True)
    told: list[Any] = []
    task_id = ""
    with anyio.fail_after(60):
        async with official(server.url, mode, streaming=True) as client:
            async for event in client.send_message(request({}, skill="counted")):
                if event.HasField("task"):
                    task_id = event.task.id
                    continue
                if not event.HasField("status_update"):
                    continue
                told.append(plain(event)["statusUpdate"])
                if len(told) == 3:
                    while not (server.folder / "counting").exists():  # noqa: ASYNC110  another process makes the file
                        await anyio.sleep(0.01)
                    now = await client.get_task(pb.GetTaskRequest(id=task_id))
                    assert (state(now), text(now)) == ("working", "75%")
                    assert plain(now)["status"]["message"] == told[2]["status"]["message"]
                    (server.folder / "counted").touch()
            done = await client.get_task(pb.GetTaskRequest(id=task_id))
    messages = [each["status"].get("message", {}) for each in told]
    said = [part["text"] for message in messages[1:3] for part in message["parts"]]
    assert said == ["half way", "75%"]
    assert [message["metadata"][TASKS] for message in messages[1:3]] == [
        {"step": "count", "progress": 0.5},
        {"step": "count", "progress": 0.75},
    ]
    assert {each["status"]["state"] for each in told[:-1]} == {"TASK_STATE_WORKING"}
    numbers = [generation(each) for each in told]
    assert numbers == list(range(1, len(told) + 1))
    assert (state(done), text(done)) == ("completed", "")
