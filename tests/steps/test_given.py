"""Functions as objects in python steps, and wrong values in constructors: told at once, in the user's words."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from agentflow import Engine, Workflow, config_from
from agentflow import steps as constructors
from agentflow.definition.models import Body, RetryPolicy, Step
from agentflow.errors import AgentflowError, DefinitionError
from agentflow.steps import for_each, parallel, python, recur, saga, schedule, sequence, set_, until, while_
from agentflow.steps.building import Common
from tests.steps import given_functions
from tests.steps.given_functions import double

ONE = set_("one", value=1)


def loaded(**fields: Any) -> Workflow:
    return Workflow(id="w", steps=(python("a", function=double, input={"n": 21}),), **fields)


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{}, {"skills": ["native:python"]}, {"python_modules": ["json"]}])
async def test_a_function_given_as_an_object_needs_no_module_list_and_no_skill(options: dict[str, Any]) -> None:
    with anyio.fail_after(60):
        async with Engine.open(":memory:", config=config_from([loaded()], **options)) as engine:
            run = await engine.wait((await engine.start("w")).id)
    assert (run.state, run.output) == ("completed", 42)
    assert config_from([loaded()], **options).warnings == []


@pytest.mark.anyio
async def test_a_workflow_that_is_started_as_an_object_brings_its_functions() -> None:
    inner = for_each("each", in_=[1, 2], steps=[sequence("s", steps=[python("a", function=double, input={"n": 3})])])
    other = Workflow(id="other", steps=(python("a", function="tests.steps.given_functions:double"),))
    with anyio.fail_after(60):
        async with Engine.open(":memory:", config=config_from([other])) as engine:
            denied = await engine.wait((await engine.start("other")).id)
            run = await engine.wait((await engine.start(Workflow(id="w", steps=(inner,)))).id)
    assert denied.failure is not None
    assert denied.failure.code == "AF-SKILL-MISSING"
    assert run.output == [{"s": {"a": 6}}, {"s": {"a": 6}}]


@pytest.mark.anyio
async def test_after_a_restart_the_same_workflow_brings_its_function_again(tmp_path: Any) -> None:
    waiting = Workflow(
        id="w",
        steps=(
            constructors.wait_for_input("ask", message="?"),
            python("a", function=double, input={"n": "{steps.ask}"}),
        ),
    )
    with anyio.fail_after(60):
        async with Engine.open(tmp_path / "runs.db", config=config_from([waiting])) as engine:
            run = await engine.start("w")
            await engine.wait(run.id)
        again = config_from([Workflow.model_construct(**dict(waiting))])
        async with Engine.open(tmp_path / "runs.db", config=again) as engine:
            await engine.resume(run.id, constructors_answer(4))
            done = await engine.wait(run.id)
    assert done.output == 8


def constructors_answer(value: object) -> Any:
    from agentflow import Answer  # noqa: PLC0415  only here

    return Answer(value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda: 1, "a lambda has no name"),
        (given_functions.made(), '"inner" is defined inside of another function'),
        (functools.partial(double, 2), "a functools.partial has no name"),
        (given_functions.Box().look, '"Box.look" is a method of an object'),
        (given_functions.Box, '"Box" is a class, not a function'),
        (functools.wraps(double)(lambda: 1), '"tests.steps.given_functions:double" is another object'),
    ],
)
def test_a_function_that_no_other_process_finds_is_refused_as_what_it_is(function: Any, says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        python("a", function=function)
    [problem] = caught.value.problems
    assert problem.message.startswith(
        f'step "a": {says}, so no other process could find it again; define it in a module'
    )


def test_what_is_no_function_is_told_without_the_rest() -> None:
    wrong: Any = 5
    with pytest.raises(DefinitionError) as caught:
        python("a", function=wrong)
    assert str(caught.value) == 'step "a": function= takes a function or its name, not an object of int'


def test_a_function_of_the_script_itself_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    own: dict[str, Any] = {"__name__": "__main__"}
    exec("def local(): return 1", own)
    monkeypatch.setattr(sys.modules["__main__"], "local", own["local"], raising=False)
    assert python("a", function=own["local"]).config == {"function": "__main__:local"}


HOLDERS: list[Callable[[Any], Any]] = [
    lambda steps: for_each("c", in_=[1], steps=steps),
    lambda steps: while_("c", condition="true", max_iterations=1, steps=steps),
    lambda steps: until("c", condition="true", max_iterations=1, steps=steps),
    lambda steps: schedule("c", after="1s", steps=steps),
    lambda steps: recur("c", interval="1s", max=1, steps=steps),
    lambda steps: parallel("c", steps=steps),
    lambda steps: sequence("c", steps=steps),
    lambda steps: saga("c", steps=steps),
    lambda steps: sequence("c", steps=[ONE], on_success=steps, on_failure=steps, finally_=steps),
    lambda steps: Workflow(id="w", steps=steps, on_success=steps, on_failure=steps, finally_=steps),
]


@pytest.mark.parametrize("make", HOLDERS)
def test_one_step_stands_for_a_list_of_one(make: Callable[[Any], Any]) -> None:
    made = make(ONE)
    assert made == make([ONE]) == make((ONE,))
    if isinstance(made, Step):
        assert made.bodies["steps"] == Body(steps=(ONE,))


@pytest.mark.parametrize("steps", ["text", 5, [1], {"a": 1}, [None], None])
def test_what_is_no_step_is_told_in_one_line(steps: Any) -> None:
    anything: Any = steps
    if steps is not None:
        with pytest.raises(DefinitionError) as caught:
            for_each("f", in_=[1], steps=steps)
        assert caught.value.problems[0].message == '"steps" of step "f" (for_each) takes a step or a list of steps'
    with pytest.raises(DefinitionError) as caught:
        Workflow(id="w", steps=anything)
    assert all("instance" not in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"name": "string"}, {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}),
        ({"n": "integer?"}, {"type": "object", "properties": {"n": {"type": "integer"}}}),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}}),
    ],
)
def test_a_workflows_input_is_written_as_in_files(given: dict[str, Any], schema: dict[str, Any]) -> None:
    assert Workflow(id="w", input=given, steps=ONE).input_schema == schema


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"input": {"n": "strng"}}, 'workflow "w": input "n" has no known type: "strng"'),
        ({"input": {"n": 5}}, 'workflow "w": input "n" needs a type or a mapping'),
        ({"input": 5}, 'workflow "w": input is a mapping of names and types'),
        ({"input": {"n": "string"}, "input_schema": {}}, 'workflow "w": give either input or input_schema'),
        ({"max_parallel": 0}, '"max_parallel" of workflow "w" must be at least 1, not 0'),
        ({"inputs": {}}, 'workflow "w" has no field "inputs"'),
    ],
)
def test_a_wrong_field_of_a_workflow_is_told_in_our_words(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Workflow(id="w", steps=ONE, **fields)
    [problem] = caught.value.problems
    assert problem.message.startswith(says)
    assert problem.code == "AF-STEP-INVALID"


def test_a_policy_that_cannot_be_is_told_in_our_words() -> None:
    with pytest.raises(DefinitionError, match=r'"max_attempts" of RetryPolicy must be at least 1, not 0'):
        RetryPolicy(max_attempts=0)


CONSTRUCTORS = [
    one
    for name in constructors.__all__
    if inspect.isfunction(one := getattr(constructors, name)) and inspect.signature(one).return_annotation == "Step"
]
WRONG: tuple[Any, ...] = (5, "{", [1], {"x": {1}}, object(), 1.5, None, True, b"x", [[1]])
COMMON = tuple(Common.__annotations__)
RIGHT: dict[str, Any] = {
    "steps": [ONE], "body": ONE, "cases": [("true", ONE)], "function": "json:loads", "type": "set", "condition": "true",
    "expression": "true", "until": "true", "max_iterations": 1, "in_": [1], "action": "text",
}  # fmt: skip


@pytest.mark.parametrize("make", CONSTRUCTORS, ids=lambda make: make.__name__)
def test_no_wrong_value_of_any_field_shows_an_error_of_the_library(make: Callable[..., Any]) -> None:
    parameters = [
        p for p in inspect.signature(make).parameters.values() if p.kind is not p.VAR_KEYWORD and p.name != "id"
    ]
    needed = {p.name: RIGHT.get(p.name, "x") for p in parameters if p.default is p.empty}
    common: tuple[str, ...] = (
        COMMON if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(make).parameters.values()) else ()
    )
    names: list[str] = [*(p.name for p in parameters), *common]
    for name in names:
        for wrong in WRONG:
            told = said(functools.partial(make, "a", **{**needed, name: wrong}))
            for part in ("pydantic", "type=", "validation error", "instance of", "Input should"):
                assert part not in told, (name, wrong)


def said(make: Callable[[], Step]) -> str:
    """Return what is said about a step; anything but our own errors fails the test."""
    try:
        config_from([Workflow(id="w", steps=[make()])])
    except AgentflowError as error:
        return str(error)
    return ""
