"""Every example loads without a problem, runs, and gives what its first lines promise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.config import load_config
from agentflow.definition.models import Step
from agentflow.engine import Answer, Engine, Run
from agentflow.errors import InputError
from agentflow.steps import registry

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parent.parent / "examples"
STEPS = sorted((EXAMPLES / "steps").glob("*.yaml"))


class JumpingClock:
    """Jumps to what is due within a minute as soon as the engine is idle, and never gets to what is due later."""

    def __init__(self) -> None:
        self._now = 1_800_000_000.0

    def now(self) -> float:
        return self._now

    async def sleep_until(self, due: float, idle: Callable[[], Awaitable[None]]) -> None:
        await idle()
        if due > self._now + 60:
            await anyio.sleep_forever()
        self._now = max(self._now, due)


@dataclass
class Promise:
    """What the first lines of an example say about it."""

    input: Any = None
    expect: Any = None
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    events: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    port: str | None = None


def promise_of(path: Path) -> Promise:
    """Read the comment at the top of an example."""
    promise = Promise()
    for line in path.read_text(encoding="utf-8").splitlines():
        key, colon, value = line.removeprefix("# ").partition(": ")
        if not line.startswith("#") or not colon:
            continue
        words = key.split()
        match words:
            case ["input"]:
                promise.input = json.loads(value)
            case ["expect"]:
                promise.expect = json.loads(value)
            case ["serve"]:
                promise.port = value
            case ["answer", step]:
                promise.answers[step] = json.loads(value)
            case ["publish", topic]:
                promise.events.append((topic, json.loads(value)))
            case _:
                pass
    return promise


@contextmanager
def served(folder: Path) -> Generator[str]:
    """Serve a folder over HTTP and give the port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield str(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def move_port(path: Path, old: str | None, new: str) -> None:
    """Let an example use the port that is served."""
    if old is not None:
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


async def finish(engine: Engine, run: Run, promise: Promise) -> Run:
    """Answer and publish what the example says, until the run has ended."""
    answers = dict(promise.answers)
    with anyio.fail_after(60):
        run = await engine.wait(run.id)
        for topic, data in promise.events:
            await engine.publish(topic, data)
        while run.state == "input-required":
            run = await engine.wait(run.id)
            for wait in await engine.waits(run.id):
                if wait.step in answers:
                    await engine.resume(wait.id, Answer(answers.pop(wait.step)))
    return run


def test_there_is_an_example_for_every_step_type() -> None:
    assert {path.stem for path in STEPS} == registry.BUILTIN.keys()


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
@pytest.mark.parametrize("replay", [False, True], ids=["kept", "replayed"])
async def test_an_example_gives_what_it_promises(path: Path, replay: bool, tmp_path: Path) -> None:
    promise = promise_of(path)
    folder = tmp_path / "steps"
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    with served(folder) as port:
        move_port(folder / path.name, promise.port, port)
        config = load_config(folder / path.name)
        assert config.warnings == []
        assert path.stem in config.workflows
        async with Engine.open(":memory:", config=config, clock=JumpingClock(), always_replay=replay) as engine:
            run = await engine.start(path.stem, promise.input)
            run = await finish(engine, run, promise)
    assert run.failure is None
    assert (run.state, run.output) == ("completed", promise.expect)


def test_every_example_uses_the_type_that_it_is_about() -> None:
    for path in STEPS:
        assert f"type: {path.stem}" in path.read_text(encoding="utf-8")


async def test_the_tools_of_another_agentflow_are_called_and_what_one_asks_is_asked_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mcp"
    shutil.copytree(EXAMPLES / "mcp", folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    promise = promise_of(folder / "agentflow.yaml")
    (wait,) = promise.answers
    async with Engine.open(":memory:", config=load_config(folder / "agentflow.yaml")) as engine:
        run = await engine.start("order", promise.input)
        run = await finish(engine, run, promise)
    assert (wait, run.state, run.output) == ("reserve", "completed", promise.expect)


@contextmanager
def serving(file: Path) -> Generator[str]:
    """Serve a config by a process of its own; gives its address."""
    words = ["serve", str(file), "--port", "0", "--store", ":memory:", "--json"]
    command = [str(Path(sys.executable).with_name("agentflow")), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as served:
        try:
            assert served.stdout is not None
            yield json.loads(served.stdout.readline())["url"]
        finally:
            served.terminate()


async def test_an_agent_at_another_address_is_asked_and_what_it_asks_is_asked_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a2a"
    shutil.copytree(EXAMPLES / "a2a", folder)
    promise = promise_of(folder / "agentflow.yaml")
    (wait,) = promise.answers
    with serving(folder / "legal.yaml") as url:
        monkeypatch.setenv("LEGAL_URL", url)
        async with Engine.open(":memory:", config=load_config(folder / "agentflow.yaml")) as engine:
            run = await engine.start("purchase", promise.input)
            run = await finish(engine, run, promise)
    assert (wait, run.state, run.output) == ("ask", "completed", promise.expect)


# distri's shape: a pipeline with a person in its middle, and three ways in.

REVIEW = {"approved": True, "note": "well done"}


async def states(engine: Engine, run: Run) -> dict[str, str]:
    """Return the steps' states by id; what has no row yet is submitted."""
    found = {row.address: row.state for row in await engine.steps(run.id)}
    return {step.id: found.get(step.id, "submitted") for step in run_steps(engine, run)}


def run_steps(engine: Engine, run: Run) -> tuple[Step, ...]:
    """Return the steps of a run's workflow."""
    return tuple(engine.config.workflows[run.workflow].steps)


async def started(engine: Engine, run: Run) -> list[str | None]:
    """Return the steps that were ever started, in order."""
    return [event.step async for event in engine.subscribe(run.id) if event.type == "step_started"]


def open_grading(store: str | Path = ":memory:") -> AbstractAsyncContextManager[Engine]:
    """Open an engine with distri's file, through the config beside it."""
    return Engine.open(store, config=load_config(EXAMPLES / "distri" / "agentflow.yaml"), clock=JumpingClock())


@pytest.mark.case("D-EP-7", "D-WAIT-2")
async def test_the_whole_pipeline_parks_at_the_review_and_completes_after_it() -> None:
    async with open_grading() as engine:
        with anyio.fail_after(60):
            run = await engine.wait((await engine.start("grading", {"doc_id": "essay-1"}, entry_point="full")).id)
            assert run.state == "input-required"
            assert list((await states(engine, run)).values()) == [
                *["completed"] * 3,
                "input-required",
                *["submitted"] * 2,
            ]
            [wait] = await engine.waits(run.id)
            assert wait.message == "Grade essay-1 by rubric rubric-essay?"
            await engine.resume(run.id, Answer(REVIEW))
            run = await engine.wait(run.id)
        assert run.state == "completed"
        assert set((await states(engine, run)).values()) == {"completed"}
        assert await engine.result(run.id, "review") == REVIEW
        assert run.output["text"] == "essay-1: A by rubric-essay"
        assert run.output["buttons"] == [
            [{"kind": "callback", "label": "Ask again", "callback_data": "wf:again:essay-1"}]
        ]


@pytest.mark.case("D-EP-8")
async def test_starting_at_the_grade_skips_all_before_it_and_waits_for_nobody() -> None:
    async with open_grading() as engine:
        with anyio.fail_after(60):
            run = await engine.start("grading", {"doc_id": "essay-1"}, entry_point="grade_only")
            run = await engine.wait(run.id)
        assert run.state == "completed"
        assert list((await states(engine, run)).values()) == [*["canceled"] * 4, *["completed"] * 2]
        assert await started(engine, run) == ["grade", "report"]
        assert (await engine.result(run.id, "grade"))["note"] == "approved before"


@pytest.mark.case("D-EP-9", "D-EP-11", "D-EP-12")
async def test_starting_at_the_review_survives_a_restart_while_it_waits(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with open_grading(store) as engine:
        with anyio.fail_after(60):
            run = await engine.start("grading", {"doc_id": "essay-1"}, entry_point="review_and_grade")
            run = await engine.wait(run.id)
        assert run.state == "input-required"
        assert list((await states(engine, run)).values()) == [*["canceled"] * 3, "input-required", *["submitted"] * 2]
    async with open_grading(store) as engine:
        with anyio.fail_after(60):
            await engine.resume(run.id, Answer(REVIEW))
            run = await engine.wait(run.id)
        assert run.state == "completed"
        assert list((await states(engine, run)).values()) == [*["canceled"] * 3, *["completed"] * 3]
        with anyio.fail_after(60):
            assert [step for step in await started(engine, run) if step != "review"] == ["grade", "report"]
            events = [(event.type, event.step) async for event in engine.subscribe(run.id)]
        assert ("step_waiting", "review") in events
        assert events[0][0] == "run_started"
        assert await engine.result(run.id, "review") == REVIEW
        assert run.output["text"] == "essay-1: B by rubric-quiz"


@pytest.mark.case("D-SKIP-1", "D-EP-13")
async def test_a_known_activity_is_not_detected_again_and_a_missing_document_is_named() -> None:
    async with open_grading() as engine:
        with anyio.fail_after(60):
            run = await engine.start("grading", {"doc_id": "quiz-2", "activity_id": "act-7"})
            run = await engine.wait(run.id)
        assert (await states(engine, run))["detect"] == "canceled"
        [wait] = await engine.waits(run.id)
        assert wait.message == "Grade quiz-2 by rubric rubric-act-7?"
        with pytest.raises(InputError, match="doc_id"):
            await engine.start("grading", {}, entry_point="grade_only")


def quiet_env() -> dict[str, str]:
    """Return an environment in which commands keep their runs beside their config and write no colours."""
    return {name: value for name, value in os.environ.items() if name not in ("AGENTFLOW_STORE", "FORCE_COLOR")}


# The demo: real files, a fan-out, a retry that really happens, a condition, a person.


@pytest.mark.parametrize("decision", ["keep", "drop"])
async def test_the_demo_counts_this_repository_and_asks_before_it_writes(decision: str, tmp_path: Path) -> None:
    folder = tmp_path / "examples" / "demo"
    shutil.copytree(EXAMPLES / "demo", folder, ignore=shutil.ignore_patterns(".agentflow", "__pycache__"))
    (tmp_path / "agentflow").mkdir()
    (tmp_path / "agentflow" / "one.py").write_text("a = 1\nb = 2\n", encoding="utf-8")
    async with Engine.open(":memory:", config=load_config(folder / "agentflow.yaml"), clock=JumpingClock()) as engine:
        with anyio.fail_after(60):
            run = await engine.wait((await engine.start("report", {})).id)
            [wait] = await engine.waits(run.id)
            assert wait.step == "review"
            assert "of 2 packages: a small project" in wait.message
            assert {row.address: row.tries for row in await engine.steps(run.id)}["lock"] == 2
            await engine.resume(wait.id, Answer({"decision": decision, "title": "Mine"}))
            run = await engine.wait(run.id)
    assert run.state == "completed"
    report = folder / ".agentflow" / "report.md"
    assert report.exists() == (decision == "keep")
    assert run.output["report"] == (".agentflow/report.md" if decision == "keep" else None)
    if decision == "keep":
        assert report.read_text(encoding="utf-8").startswith("# Mine\n")
        assert "| agentflow | 1 | 2 |" in report.read_text(encoding="utf-8")


async def test_the_budget_stops_before_the_call_that_would_exceed_it_and_the_raise_lets_it_go_on() -> None:
    config = load_config(EXAMPLES / "budget" / "agentflow.yaml")
    topics = [f"topic {number}" for number in range(20)]
    async with Engine.open(":memory:", config=config) as engine:
        with anyio.fail_after(60):
            run = await engine.wait((await engine.start("research", {"topics": topics})).id)
            assert (run.state, str(run.usage.cost)) == ("input-required", "0.010000000000")
            [wait] = await engine.waits(run.id)
            assert wait.message.startswith('Workflow "research" has used 0.01 EUR of its budget of 0.01 EUR')
            await engine.resume(run.id, Answer({"action": "raise", "cost": 0.02}))
            run = await engine.wait(run.id)
    assert (run.state, len(run.output), run.usage.calls) == ("completed", 20, 20)
    assert (run.usage.input_tokens, run.usage.output_tokens, str(run.usage.cost)) == (16000, 6000, "0.020000000000")


def test_the_demo_without_a_terminal_is_answered_by_a_second_process(tmp_path: Path) -> None:
    folder = tmp_path / "examples" / "demo"
    shutil.copytree(EXAMPLES / "demo", folder, ignore=shutil.ignore_patterns(".agentflow", "__pycache__"))
    command = [sys.executable, str(folder / "run.py")]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100, env=quiet_env()
    )
    assert done.returncode == 0, done.stderr
    told, _, report = done.stdout.partition("\n\n")
    assert json.loads(told.splitlines()[-1])["decision"] == "keep"
    assert report.startswith("# Code of this repository\n")
    assert "step lock completed" in done.stderr
    assert "attempts=2" in done.stderr


def test_the_example_in_python_prints_its_output() -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / "in_python.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{'first': 'HELLO ADA!!!', 'all': ")
