"""What `{run.…}` and `{context.…}` show, and that only what a template names is made."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.engine.plan import parts
from agentflow.expressions import Parts
from agentflow.steps import sequence, set_, step
from agentflow.steps.contract import Context
from tests.engine.lab import Lab
from tests.steps.http_server import Answer, serve

pytestmark = pytest.mark.anyio

MANY = 60


class Made:
    """Counts the values that are made of runs and contexts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        for kind in (parts.RunParts, parts.ContextParts, parts._StepParts):  # pyright: ignore[reportPrivateUsage]  counted
            self._count(kind, monkeypatch)

    def _count(self, kind: type[Parts], monkeypatch: pytest.MonkeyPatch) -> None:
        make = kind.__getitem__

        def counted(of: Any, name: str) -> Any:
            self.names.append(name)
            return make(of, name)

        monkeypatch.setattr(kind, "__getitem__", counted)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{run.id}", ["id"]),
        ("of {run.workflow}", ["workflow"]),
        ("{run.steps.s0.state}", ["steps", "s0"]),
        ("{$.run.steps.s0.state}", ["steps", "s0"]),
        ("{context.n}", ["n"]),
        ("{$.context.n}", ["n"]),
        ("{steps.s0}", []),
        ("{input.x}", []),
    ],
)
async def test_only_the_values_that_a_template_names_are_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, template: str, names: list[str]
) -> None:
    steps = [set_(f"s{n}", value=n) for n in range(MANY)]
    made = Made(monkeypatch)
    context = {"n": {"default": 1}, "other": {"default": 2}}
    done = await lab.run(*steps, set_("last", value=template), input={"x": 1}, context=context)
    assert done.state == "completed"
    assert sorted(set(made.names)) == sorted(names)
    assert len(made.names) <= 2 * len(names)  # JSONPath looks whether a value is there before it takes it


async def test_only_the_values_that_a_condition_names_are_made(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [set_(f"s{n}", value=n) for n in range(MANY)]
    made = Made(monkeypatch)
    condition = 'run.steps.s0.state == "completed" && context.n == 1 && run.steps.s1.state == "completed"'
    done = await lab.run(*steps, set_("last", value=1, if_=condition), context={"n": {"default": 1}})
    assert done.output == 1
    assert sorted(made.names) == ["n", "s0", "s1", "steps", "steps"]


async def test_a_run_as_a_whole_is_plain_data(lab: Lab) -> None:
    done = await lab.run(
        set_("a", value=1),
        set_("whole", value="{run}"),
        set_("steps", value=["{run.steps}", "{$.run}", "{$.run.steps[?(@.state == 'completed')].state}", "{context}"]),
        set_("text", value="{run.steps.a} {context}"),
        context={"n": {"default": 5}},
    )
    completed = {"state": "completed", "reason": None, "error": None}
    whole = done.results["whole"]
    assert whole["id"] == done.run.id
    assert {name: value for name, value in whole.items() if name != "id"} == {
        "workflow": "main", "entry_point": None, "feedback": None, "message": None, "state": "working",
        "steps": {"a": completed, "whole": {**completed, "state": "working"}},
    }  # fmt: skip
    first, run, states, context = done.results["steps"]
    assert first["a"] == run["steps"]["a"] == completed
    assert (states, context) == (["completed", "completed"], {"n": 5})
    assert done.output == '{"state":"completed","reason":null,"error":null} {"n":5}'


async def test_the_last_response_is_found_at_the_top_and_inside(lab: Lab) -> None:
    skills = {"native:network": {"private": True}}
    call = step("call", "api_call", {"url": "{input.url}"})
    for called in (call, sequence("box", steps=[call])):
        seen = set_("seen", value=["{context.last_response.a}", "{context}"])
        async with serve(lambda _: Answer(body={"a": 1})) as server:
            options = {"config": {"skills": skills}}
            done = await lab.run(called, seen, input={"url": server.url}, options=options)
        assert done.output == [1, {"last_response": {"a": 1}}]


async def test_the_results_that_a_function_reads_are_made_one_by_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    made = parts.RunParts.__getitem__

    def counted(of: Any, name: str) -> Any:
        read.append(name)
        return made(of, name)

    def look(ctx: Context) -> Any:
        return ctx.steps["s3"]

    monkeypatch.setattr(parts.RunParts, "__getitem__", counted)
    done = await lab.run(*[set_(f"s{n}", value=n) for n in range(MANY)], lab.call("look", look))
    assert (done.output, read) == (3, [])
