"""A workflow that asks twice comes to the same end, answered by the same door, whatever its client can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.store.rows import State
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import LIMIT, call
from tests.surface_mcp.test_tasks import Follows, Handle, ask

pytestmark = pytest.mark.anyio

CONFIG = """\
workflows:
  twice:
    steps:
      - id: first
        type: wait_for_input
        message: First?
        schema: {type: object, properties: {n: {type: integer}}, required: [n]}
      - id: second
        type: wait_for_input
        message: Second?
        schema: {type: object, properties: {n: {type: integer}}, required: [n]}
    output: "{steps.first.n}{steps.second.n}"
"""
DECLINE = "decline"
CANCEL = "cancel"
Plan = list[Any]
"""What is answered, in turn: a number, `decline`, or `cancel` for the run."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of client."""

    mode: str
    drive: Callable[[Client, User], Awaitable[None]]
    forms: bool = False
    tasks: bool = False


class User:
    """Answers forms as the plan says; before a `cancel` it closes them."""

    def __init__(self, plan: Plan) -> None:
        """Take a plan."""
        self.plan = list(plan)

    def next(self) -> ElicitResult:
        """Return what the user says to the next form."""
        if self.plan[0] == CANCEL:
            return ElicitResult(action="cancel")
        said = self.plan.pop(0)
        return ElicitResult(action="decline") if said == DECLINE else ElicitResult(action="accept", content={"n": said})

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Fill in a form."""
        return self.next()


async def by_forms(client: Client, user: User) -> None:
    """Let the client ask, and cancel the run that is left over."""
    result = await call(client, "twice")
    if user.plan:
        await call(client, "cancel_workflow_run", task_id=data_of(result)["task_id"])


async def by_tools(client: Client, user: User) -> None:
    """Answer with the tools that look after runs."""
    data = data_of(await call(client, "twice"))
    while user.plan:
        said = user.plan.pop(0)
        task_id = data["waiting_for"][0]["task_id"]
        if said == CANCEL:
            data = data_of(await call(client, "cancel_workflow_run", task_id=data["task_id"]))
        elif said == DECLINE:
            data = data_of(await call(client, "resume_workflow", task_id=task_id, decline="no"))
        else:
            data = data_of(await call(client, "resume_workflow", task_id=task_id, answer={"n": said}))


async def by_task(client: Client, user: User) -> None:
    """Follow a task."""
    found = await client.session.call_tool("twice", {}, allow_claimed=True)
    assert isinstance(found, Handle)
    answered: set[str] = set()
    while user.plan:
        task = await ask(client, "tasks/get", found.task_id)
        new = task.get("inputRequests", {}).keys() - answered
        if user.plan[0] == CANCEL:
            user.plan.pop()
            await ask(client, "tasks/cancel", found.task_id)
        elif new:
            answered |= new
            await ask(client, "tasks/update", found.task_id, {new.pop(): user.next().model_dump(mode="json")})
    await call(client, "wait_workflow", task_id=found.task_id)


def data_of(result: CallToolResult) -> Any:
    """Return the structured content."""
    return result.structured_content


CLIENTS = {
    "tasks": Kind("2026-07-28", by_task, forms=True, tasks=True),
    "forms between rounds": Kind("2026-07-28", by_forms, forms=True),
    "forms on the stream": Kind("legacy", by_forms, forms=True),
    "neither": Kind("2026-07-28", by_tools),
    "neither, earlier era": Kind("legacy", by_tools),
}


@asynccontextmanager
async def served(kind: Kind, user: User) -> AsyncGenerator[tuple[Client, Engine]]:
    """Return a client of a kind, and the engine behind its server."""
    async with (
        Engine.open(":memory:", config=load_text(CONFIG)) as engine,
        Client(
            make_server(Desk(engine, CONTROLS, hold=60), "twice"),
            mode=kind.mode,
            elicitation_callback=user if kind.forms else None,
            extensions=[Follows()] if kind.tasks else [],
        ) as client,
    ):
        yield client, engine


@pytest.mark.parametrize(
    ("plan", "state", "output", "audit"),
    [
        ([1, 2], "completed", "12", ["first 1 mcp", "second 2 mcp"]),
        ([1, DECLINE], "failed", None, ["first 1 mcp", "second decline mcp"]),
        ([DECLINE], "failed", None, ["first decline mcp"]),
        ([1, CANCEL], "canceled", None, ["first 1 mcp", "second None None"]),
        ([CANCEL], "canceled", None, ["first None None"]),
    ],
)
@pytest.mark.parametrize("name", CLIENTS)
async def test_every_client_brings_a_workflow_that_asks_twice_to_the_same_end(
    name: str, plan: Plan, state: State, output: Any, audit: list[str]
) -> None:
    user = User(plan)
    async with served(CLIENTS[name], user) as (client, engine):
        with anyio.fail_after(LIMIT):
            await CLIENTS[name].drive(client, user)
            [run] = await engine.list()
            run = await engine.wait(run.id)
        assert (run.state, run.output, run.door) == (state, output, "mcp")
        assert await who_answered(engine, run.id) == audit


async def who_answered(engine: Engine, run_id: str) -> list[str]:
    """Return of each wait its step, what was answered, and by which door."""
    found: list[str] = []
    for step in await engine.steps(run_id):
        view = await engine.store.get_task(step.task) if step.task else None
        if view is not None:
            said: Any = view.answer or {}
            answer: Any = "decline" if "decline" in said else said.get("value", {}).get("n")
            found.append(f"{step.address} {answer} {view.door}")
    return found
