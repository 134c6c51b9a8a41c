"""Runs workflows in tests: virtual time, stubs instead of tools and agents, scripted answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import anyio

from agentflow.config import Config, config_from, load_config
from agentflow.definition.durations import parse_duration
from agentflow.definition.models import GivenStep, Workflow
from agentflow.definition.nested import all_steps
from agentflow.engine import Answer, Decline, Engine, ToolFailure, WaitView
from agentflow.errors import AgentflowError
from agentflow.store.contract import Store
from agentflow.store.rows import (
    RunQuery,
)
from agentflow.testing.clock import FakeClock
from agentflow.testing.outcome import RunOutcome, look_at
from agentflow.testing.stubs import Answers, Call, stub

Source: TypeAlias = "str | Path | Config | Workflow | Iterable[Workflow]"
"""What to run: a config file, a loaded config, workflows."""


class Harness:
    """Runs workflows and tells what became of them. Made by `harness`."""

    def __init__(self, engine: Engine, clock: FakeClock, answers: Answers, calls: list[Call], limit: float) -> None:
        """Made by `harness`."""
        self.engine = engine
        """The engine, for everything that the harness has no short way to."""
        self._clock = clock
        self._answers = answers
        self._calls = calls
        self._limit = limit
        self._giving: set[str] = set()
        self._trouble: Exception | None = None
        self._stuck = False
        clock.may_jump = self._may_jump
        engine.core.committer.on_commit.append(lambda _, __: clock.tell())

    # running

    async def run(
        self,
        workflow: str | Workflow | None = None,
        input: Any = None,  # noqa: A002  named as in the config
        **options: Any,
    ) -> RunOutcome:
        """Start a run, answer what the script has answers for, and return when it has ended or only waits.

        Args:
            workflow: its id; may be left out where there is only one.
            input: the run's input.
            options: of `Engine.start`: `entry_point`, `idempotency_key`, `message`, `labels`, …
        """
        if workflow is None:
            known = list(self.engine.config.workflows)
            if len(known) != 1:
                raise AssertionError(f"name one of the workflows: {', '.join(known) or 'there is none'}")
            workflow = known[0]
        run = await self.engine.start(workflow, input, **options)
        return await self.settled(run.id)

    async def settled(self, run: str | RunOutcome) -> RunOutcome:
        """Return what became of a run, once it has ended or only waits for what the script doesn't answer."""
        run_id = run if isinstance(run, str) else run.id
        try:
            with anyio.fail_after(self._limit):
                await self._settle(run_id)
        except TimeoutError:
            now = await self.look(run_id)
            raise AssertionError(f"{now.headline} still, after {self._limit:g} s\n{now}") from None
        now = await self.look(run_id)
        if self._stuck:
            raise AssertionError(f"{now.headline} still, and nothing is left that could carry it on\n{now}")
        return now

    async def _settle(self, run_id: str) -> None:
        while True:
            changed = self._clock.changed
            run = await self.engine.get(run_id)
            if self._trouble is not None:
                raise self._trouble
            if run.ended or run.paused:
                return
            if run.waiting and not await self._busy() and not await self._scripted(run_id):
                return
            await self._progress(changed)
            if self._stuck:
                return

    async def _progress(self, changed: anyio.Event) -> None:
        """Return when something has changed, or nothing is left that could change anything."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._notice_if_stuck, changed, group.cancel_scope)
            await changed.wait()
            group.cancel_scope.cancel()

    async def _notice_if_stuck(self, changed: anyio.Event, scope: anyio.CancelScope) -> None:
        core = self.engine.core
        await core.idle()
        for _ in range(3):  # whoever was woken by the last commit acts first
            await anyio.lowlevel.checkpoint()
        await core.idle()
        later = (await self.engine.store.next_due(None), core.times.first_deadline())
        left = await self._busy() or await self._scripted() or any(time is not None for time in later)
        if not (left or changed.is_set()):
            self._stuck = True
            scope.cancel()

    async def answer(self, run: str | RunOutcome, step: str, value: Any) -> RunOutcome:
        """Answer the open wait of a step, and return what became of the run."""
        now = await self.look(run)
        await self.engine.resume(now.wait(step).id, as_answer(value))
        return await self.settled(now)

    async def publish(self, topic: str, data: Any = None) -> int:
        """Publish an event; returns how many waits it reached."""
        return await self.engine.publish(topic, data)

    async def advance(self, duration: float | str) -> None:
        """Let virtual time pass: seconds, or a text such as `3d`. What is due in it happens in its order."""
        with anyio.move_on_after(self._limit):
            while not self._begun():
                await anyio.lowlevel.checkpoint()
        target = self._clock.now() + parse_duration(duration)
        self._clock.allow(target)
        with anyio.move_on_after(self._limit):
            while True:
                changed = self._clock.changed
                due = await self.engine.store.next_due(None)
                deadline = self.engine.core.times.first_deadline()
                if all(time is None or time > target for time in (due, deadline)):
                    break
                await changed.wait()
        self._clock.reach(target)

    def _begun(self) -> bool:
        """Tell whether every step that is claimed executes, so that its timeout counts."""
        runs = self.engine.core.cache.runs.values()
        return all(node.lease is not None for run in runs for node in run.live.values() if node.phase == "run")

    @property
    def now(self) -> float:
        """The virtual time, in seconds since the epoch."""
        return self._clock.now()

    # looking

    async def look(self, run: str | RunOutcome) -> RunOutcome:
        """Return a run as it is now."""
        return await look_at(self.engine, run if isinstance(run, str) else run.id)

    def calls(self, name: str) -> list[Mapping[str, Any]]:
        """Return what a stub was called with, one mapping of arguments a call."""
        return [call.arguments for call in self._calls if call.name == name]

    # answers

    def script(self, step: str, answer: Any) -> None:
        """Script an answer from now on, as in `answers`."""
        self._answers.set(step, answer)
        self._clock.tell()

    async def answering(self) -> None:
        """Answer whatever the script has an answer for; never ends by itself. `harness` runs it."""
        while True:
            changed = self._clock.changed
            for wait in await self._scripted():
                self._giving.add(wait.id)
                try:
                    value = await self._answers.take(wait)
                    await self.engine.resume(wait.id, as_answer(value))
                except Exception as error:  # shown where the test waits for the run
                    self._trouble = AssertionError(f'the scripted answer of "{wait.step}": {_text(error)}')
                    self._trouble.__cause__ = error
                    return
                finally:
                    self._giving.discard(wait.id)
                    self._clock.tell()
            await changed.wait()

    async def _scripted(self, run_id: str | None = None) -> list[WaitView]:
        """Return open waits that the script has an answer for."""
        return [wait for wait in await self.engine.waits(run_id) if self._answers.has(wait)]

    async def _busy(self) -> bool:
        """Tell whether an answer is on its way."""
        return bool(self._giving or await self.engine.store.inbox(None))

    async def _may_jump(self) -> bool:
        """Tell whether time may move: a run works on, and no answer is about to be given."""
        if self._trouble is not None or await self._busy() or await self._scripted():
            return False
        return bool(await self.engine.list(RunQuery(states=("working", "submitted"), limit=1)))


@asynccontextmanager
async def harness(
    source: Source,
    *,
    tools: Mapping[str, Any] | None = None,
    agents: Mapping[str, Any] | None = None,
    functions: Mapping[str, Any] | None = None,
    answers: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    skills: Iterable[str] = (),
    store: Store | Path | str = ":memory:",
    start: float = 1_700_000_000.0,
    always_replay: bool = False,
    wire: bool = False,
    limit: float = 60.0,
) -> AsyncGenerator[Harness]:
    """Open an engine for a test.

    Time is virtual: delays, back-offs and polls take none, and it stands still while runs only wait for answers.

    A stub is a function, sync or async, or a value that is returned; an exception is raised; `in_turn(…)` lines up
    several. An answer is the value itself, a list of successive ones, or a function of the `WaitView`; `Answer`,
    `Decline` and `ToolFailure` are taken as they are. A wait without an answer leaves the run parked.

    Args:
        source: a config file, a loaded config, or workflows made in Python.
        tools: stubs of tools, by name.
        agents: stubs of agents, by name.
        functions: stubs of what python steps call, by `module:function`; by its name where a step was given a function.
        answers: scripted answers, by the id or the address of the step that waits.
        env: values of the config's `env`.
        skills: native skills to grant besides the config's, such as `native:shell`.
        store: where runs are kept.
        start: the virtual time at the beginning, in seconds since the epoch.
        always_replay: rebuild the engine's state from the store before every decision.
        wire: send what steps are given, ask and leave through JSON, as where others execute them.
        limit: real seconds after which a step that hangs fails the test; a run that is stuck fails at once.

    Raises:
        DefinitionError: a workflow isn't valid.
    """
    functions = _whole_names(functions or {}, source)
    config = _config(source, functions, skills, env or {})
    clock = FakeClock(start)
    calls: list[Call] = []

    def stubs(given: Mapping[str, Any] | None) -> dict[str, Any]:
        return {name: stub(name, value, calls) for name, value in (given or {}).items()}

    async with Engine.open(
        store, config=config, clock=clock, functions=stubs(functions), tools=stubs(tools), agents=stubs(agents),
        always_replay=always_replay, runtime="wire" if wire else None, grace=0.0,
    ) as engine:  # fmt: skip
        made = Harness(engine, clock, Answers(answers or {}), calls, limit)
        raised: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(made.answering)
            try:
                yield made
            except Exception as error:  # raised after the group, which would wrap it
                raised = error
            group.cancel_scope.cancel()
        if raised is not None:
            raise raised


def _whole_names(functions: Mapping[str, Any], source: Source) -> Mapping[str, Any]:
    """Return stubs by `module:function`; the function's name is enough where a step was given one of that name."""
    if isinstance(source, str | Path):
        return functions
    workflows = source.workflows.values() if isinstance(source, Config) else _several(source)
    steps = (step for workflow in workflows for step in all_steps(workflow))
    given = {step.config["function"].partition(":")[2]: step.config["function"]
             for step in steps if isinstance(step, GivenStep)}  # fmt: skip
    return {given.get(name, name): value for name, value in functions.items()}


def _several(source: Workflow | Iterable[Workflow]) -> list[Workflow]:
    return [source] if isinstance(source, Workflow) else list(source)


def _config(source: Source, functions: Iterable[str], skills: Iterable[str], env: Mapping[str, str]) -> Config:
    if isinstance(source, str | Path):
        config = load_config(source)
    elif isinstance(source, Config):
        config = source
    else:
        workflows = _several(source)
        modules = tuple(dict.fromkeys(name.partition(":")[0] for name in functions))
        config = config_from(workflows, python_modules=modules, skills=list(skills), env=list(env))
    granted = {**config.skills, **{skill: {} for skill in skills if skill not in config.skills}}
    return replace(config, skills=granted, env_values={**config.env_values, **env})


def as_answer(value: Any) -> Answer | Decline | ToolFailure:
    """Return a scripted value as an answer; answers, declines and failures are left as they are."""
    return value if isinstance(value, Answer | Decline | ToolFailure) else Answer(value)


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, AgentflowError) else f"{type(error).__name__}: {error}"
