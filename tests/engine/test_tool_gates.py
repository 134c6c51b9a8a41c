"""Tools that somebody has to approve: no step calls one unapproved, by whatever way, and nothing is done twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.models import Step, Workflow
from agentflow.engine import Answer, Engine, Run, WaitView
from agentflow.steps import agent_run, tool_call
from agentflow.steps.contract import Context
from agentflow.testing.clock import FakeClock
from agentflow.testing.faults import doom
from tests.engine.asked import Deed, over, questions, rest
from tests.engine.lab import Lab
from tests.engine.test_gates import ROWS, SHAPES, ends, lived

pytestmark = pytest.mark.anyio

PAY = {"pay": {"python": "lab:pay", "approve": True}}


@dataclass
class Tooled:
    """A lab whose gated steps call tools from inside."""

    lab: Lab
    tools: dict[str, Any]
    approve: Any = True
    agents: dict[str, Any] = field(default_factory=dict[str, Any])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lab, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "clock":
            self.lab.clock = value
        else:
            object.__setattr__(self, name, value)

    def call(self, id: str, function: Any, *, input: Any = None, **fields: Any) -> Step:  # noqa: A002  as a lab's
        if not isinstance(function, Deed):
            return self.lab.call(id, function, **fields)

        async def agent(ctx: Context, value: Any) -> Any:
            return await ctx.call_tool("pay", {"value": value})

        return self.lab.call(id, agent, input=input, **fields)

    @asynccontextmanager
    async def open(self, *flows: Workflow, **options: Any) -> AsyncGenerator[Engine]:
        entries = {"pay": {"python": "lab:pay", "approve": self.approve}}
        config: Mapping[str, Any] = {"tools": entries, **options.pop("config", {})}
        skills = ("native:python", "native:tool", "native:agent")
        made: dict[str, Any] = {"tools": self.tools, "agents": self.agents, "skills": skills, **options}
        async with self.lab.open(*flows, config=config, **made) as engine:
            yield engine


async def approve(engine: Engine, run: Run) -> WaitView:
    (wait,) = await questions(engine, run, 1)
    await engine.resume(wait.id, Answer({"decision": "approve"}))
    return wait


@pytest.mark.parametrize(
    ("name", "outcome"),
    [pytest.param(*row, marks=() if row[0] == "leaf" or row[1] == "kill" else pytest.mark.slow) for row in ROWS],
)
async def test_no_tool_is_ever_called_unapproved(lab: Lab, tmp_path: Path, name: str, outcome: str) -> None:
    shape, deed = SHAPES[name], Deed(SHAPES[name].failing)
    settings = {"timeout": 3600.0} if outcome == "timeout" else {"edit": ["value"]}
    tooled: Any = Tooled(lab, {"pay": deed}, settings)
    flows = shape.make(tooled, deed, {})
    ended, count, said = await lived(tooled, tmp_path / "runs.db", flows, shape, deed, outcome, "approve", 0)
    assert (deed.unapproved, ended.state) == (0, ends(shape, outcome, said=said))
    assert len(deed.done) == shape.runs if said else len(deed.done) <= count
    if outcome == "edit":
        assert set(deed.done) == {7}


async def test_it_shows_the_tool_and_its_arguments_and_what_it_gives_is_the_agents(lab: Lab) -> None:
    deed = Deed(allowed=True)
    tooled = Tooled(lab, {"pay": deed}, "Pay {arguments.value} euros?")
    flow = lab.workflow(tooled.call("agent", deed, input={"value": 40}))
    async with tooled.open(flow) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        assert (wait.message, wait.step, wait.kind) == ("Pay 40 euros?", "agent", "input")
        told = {"gate": "tool", "type": "python", "tool": "pay", "would": {"value": 40}, "effect": "unsafe"}
        assert told.items() <= wait.details.items()
        assert wait.details["human_only"] is True
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await rest(engine, run)).output == {"value": 40}
    assert deed.done == [40]


async def test_other_arguments_and_each_further_call_with_the_same_ask_anew(lab: Lab) -> None:
    deed = Deed(allowed=True)
    tooled = Tooled(lab, {"pay": deed})

    async def agent(ctx: Context) -> list[Any]:
        return [await ctx.call_tool("pay", {"value": value}) for value in (1, 2, 1)]

    async with tooled.open(lab.workflow(lab.call("agent", agent))) as engine:
        run = await engine.start("main", None)
        for asked in (1, 2, 1):
            assert (await approve(engine, run)).details["would"] == {"value": asked}
        assert (await rest(engine, run)).output == [{"value": 1}, {"value": 2}, {"value": 1}]
    assert deed.done == [1, 2, 1]


async def test_what_was_called_before_an_approval_is_not_called_again(lab: Lab) -> None:
    deed, looked = Deed(allowed=True), list[str]()

    def look(name: str) -> dict[str, str]:
        looked.append(name)
        return {"found": name}

    tooled = Tooled(lab, {"pay": deed, "look": look})

    async def agent(ctx: Context) -> Any:
        found = await ctx.call_tool("look", {"name": "a"})
        paid = await ctx.call_tool("pay", {"value": 1})
        again = await ctx.call_tool("look", {"name": "a"})
        return [found, paid, again, await ctx.call_tool("pay", {"value": 2})]

    async with tooled.open(lab.workflow(lab.call("agent", agent))) as engine:
        run = await engine.start("main", None)
        await approve(engine, run)
        await approve(engine, run)
        found = {"found": "a"}
        assert (await rest(engine, run)).output == [found, {"value": 1}, found, {"value": 2}]
    assert (deed.done, looked) == ([1, 2], ["a", "a"])


@pytest.mark.parametrize("catch", [Exception, BaseException])
async def test_an_agent_that_catches_everything_does_not_get_around_it(lab: Lab, catch: type[BaseException]) -> None:
    deed, went_on = Deed(), list[str]()
    tooled = Tooled(lab, {"pay": deed, "post": lambda: went_on.append("posted")})

    async def agent(ctx: Context) -> str:
        for tool, arguments in (("pay", {"value": 1}), ("pay", {"value": 2}), ("post", {})):
            with suppress(catch):
                await ctx.call_tool(tool, arguments)
        return "all done"

    async with tooled.open(lab.workflow(lab.call("agent", agent))) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        assert (wait.details["would"], deed.done, went_on) == ({"value": 1}, [], [])
        deed.allowed = True
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        assert (await approve(engine, run)).details["would"] == {"value": 2}
        assert (await rest(engine, run)).output == "all done"
    assert (deed.done, went_on, deed.unapproved) == ([1, 2], ["posted"], 0)


async def test_code_in_threads_and_calls_side_by_side_ask_too_and_what_has_begun_is_remembered(lab: Lab) -> None:
    deed, slow = Deed(allowed=True), list[int]()

    async def look(value: int) -> int:
        slow.append(value)
        await anyio.sleep(0.01)
        return value

    tooled = Tooled(lab, {"pay": deed, "look": look})

    async def agent(ctx: Context) -> Any:
        found: dict[str, Any] = {}

        async def one(tool: str, value: int) -> None:
            found[f"{tool}{value}"] = await ctx.call_tool(tool, {"value": value})

        async with anyio.create_task_group() as group:
            for tool, value in (("look", 1), ("pay", 1), ("pay", 2)):
                group.start_soon(one, tool, value)
        return found

    def sync(ctx: Any) -> Any:
        with suppress(Exception):
            return ctx.call_tool("pay", {"value": 3})
        return "went on"

    async with tooled.open(lab.workflow(lab.call("agent", agent), lab.call("thread", sync))) as engine:
        run = await engine.start("main", None)
        assert [(await approve(engine, run)).details["would"]["value"] for _ in range(3)] == [1, 2, 3]
        assert (await rest(engine, run)).output == {"value": 3}
    assert (deed.done, slow) == ([1, 2, 3], [1])


@pytest.mark.parametrize(
    ("on_reject", "state"),
    [("fail", "failed"), ("skip", "completed"), ("continue", "completed"), ("tell", "completed")],
)
async def test_a_refusal_does_what_the_author_says(lab: Lab, on_reject: str, state: str) -> None:
    deed = Deed()
    tooled = Tooled(lab, {"pay": deed}, {"on_reject": on_reject})

    async def agent(ctx: Context) -> str:
        try:
            await ctx.call_tool("pay", {"value": 1})
        except Exception as error:
            return str(error)
        return "paid"

    async with tooled.open(lab.workflow(lab.call("agent", agent))) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "reject", "comment": "too dear"}))
        done = await lab.finish(engine, run)
    assert (done.state, deed.done) == (state, [])
    if on_reject == "fail":
        done.failed(code="AF-APPROVAL-REJECTED")
    if on_reject == "tell":
        assert "too dear" in done.output


async def test_only_calls_that_exceed_a_limit_ask_and_one_that_cannot_be_told_is_not_made(lab: Lab) -> None:
    deed = Deed(allowed=True)
    tooled = Tooled(lab, {"pay": deed}, {"if": "{arguments.value} > 100"})

    async def agent(ctx: Context) -> Any:
        await ctx.call_tool("pay", {"value": 5})
        return await ctx.call_tool("pay", {"value": 500})

    async def wrong(ctx: Context) -> Any:
        return await ctx.call_tool("pay", {"value": "text"})

    async with tooled.open(lab.workflow(lab.call("agent", agent), lab.call("wrong", wrong))) as engine:
        run = await engine.start("main", None)
        assert (await approve(engine, run)).details["would"] == {"value": 500}
        assert (await rest(engine, run)).state == "failed"
    assert deed.done == [5, 500]


async def test_a_step_that_calls_the_tool_itself_asks_once_with_its_own_approval_or_the_tools(lab: Lab) -> None:
    deed = Deed(allowed=True)
    tooled = Tooled(lab, {"pay": deed})
    flow = lab.workflow(
        tool_call("plain", tool_name="pay", input={"value": 1}),
        tool_call("own", tool_name="pay", input={"value": 2}, approve=True),
        tool_call("below", tool_name="pay", input={"value": 3}, approve={"if": False}),
    )
    async with tooled.open(flow) as engine:
        run = await engine.start("main", None)
        gates = [(wait.step, wait.details["gate"]) for wait in [await approve(engine, run) for _ in range(3)]]
        assert (await rest(engine, run)).state == "completed"
    assert gates == [("plain", "tool"), ("own", "approve"), ("below", "tool")]
    assert deed.done == [1, 2, 3]


async def test_what_an_agent_has_saved_is_there_when_it_runs_again_and_its_calls_go_on_behind_it(lab: Lab) -> None:
    deed, thoughts = Deed(allowed=True), list[str]()
    tooled = Tooled(lab, {"pay": deed})

    async def model(ctx: Context) -> Any:
        said = ctx.state
        if said is None:
            thoughts.append("this costs")
            said = ["pay twice"]
            await ctx.save(said)
        while len(said) < 3:
            await ctx.call_tool("pay", {"value": 1})
            said = [*said, "paid"]
            await ctx.save(said)
        return said

    tooled.agents = {"model": model}
    async with tooled.open(lab.workflow(agent_run("turn", agent="model", tools=["pay"]))) as engine:
        run = await engine.start("main", None)
        for done in ([], [1]):
            await questions(engine, run, 1)
            assert deed.done == done
            await approve(engine, run)
        assert (await rest(engine, run)).output == ["pay twice", "paid", "paid"]
    assert (deed.done, thoughts) == ([1, 1], ["this costs"])


async def test_a_kill_after_the_yes_calls_it_again_with_the_same_key_and_asks_nobody(lab: Lab, tmp_path: Path) -> None:
    keys, store = list[str](), tmp_path / "runs.db"

    async def pay(value: int, ctx: Context) -> int:
        keys.append(ctx.idempotency_key)
        if len(keys) == 1:
            doom(engine)
            await anyio.sleep_forever()
        return value

    tooled = Tooled(lab, {"pay": pay})
    flow = lab.workflow(tooled.call("agent", Deed(), input={"value": 1}))
    async with tooled.open(flow, store=store) as engine:
        run = await engine.start("main", None)
        (wait,) = await questions(engine, run, 1)
        await engine.resume(wait.id, Answer({"decision": "approve"}))
        with anyio.fail_after(20):
            while not keys:
                await anyio.lowlevel.checkpoint()
    async with tooled.open(flow, store=store, clock=FakeClock(lab.clock.now() + 60)) as engine:
        assert (await over(engine, run)).state == "completed"
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_a_retry_of_the_run_asks_again(lab: Lab) -> None:
    deed = Deed(1, allowed=True)
    tooled = Tooled(lab, {"pay": deed})
    async with tooled.open(lab.workflow(tooled.call("agent", deed, input={"value": 1}))) as engine:
        run = await engine.start("main", None)
        await approve(engine, run)
        assert (await rest(engine, run)).state == "failed"
        again = await engine.retry(run.id)
        assert isinstance(again, Run)
        await approve(engine, again)
        assert (await rest(engine, again)).state == "completed"


async def test_each_attempt_asks_where_the_author_wants_that(lab: Lab) -> None:
    deed = Deed(1, allowed=True)
    tooled = Tooled(lab, {"pay": deed}, {"each_attempt": True})
    again = {"max_attempts": 2, "base": 0}
    async with tooled.open(lab.workflow(tooled.call("agent", deed, input={"value": 1}, retry=again))) as engine:
        run = await engine.start("main", None)
        await approve(engine, run)
        await approve(engine, run)
        assert (await rest(engine, run)).state == "completed"
    assert len(deed.done) == 2


async def test_secrets_among_the_arguments_are_not_shown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cr3t-value-of-it")
    deed = Deed(allowed=True)
    tooled = Tooled(lab, {"pay": deed}, "Pay {arguments.value}?")

    async def agent(ctx: Context) -> Any:
        return await ctx.call_tool("pay", {"value": ctx.secret("TOKEN")})

    async with tooled.open(lab.workflow(lab.call("agent", agent)), config={"env": ["TOKEN"]}) as engine:
        run = await engine.start("main", None)
        wait = await approve(engine, run)
        assert "s3cr3t" not in repr(wait)
        assert (await rest(engine, run)).state == "completed"
    assert deed.done == ["s3cr3t-value-of-it"]
