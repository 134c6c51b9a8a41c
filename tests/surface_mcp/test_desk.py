"""What a call does, without a process: progress, the shapes of outputs and inputs, faults of our own."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.engine import Answer, WaitView
from agentflow_mcp import controls
from agentflow_mcp.caller import Caller
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.following import BEAT
from agentflow_mcp.schemas import FAILED, HANDLE, input_schema, result_schema

pytestmark = pytest.mark.anyio

ONE_STEP = "steps: [{id: s, type: set, value: 1}]"


@asynccontextmanager
async def desk(
    text: str, functions: Mapping[str, Callable[..., Any]] | None = None, beat: float = BEAT
) -> AsyncGenerator[Desk]:
    """Return a desk over a config and an engine in memory."""
    async with Engine.open(":memory:", config=load_text(text), functions=functions) as engine:
        yield Desk(engine, CONTROLS, hold=60, beat=beat)


async def test_a_caller_hears_that_its_run_goes_on() -> None:
    heard = anyio.Event()

    async def progress(message: str | None) -> None:
        heard.set()

    async def work() -> str:
        await heard.wait()
        return "done"

    text = 'python: {modules: [lib]}\nworkflows: {w: {steps: [{id: s, type: python, function: "lib:work"}]}}'
    async with desk(text, {"lib:work": work}, beat=0.01) as made:
        with anyio.fail_after(60):
            result = await made.call("w", {}, Caller(progress=progress))
    assert (result.data, result.text) == ({"result": "done"}, "done")


async def test_an_input_that_is_no_object_is_one_argument() -> None:
    text = """\
workflows:
  total:
    input_schema: {type: array, items: {type: integer}}
    steps: [{id: s, type: set, value: "{input}"}]
"""
    async with desk(text) as made:
        [tool] = [tool for tool in made.tools if tool.name == "total"]
        assert tool.input_schema["properties"] == {"input": {"type": "array", "items": {"type": "integer"}}}
        assert (await made.call("total", {"input": [1, 2]}, Caller())).data == {"result": [1, 2]}
        for wrong in ({}, {"input": "x"}, {"input": [1], "more": 2}):
            refused = await made.call("total", wrong, Caller())
            assert refused.data["error"]["code"] == "AF-INPUT-INVALID"


async def test_a_fault_of_our_own_is_told_and_the_next_call_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with desk(f"workflows: {{w: {{{ONE_STEP}}}}}") as made:
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "start", None)
            broken = await made.call("w", {}, Caller())
        assert broken.failed
        assert broken.data["error"]["code"] == "AF-DEFECT"
        assert str(tmp_path) in broken.data["error"]["why"]
        assert (await made.call("w", {}, Caller())).data == {"result": 1}


async def test_no_secret_leaves_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    text = """\
env: [TOKEN]
workflows:
  w:
    input: {day: {enum: [mo, di]}}
    steps: [{id: s, type: set, value: 1}]
"""
    async with desk(text) as made:
        refused = await made.call("w", {"day": "hunter2-hunter2"}, Caller())
    assert refused.failed
    assert "hunter2" not in refused.text + str(refused.data)


@pytest.mark.parametrize(("kind", "as_it_is", "inside"), [("object", 1, 0), ("string", 0, 1), (None, 1, 1)])
def test_what_a_tool_gives_is_the_output_a_handle_or_an_error(kind: str | None, as_it_is: int, inside: int) -> None:
    output: dict[str, Any] = {"type": kind} if kind else {}
    wrapped: dict[str, Any] = {"type": "object", "properties": {"result": output}, "required": ["result"]}
    shapes = [output] * as_it_is + [wrapped] * inside
    assert result_schema(output) == {"type": "object", "anyOf": [*shapes, HANDLE, FAILED]}


def test_definitions_of_an_output_stand_where_references_look_for_them() -> None:
    made = result_schema(
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}}
    )
    assert made is not None
    assert made["$defs"] == {"a": {"type": "null"}}
    assert result_schema({"type": "object", "properties": {"a": {"$ref": "#"}}}) is None
    assert result_schema(None) is None


def test_arguments_are_an_object_by_the_workflows_own_schema() -> None:
    own = {
        "type": "object",
        "properties": {"a": {"x-mcp-header": "A", "type": "string"}},
        "additionalProperties": False,
    }
    assert input_schema(own) == (own, False)
    assert input_schema(None) == ({"type": "object"}, False)
    assert input_schema({"required": ["a"]}) == ({"type": "object", "required": ["a"]}, False)


async def test_lists_show_the_runs_and_waits_of_this_config_only(tmp_path: Path) -> None:
    text = "name: %s\nworkflows: {w: {steps: [{id: s, type: wait_for_input, message: m}]}}"
    store = tmp_path / "runs.db"
    async with (
        Engine.open(store, config=load_text(text % "one")) as one,
        Engine.open(store, config=load_text(text % "other")) as other,
    ):
        both = Desk(one, CONTROLS, hold=60), Desk(other, CONTROLS, hold=60)
        runs = [(await each.call("w", {}, Caller())).data["task_id"] for each in both]
        for each, run in zip(both, runs, strict=True):
            listed = (await each.call("list_workflow_runs", {}, Caller())).data["runs"]
            assert [found["task_id"] for found in listed] == [run]
            waits = (await each.call("list_waiting_steps", {}, Caller())).data["waiting_for"]
            assert [found["run_task_id"] for found in waits] == [run]


async def test_an_answer_that_comes_late_is_none_to_what_only_a_person_may_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = """\
workflows:
  w:
    steps:
      - {id: first, type: wait_for_input, message: one, schema: {type: object}}
      - {id: person, type: wait_for_input, human_only: true, message: two, schema: {type: object}}
"""
    looked = controls.wait_named
    async with desk(text) as made:
        engine = made.engine

        async def overtaken(engine: Engine, task_id: str, *more: Any) -> WaitView:
            """Another client answers, and the run goes on to its next wait."""
            found = await looked(engine, task_id, *more)
            await engine.resume(found.id, Answer({"by": "another"}))
            await engine.wait(found.root_id, 30)
            return found

        run = await engine.wait((await engine.start("w")).id, 30)
        monkeypatch.setattr(controls, "wait_named", overtaken)
        late = await made.call("resume_workflow", {"task_id": run.id, "answer": {"by": "model"}}, Caller())
        assert late.data["error"]["code"] == "AF-WAIT-CONFLICT"
        assert [view.step for view in await engine.waits(run.id)] == ["person"]


async def test_who_waits_for_a_person_hears_of_the_next_question_at_once() -> None:
    text = """\
workflows:
  w:
    steps:
      - {id: one, type: wait_for_input, human_only: true, message: one}
      - {id: two, type: wait_for_input, human_only: true, message: two}
"""
    held: list[str | None] = []
    async with desk(text, beat=0.01) as made:
        engine = made.engine
        run = await engine.wait((await engine.start("w")).id, 30)

        async def progress(message: str | None) -> None:
            (view,) = await engine.waits(run.id)
            held.append(view.step)
            assert view.step == "one"
            await engine.resume(view.id, Answer("yes"))
            await engine.wait(run.id, 30)

        told = await made.call("wait_workflow", {"task_id": run.id, "timeout_s": 50}, Caller(progress=progress))
    assert [each["step"] for each in told.data["waiting_for"]] == ["two"]
    assert held == ["one"]
