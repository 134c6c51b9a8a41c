"""An agent that doesn't take an answer: it is asked for again, with the reason, until one is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentflow.engine import Answer
from tests.surface_a2a.asking import asking, engine, until_asked
from tests.surface_a2a.test_asking_cards import Agent, serving

pytestmark = pytest.mark.anyio
TIME = 30


class Picky(Agent):
    """Takes "blue" only, and says so in one of two ways."""

    def __init__(self, refuses: str) -> None:
        """Nothing was said yet."""
        super().__init__()
        self.refuses = refuses
        self.said: list[tuple[str, Any]] = []
        self.done = False

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        if request.method != "POST":
            return await super().answer(request)
        asked = await request.json()
        message = asked["params"].get("message", {})
        if message.get("taskId") == "wait":
            self.said.append((message["messageId"], message["parts"][0]["data"]))
            self.done = self.said[-1][1] == "blue"
            if not self.done and self.refuses == "error":
                error = {"code": -32602, "message": "only blue will do"}
                return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "error": error})
            told = self.task(
                "wait", "TASK_STATE_COMPLETED" if self.done else "TASK_STATE_INPUT_REQUIRED", "only blue will do"
            )
        elif self.done:
            told = self.task("run", "TASK_STATE_COMPLETED", "painted")
        else:
            told = self.task("run", "TASK_STATE_INPUT_REQUIRED", "Which colour?")
        send = asked["method"] == "SendMessage"
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": {"task": told} if send else told})

    def task(self, name: str, state: str, text: str) -> dict[str, Any]:
        """Return a task; one that asks lists its wait."""
        wait = {"taskId": "wait", "step": "paint", "kind": "input", "message": "Which colour?"}
        asks = [{"data": {"wait": wait}}] if state == "TASK_STATE_INPUT_REQUIRED" else []
        message = {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": text}, *asks]}
        return {"id": name, "contextId": "c", "status": {"state": state, "message": message}}


@pytest.mark.parametrize("refuses", ["error", "notice"])
async def test_an_answer_that_an_agent_refuses_is_asked_for_again_with_the_reason(tmp_path: Path, refuses: str) -> None:
    agent = Picky(refuses)
    with anyio.fail_after(TIME):
        async with serving(agent) as url, engine(tmp_path, asking(url)) as asker:
            started = await asker.start("main")
            wait = await until_asked(asker, started.id)
            assert wait.message == "Which colour?"
            await asker.resume(wait.id, Answer("red"))
            again = await until_asked(asker, started.id)
            assert again.message == "only blue will do\nWhich colour?"
            await asker.resume(again.id, Answer("blue"))
            assert (await asker.wait(started.id)).output == {"output": "painted"}
    names = [name for name, _ in agent.said]
    assert ([said for _, said in agent.said], len(set(names))) == (["red", "blue"], 2)
