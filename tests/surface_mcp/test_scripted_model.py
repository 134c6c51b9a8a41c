"""A model whose client can only call tools brings a workflow that waits to its end, by the texts that it reads."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any, Literal

import anyio
import httpx
import pytest
from mcp import Client

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.server.answering import link_to
from agentflow.server.app import create_app
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import LIMIT, call, text_of

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:8745"
CONFIG = """\
workflows:
  order:
    description: Orders chairs.
    input: {chairs: integer}
    steps:
      - id: choose
        type: wait_for_input
        message: Which colour?
        schema: {type: object, properties: {colour: {enum: [red, blue]}}, required: [colour]}
      - {id: rest, type: delay, for: 10ms}
      - id: approve
        type: wait_for_input
        human_only: true
        message: "Pay for {input.chairs} {steps.choose.colour} chairs?"
        schema: {type: object, properties: {yes: {type: boolean}}, required: ["yes"]}
    output: "{input.chairs} {steps.choose.colour}: {steps.approve.yes}"
"""


class Model:
    """Decides what to call next by the last text, and by nothing else; asks its user what a message asks."""

    def __init__(self, browser: httpx.AsyncClient) -> None:
        """Have a user with a browser, who mistypes the first answer."""
        self.browser = browser
        self.says = ["green", "red"]
        self.refused: list[str] = []
        self.tried_itself = False

    async def next(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """Return the tool and the arguments of the next call; None: it is done."""
        about = json.loads(text.splitlines()[-1])
        error = re.match(r"error\[(AF-[A-Z-]+)\]", text)
        said = about.get("next", "")
        if error is not None:
            self.refused.append(error[1])
            hints = [line for line in text.splitlines() if line.startswith("  hint: ")]
            said = hints[0]
        if "resume_workflow" in said and "refused" not in said:
            [wait] = about["waiting_for"]
            assert wait["schema"]["required"] == ["colour"]
            return "resume_workflow", {"task_id": wait["task_id"], "answer": {"colour": self.says.pop(0)}}
        if "`url`" in said:
            [wait] = about["waiting_for"]
            if not self.tried_itself:
                self.tried_itself = True
                return "resume_workflow", {"task_id": wait["task_id"], "answer": {"yes": True}}
            await self._opens(wait["url"])
            return "wait_workflow", {"task_id": about["task_id"]}
        if "wait_workflow" in said:
            return "wait_workflow", {"task_id": about["task_id"]}
        self.last = about
        return None

    async def _opens(self, url: str) -> None:
        page = await self.browser.get(url)
        check = re.search(r'name="check" value="([^"]+)"', page.text)
        assert check is not None
        sent = await self.browser.post(url, data={"check": check[1], "do": "answer", "v.yes": "true"})
        assert sent.status_code == 303


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_model_completes_a_workflow_by_what_the_tools_tell(mode: Literal["2026-07-28", "legacy"]) -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60, page=partial(link_to, engine, URL)), "orders")
        transport = httpx.ASGITransport(app=create_app(engine, url=URL))
        async with (
            httpx.AsyncClient(transport=transport, base_url=URL) as browser,
            Client(server, mode=mode, read_timeout_seconds=LIMIT) as client,
        ):
            model = Model(browser)
            todo: tuple[str, dict[str, Any]] | None = ("order", {"chairs": 3})
            calls: list[str] = []
            with anyio.fail_after(LIMIT):
                while todo is not None and len(calls) < 20:
                    calls.append(todo[0])
                    todo = await model.next(text_of(await call(client, todo[0], **todo[1])))
        assert (model.last["status"], model.last["output"]) == ("completed", "3 red: true")
        assert calls.count("order") == 1
        assert model.refused == ["AF-WAIT-INVALID", "AF-WAIT-HUMAN"]
        [run] = await engine.list()
        async with Client(server, mode=mode) as other:
            told: Any = (await call(other, "get_workflow_run", task_id=run.id)).structured_content
        assert [(each["step"], each["by"], each["door"]) for each in told["answers"]] == [
            ("choose", "local", "mcp"), ("approve", "local", "web")
        ]  # fmt: skip
