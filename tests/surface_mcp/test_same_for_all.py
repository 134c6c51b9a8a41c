"""The same tool for every client: a workflow that asks by a form, then a person on a page, whatever comes of it.

Each kind of client brings it to the same result, and the run tells the same of who has answered, and by which door.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import mcp.types as types
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.server.answering import link_to
from agentflow.server.app import create_app
from agentflow.testing import FakeClock
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import LIMIT, call
from tests.surface_mcp.test_earlier_tasks import ask as ask_earlier
from tests.surface_mcp.test_earlier_tasks import begin, result
from tests.surface_mcp.test_tasks import Follows, Handle, ask
from tests.surface_mcp.web import Web

pytestmark = pytest.mark.anyio

CONFIG = """\
workflows:
  order:
    mcp: {grace: 0}
    steps:
      - id: count
        type: wait_for_input
        message: How many?
        schema: {type: object, properties: {n: {type: integer}}, required: [n]}
      - id: approve
        type: wait_for_input
        human_only: true
        timeout: 30m
        message: "Pay for {steps.count.n}?"
        schema: {type: object, properties: {sure: {type: boolean}}, required: [sure]}
    output: "{steps.count.n} {steps.approve.sure}"
"""
URL = "http://127.0.0.1:8745"
Outcome = Literal["answered", "declined", "timed out", "cancelled", "killed"]
ENDS: dict[Outcome, tuple[str, Any, list[str]]] = {
    "answered": ("completed", "3 true", ["count 3 local mcp", "approve True local web"]),
    "declined": ("failed", "AF-WAIT-DECLINED", ["count 3 local mcp", "approve decline local web"]),
    "timed out": ("failed", "AF-WAIT-TIMEOUT", ["count 3 local mcp", "approve None None None"]),
    "cancelled": ("canceled", None, ["count 3 local mcp", "approve None None None"]),
    "killed": ("completed", "3 true", ["count 3 local mcp", "approve True local web"]),
}


class User:
    """Fills in forms, and does on pages what the outcome asks for."""

    def __init__(self, outcome: Outcome, browser: httpx.AsyncClient, clock: FakeClock | None = None) -> None:
        """Have a browser.

        Args:
            outcome: what comes of it.
            browser: opens pages.
            clock: of the engine.
        """
        self.outcome = outcome
        self.browser = browser
        self.clock = clock
        self.client: Client | None = None
        self.at_page = anyio.Event()

    async def __call__(self, context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        """Answer a request."""
        if isinstance(params, types.ElicitRequestURLParams):
            await self.opens(params.url)
            return types.ElicitResult(action="accept")
        return types.ElicitResult(action="accept", content={"n": 3})

    async def opens(self, url: str) -> None:
        """Go to a page."""
        self.at_page.set()
        if self.outcome == "killed":
            await anyio.sleep_forever()
        elif self.outcome == "timed out":
            assert self.clock is not None
            self.clock.advance(3600)
        elif self.outcome == "cancelled":
            assert self.client is not None
            listed: Any = (await call(self.client, "list_workflow_runs")).structured_content
            await call(self.client, "cancel_workflow_run", task_id=listed["runs"][0]["task_id"])
        else:
            check = re.search(r'name="check" value="([^"]+)"', (await self.browser.get(url)).text)
            assert check is not None
            done = {"declined": {"do": "decline", "reason": "no"}}.get(self.outcome, {"do": "answer", "v.sure": "true"})
            assert (await self.browser.post(url, data={"check": check[1], **done})).status_code == 303


Drive = Callable[[Client, User, "str | None"], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of client: what it can, and how it brings a run, a new one or one that is there, to its end."""

    mode: Literal["2026-07-28", "legacy"]
    drive: Drive
    asks: bool = False
    tasks: bool = False


async def by_itself(client: Client, user: User, run: str | None) -> None:
    """Let the client ask its user, between rounds or on the stream; come back as long as the run goes on."""
    found = await (call(client, "order") if run is None else call(client, "wait_workflow", task_id=run))
    data: Any = found.structured_content
    while data.get("status") in ("working", "input_required"):
        data = (await call(client, "wait_workflow", task_id=data["task_id"])).structured_content


async def by_task(client: Client, user: User, run: str | None) -> None:
    """Follow a task."""
    if run is None:
        handle = await client.session.call_tool("order", {}, allow_claimed=True)
        assert isinstance(handle, Handle)
        run = handle.task_id
    answered = set[str]()
    while True:
        task = await ask(client, "tasks/get", run)
        if task["status"] in ("completed", "failed", "cancelled"):
            return
        for key, request in task.get("inputRequests", {}).items():
            assert key not in answered
            answered.add(key)
            params = request["params"]
            kind = types.ElicitRequestURLParams if params.get("mode") == "url" else types.ElicitRequestFormParams
            reply = await user(None, kind.model_validate(params))  # pyright: ignore[reportArgumentType]  it doesn't look
            await ask(client, "tasks/update", run, {key: reply.model_dump(mode="json", exclude_none=True)})


async def by_earlier_task(client: Client, user: User, run: str | None) -> None:
    """Ask for the result of a task, and be asked meanwhile."""
    await ask_earlier(client, result(run if run is not None else (await begin(client, "order"))["taskId"]))


async def by_tools(client: Client, user: User, run: str | None) -> None:
    """Answer with the tools that look after runs."""
    found = await (call(client, "order") if run is None else call(client, "get_workflow_run", task_id=run))
    data: Any = found.structured_content
    while data.get("status") in ("working", "input_required"):
        waits = data["waiting_for"]
        if waits and waits[0].get("human_only"):
            await user.opens(waits[0]["url"])
            data = (await call(client, "wait_workflow", task_id=data["task_id"])).structured_content
        elif waits:
            reply: dict[str, Any] = {"task_id": waits[0]["task_id"], "answer": {"n": 3}}
            data = (await call(client, "resume_workflow", **reply)).structured_content
        else:
            data = (await call(client, "wait_workflow", task_id=data["task_id"])).structured_content


CLIENTS = {
    "tasks": Kind("2026-07-28", by_task, asks=True, tasks=True),
    "rounds": Kind("2026-07-28", by_itself, asks=True),
    "stream": Kind("legacy", by_itself, asks=True),
    "earlier tasks": Kind("legacy", by_earlier_task, asks=True),
    "none": Kind("2026-07-28", by_tools),
    "none, earlier era": Kind("legacy", by_tools),
}
SLOW = [pytest.param(name, marks=() if name == "rounds" else pytest.mark.slow) for name in CLIENTS]


def able(kind: Kind, user: User) -> dict[str, Any]:
    """Return what a client of a kind is made with."""
    extensions = [Follows()] if kind.tasks else []
    return {"mode": kind.mode, "elicitation_callback": user if kind.asks else None, "extensions": extensions}


@asynccontextmanager
async def inside(kind: Kind, outcome: Outcome) -> AsyncGenerator[tuple[Engine, Client, User]]:
    """Return an engine, a client at its server, and the client's user."""
    clock = FakeClock(auto=False)
    async with Engine.open(":memory:", config=load_text(CONFIG), clock=clock) as engine:
        server = make_server(Desk(engine, CONTROLS, hold=60, page=partial(link_to, engine, URL)), "orders")
        transport = httpx.ASGITransport(app=create_app(engine, url=URL))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as browser:
            user = User(outcome, browser, clock)
            async with Client(server, **able(kind, user), read_timeout_seconds=LIMIT) as client:
                user.client = client
                yield engine, client, user


@pytest.mark.parametrize("outcome", ["answered", "declined", "timed out", "cancelled"])
@pytest.mark.parametrize("name", CLIENTS)
async def test_every_client_comes_to_the_same_end_and_the_run_tells_who_answered(name: str, outcome: Outcome) -> None:
    kind = CLIENTS[name]
    async with inside(kind, outcome) as (engine, client, user):
        with anyio.fail_after(LIMIT):
            await kind.drive(client, user, None)
            [run] = await engine.list()
            await engine.wait(run.id)
        assert await told(engine) == ENDS[outcome]


@pytest.mark.parametrize("name", SLOW)
async def test_every_client_comes_to_the_same_end_after_its_server_was_killed(name: str, tmp_path: Path) -> None:
    kind, first, second = CLIENTS[name], None, None
    try:
        async with httpx.AsyncClient(timeout=LIMIT) as browser:
            with anyio.fail_after(2 * LIMIT):
                first = Web(tmp_path, config=CONFIG)
                run = await _cut_off(kind, first, User("killed", browser))
                first.kill()
                second = Web(tmp_path)
                user = User("answered", browser)
                async with second.client(**_at(kind, user)) as client:
                    await kind.drive(client, user, run)
    finally:
        for web in (first, second):
            if web is not None:
                web.stop()
    async with Engine.open(tmp_path / ".agentflow" / "runs.db", config=load_text(CONFIG), host="none") as engine:
        assert await told(engine) == ENDS["killed"]


def _at(kind: Kind, user: User) -> dict[str, Any]:
    made = able(kind, user)
    return {"mode": made["mode"], "elicitation": made["elicitation_callback"], "extensions": made["extensions"]}


async def _cut_off(kind: Kind, web: Web, user: User) -> str:
    """Go as far as the page, and no further; returns the run."""
    async with web.client(**_at(kind, user)) as client, anyio.create_task_group() as group:
        group.start_soon(kind.drive, client, user, None)
        await user.at_page.wait()
        listed: Any = (await call(client, "list_workflow_runs")).structured_content
        run: str = listed["runs"][0]["task_id"]
        group.cancel_scope.cancel()
        return run
    raise AssertionError


async def told(engine: Engine) -> tuple[str, Any, list[str]]:
    """Return how the one run has ended, and of each wait its step, the answer, who gave it, and by which door."""
    [run] = await engine.list()
    run = await engine.get(run.id)
    found: list[str] = []
    for view in await engine.told.waits(run.id, ended=True):
        said: Any = view.answer or {}
        value = next(iter(said.get("value", {}).values()), None)
        answer: Any = "decline" if "decline" in said else value
        found.append(f"{view.task.step} {answer} {view.by} {view.door}")
    code = run.failure.code if run.failure is not None and run.state == "failed" else None
    return run.state, run.output if run.state == "completed" else code, found
