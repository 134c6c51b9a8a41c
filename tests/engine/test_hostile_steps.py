"""Whatever a user's code raises, wherever it is asked, fails that step: the engine lives, other runs go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from pydantic import BaseModel, ConfigDict, field_validator, model_serializer

from agentflow.definition.models import Step
from agentflow.engine import Answer
from agentflow.errors import StepError
from agentflow.steps import agent_run, set_, step, step_type, tool_call, wait_for_input
from agentflow.steps.contract import AgentAsks, Artifact, Context, Park, PromptContext, Result, StepType, Timer, Wait
from agentflow.steps.registry import register
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


class Own(BaseException):
    """Not even an Exception."""


class Mute(Exception):
    """Nothing can be asked of it."""

    def __str__(self) -> NoReturn:
        raise SystemExit("no text")

    __repr__ = __str__


class OddError(StepError):
    """Its parts are of other types than they should be."""

    def __init__(self) -> None:
        super().__init__("odd")
        self.what: Any = 5
        self.why: Any = object()
        self.code: Any = None
        self.data: Any = 7
        self.retry_after: Any = "soon"


def _endless() -> NoReturn:
    _endless()


ERRORS: dict[str, Callable[[], BaseException]] = {
    "Exception": lambda: Exception("boom"),
    "KeyError": lambda: KeyError("boom"),
    "ValueError": lambda: ValueError("boom"),
    "RecursionError": lambda: RecursionError("boom"),
    "BaseException": lambda: Own("boom"),
    "SystemExit": lambda: SystemExit("boom"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("boom"),
    "StopIteration": lambda: StopIteration("boom"),
    "GeneratorExit": lambda: GeneratorExit("boom"),
    "MemoryError": lambda: MemoryError("boom"),
    "group": lambda: BaseExceptionGroup("boom", [Own("inside"), SystemExit(3)]),
    "mute": Mute,
    "odd": OddError,
}
current: list[Callable[[], BaseException]] = []


def boom(*_: Any, **__: Any) -> Any:
    """Raise what the test is about."""
    raise current[0]()


class Anything(BaseModel):
    """Fields of any kind."""

    model_config = ConfigDict(extra="forbid")
    value: Any = None


class Refusing(Anything):
    """Fields whose validator fails."""

    @field_validator("value")
    @classmethod
    def _fails(cls, value: Any) -> Any:
        return value if isinstance(value, str) and value.startswith("{") else boom()


class Unserialisable(BaseModel):
    """Data that can't be written."""

    @model_serializer
    def _fails(self) -> Any:
        return boom()


async def _never(_config: Any, _ctx: Context) -> Result:
    return Result("never")


@step_type("hostile_execute", config=Anything)
async def _execute(_config: Anything, _ctx: Context) -> Any:
    boom()


@step_type("hostile_result", config=Anything)
async def _result(_config: Anything, _ctx: Context) -> Any:
    return Result(Unserialisable())


@step_type("hostile_park", config=Anything)
async def _park(_config: Anything, _ctx: Context) -> Any:
    return Park(Wait("input", "?", details={"x": Unserialisable()}))


@step_type("hostile_after_park", config=Anything)
async def _after(_config: Anything, ctx: Context) -> Any:
    if ctx.state is None:
        return Park(Timer(ctx.now()), state={"x": 1}, then="enter")
    return boom()


def _prompt(_config: Any, _ctx: PromptContext) -> Any:
    boom()


register(StepType("hostile_validator", Refusing, execute=_never))
register(StepType("hostile_prompt_validator", Refusing, prompt=_prompt))
register(StepType("hostile_prompt", Anything, prompt=_prompt))


class Provider:
    """Tools and agents that fail."""

    async def call(self, tool: str, arguments: Any, ctx: Context) -> Any:
        """Fail."""
        boom()

    async def run(self, turn: Any, ctx: Context) -> Any:
        """Fail, or ask."""
        return AgentAsks(Wait("input", "?"), {"x": 1}) if turn.prompt == "ask" else boom()

    async def answer(self, turn: Any, state: Any, answer: Any, ctx: Context) -> Any:
        """Fail."""
        boom()


async def _async() -> None:
    boom()


async def _saves(ctx: Context) -> None:
    await ctx.save(Unserialisable())


def _logs(ctx: Context) -> None:
    ctx.log(Mute())  # type: ignore[arg-type]  user code may give anything


HOOKS: dict[str, Callable[[Lab], Step]] = {
    "validator": lambda _: step("a", "hostile_validator", {"value": "{input.x}"}),
    "validator of a prompt": lambda _: step("a", "hostile_prompt_validator", {"value": "{input.x}"}),
    "execute": lambda _: step("a", "hostile_execute", {}),
    "serialiser of a result": lambda _: step("a", "hostile_result", {}),
    "serialiser of a wait": lambda _: step("a", "hostile_park", {}),
    "execute after a park": lambda _: step("a", "hostile_after_park", {}),
    "prompt": lambda _: step("a", "hostile_prompt", {}),
    "reducer": lambda lab: lab.call("a", lambda: 1, update={"shared": "{steps.a}"}),
    "tool provider": lambda _: tool_call("a", tool_name="x", server="provider"),
    "tool": lambda _: tool_call("a", tool_name="boom"),
    "agent provider": lambda _: agent_run("a", agent="provider", prompt="run"),
    "answer of an agent provider": lambda _: agent_run("a", agent="provider", prompt="ask"),
    "agent": lambda _: agent_run("a", agent="boom", prompt="?"),
    "function in a thread": lambda lab: lab.call("a", boom),
    "async function": lambda lab: lab.call("a", _async),
    "serialiser of a saved state": lambda lab: lab.call("a", _saves),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("hook", HOOKS)
async def test_what_a_hook_raises_fails_its_step_only(lab: Lab, hook: str, error: str) -> None:
    current[:] = [ERRORS[error]]
    lab.functions["lab:boom"] = boom
    shared = {"shared": {"reducer": "lab:boom"}}
    hostile = lab.workflow(HOOKS[hook](lab), set_("b", value=1), context=shared, id="hostile")
    other = lab.workflow(wait_for_input("w", message="?"), set_("done", value=2), id="other")
    options: dict[str, Any] = {
        "tools": {"provider": Provider(), "boom": boom},
        "agents": {"provider": Provider(), "boom": boom},
    }
    async with lab.open(hostile, other, **options) as engine:
        waits = await engine.start("other")
        done = await lab.finish(engine, await engine.start("hostile", {"x": "bad"}))
        for wait in done.waits:
            await engine.resume(wait.id, Answer("x"))
            done = await lab.finish(engine, done.run)
        assert done.state == "failed"
        assert done.states["a"] == "failed"
        assert done.errors["a"].code != "AF-DEFECT", done.errors["a"]
        assert done.run.failure is not None
        assert done.run.failure.step == "a"
        await engine.resume(waits.id, Answer("y"))
        assert (await lab.finish(engine, waits)).output == 2


async def test_the_class_and_text_of_what_a_validator_raises_are_told(lab: Lab) -> None:
    current[:] = [ERRORS["KeyError"]]
    done = await lab.run(step("a", "hostile_validator", {"value": "{input.x}"}), input={"x": "bad"})
    assert (done.errors["a"].code, done.errors["a"].message) == ("AF-STEP-RAISED", "KeyError: 'boom'")


async def test_a_text_that_cant_be_made_fails_the_step_that_gave_it(lab: Lab) -> None:
    done = await lab.run(lab.call("a", _logs))
    assert (done.state, done.states["a"]) == ("failed", "failed")


class Unreadable(str):
    """A text that can be stored, and not be read as one."""

    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise SystemExit("no text")


async def test_what_a_step_leaves_and_cannot_be_read_fails_the_step(lab: Lab) -> None:
    async def leave(ctx: Context) -> int:
        await ctx.artifact(Artifact(Unreadable("a"), parts=({"text": "x"},)))
        return 1

    flow = lab.workflow(lab.call("leaves", leave, on_error="continue"), set_("after", value=2))
    async with lab.open(flow) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        again = await lab.finish(engine, await engine.start("main"))
    assert (done.state, done.output, done.states["leaves"]) == ("completed", 2, "canceled")
    assert again.state == "completed"
