"""What goes into a run and between its steps: input, results by step, shared keys, and the views of it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agentflow.config.result import EnvVar
from agentflow.definition.models import SharedKey
from agentflow.errors import InputError
from agentflow.steps import set_, tool_call, wait_for_input
from agentflow.steps.contract import Skip
from tests.engine.hands import Gate
from tests.engine.lab import LIMIT, Lab

pytestmark = pytest.mark.anyio

SCHEMA = {
    "type": "object",
    "properties": {"doc_id": {"type": "string"}, "class_id": {"type": "string"}},
    "required": ["doc_id"],
}


@pytest.mark.case("D-IN-1", "D-IN-2")
@pytest.mark.parametrize(
    ("given", "named"), [({}, "doc_id"), ({"doc_id": 3}, "string"), ([], "object"), ("x", "object")]
)
async def test_input_that_does_not_fit_is_refused_and_makes_no_run(lab: Lab, given: Any, named: str) -> None:
    async with lab.open(lab.workflow(set_("a", value=1), input_schema=SCHEMA)) as engine:
        with pytest.raises(InputError, match="validation failed") as caught:
            await engine.start("main", given)
        assert named in str(caught.value)
        assert not await engine.list()


@pytest.mark.case("D-IN-2")
async def test_valid_input_is_what_steps_see_and_the_run_works(lab: Lab) -> None:
    gate = Gate()
    steps = [lab.call("a", gate), set_("b", value="{input.doc_id}")]
    async with lab.open(lab.workflow(*steps, input_schema=SCHEMA)) as engine:
        run = await engine.start("main", {"doc_id": "d1"})
        assert run.state == "working"
        gate.open()
        assert (await lab.finish(engine, run)).output == "d1"


@pytest.mark.case("D-IN-2")
@pytest.mark.parametrize("given", [{"any": [1, {"thing": None}]}, [1, 2], "text", 7, True])
async def test_without_a_schema_any_input_is_fine(lab: Lab, given: Any) -> None:
    done = await lab.run(set_("a", value="{input}"), input=given)
    assert (done.state, done.output, done.run.input) == ("completed", given, given)


@pytest.mark.case("D-IN-3")
async def test_distris_context_finds_input_keys_without_copying_them_to_the_root(lab: Lab) -> None:
    """A divergence: input stays under `input`, and `{context.k}` looks there first."""
    steps = [set_("a", value="{context.doc_id}"), set_("b", value="{context.a}")]
    async with lab.open(lab.workflow(*steps, dialect="distri")) as engine:
        run = await engine.start("main", {"doc_id": "d1", "a": "from input"})
        done = await lab.finish(engine, run)
    assert (done.results["a"], done.output) == ("d1", "from input")
    assert done.run.input == {"doc_id": "d1", "a": "from input"}


@pytest.mark.case("D-IN-4")
async def test_input_named_like_a_namespace_leaves_the_namespaces_alone(lab: Lab) -> None:
    given = {"steps": 1, "env": 1, "input": 1, "run": 1, "context": 1, "with": 1}
    done = await lab.run(
        set_("a", value="result"), set_("b", values=["{steps.a}", "{input.steps}", "{run.workflow}"]), input=given
    )
    assert (done.state, done.output) == ("completed", ["result", 1, "main"])


@pytest.mark.case("D-IN-5")
async def test_plain_text_is_the_input_or_a_clear_error_where_an_object_is_asked_for(lab: Lab) -> None:
    assert (await lab.run(set_("a", value="got {input}"), input="hello")).output == "got hello"
    async with lab.open(lab.workflow(set_("a", value=1), input_schema=SCHEMA)) as engine:
        with pytest.raises(InputError, match='"hello" is not of type "object"'):
            await engine.start("main", "hello")


@pytest.mark.case("D-DATA-1")
async def test_each_step_sees_the_mapping_with_its_references_resolved(lab: Lab) -> None:
    seen: list[Any] = []

    def see(**given: Any) -> dict[str, Any]:
        seen.append(given)
        return {"content": [1, {"two": 2}], "score": 0.5}

    done = await lab.run(
        tool_call("fetch", tool_name="see", with_={"doc": "{input.doc_id}"}),
        tool_call("process", tool_name="see", with_={"text": "{steps.fetch.content}", "of": "{input.class_id}"}),
        tool_call("save", tool_name="see", with_={"score": "{steps.process.score}", "name": "{input.doc_id}.json"}),
        input={"doc_id": "d1", "class_id": "c1"},
        options={"tools": {"see": see}},
    )
    assert done.state == "completed"
    assert seen == [
        {"doc": "d1"},
        {"text": [1, {"two": 2}], "of": "c1"},
        {"score": 0.5, "name": "d1.json"},
    ]


@pytest.mark.case("D-DATA-2")
async def test_a_step_without_a_mapping_sees_input_steps_and_env_by_its_context(lab: Lab) -> None:
    async def look(ctx: Any) -> dict[str, Any]:
        return {"input": ctx.input, "steps": dict(ctx.steps), "env": dict(ctx.env)}

    config = {"env": [EnvVar("REGION", public=True, default="emea"), EnvVar("TOKEN", default="secret")]}
    done = await lab.run(set_("first", value=1), lab.call("look", look), input={"x": 1}, options={"config": config})
    assert done.output == {"input": {"x": 1}, "steps": {"first": 1}, "env": {"REGION": "emea"}}


@pytest.mark.case("D-DATA-4")
async def test_three_parallel_fetches_are_merged_with_their_content_unchanged(lab: Lab) -> None:
    content: dict[str, Any] = {"a": [1, "two", None], "b": [{"deep": [[]]}], "c": []}

    async def fetch(name: str) -> Any:
        return {"items": content[name]}

    steps = [lab.call(name, fetch, input={"name": name}, execution="parallel") for name in content]
    merge = set_("merge", values={name: f"{{steps.{name}.items}}" for name in content})
    assert (await lab.run(*steps, merge)).output == content


@pytest.mark.case("D-DATA-7")
async def test_a_mapping_and_the_tools_own_input_both_resolve_their_references(lab: Lab) -> None:
    def tool(**given: Any) -> Any:
        return given

    done = await lab.run(
        set_("a", value={"x": 7}),
        tool_call(
            "t", tool_name="tool", input={"own": "{steps.a.x}", "mapped": "{with.m}"}, with_={"m": "{steps.a.x}"}
        ),
        options={"tools": {"tool": tool}},
    )
    assert done.output == {"own": 7, "mapped": 7}


def shared(**keys: SharedKey) -> dict[str, Any]:
    return {"context": keys}


@pytest.mark.case("D-RUN-6")
async def test_a_context_keeps_its_first_value_and_what_steps_add(lab: Lab) -> None:
    first = {"initial": SharedKey(default=True), "step1_done": SharedKey(), "step2_done": SharedKey()}
    keys = {name: f"{{context.{name}}}" for name in first}
    done = await lab.run(
        set_("step1", value=1, update={"step1_done": True}),
        set_("step2", value=2, update={"step2_done": True}),
        output=keys,
        **shared(**first),
    )
    assert done.output == {"initial": True, "step1_done": True, "step2_done": True}


@pytest.mark.case("A-5")
async def test_a_step_reads_what_an_earlier_one_wrote(lab: Lab) -> None:
    done = await lab.run(
        set_("write", value=1, update={"key": "{input.v}"}),
        set_("read", value="{context.key}"),
        input={"v": 5},
        **shared(key=SharedKey()),
    )
    assert (done.state, done.output) == ("completed", 5)


@pytest.mark.case("A-17")
async def test_a_slow_step_that_skips_itself_does_not_undo_its_neighbours_write(lab: Lab) -> None:
    written = anyio.Event()

    async def slow() -> Skip:
        with anyio.fail_after(LIMIT):
            await written.wait()
        return Skip("nothing to do")

    async def write() -> str:
        written.set()
        return "value"

    done = await lab.run(
        lab.call("slow", slow, execution="parallel"),
        lab.call("writer", write, execution="parallel", update={"key": "{steps.writer}"}),
        set_("read", value="{context.key}"),
        **shared(key=SharedKey()),
    )
    assert (done.state, done.states["slow"], done.output) == ("completed", "canceled", "value")
    [skipped] = [event.data for event in done.events if event.type == "step_skipped"]
    assert skipped == {"reason": "condition", "message": "nothing to do"}


@pytest.mark.case("A-18")
async def test_two_parallel_writers_of_different_keys_both_survive(lab: Lab) -> None:
    """Invariant 9: shared data only through declared reducers, results by step."""
    meet, both = [0], anyio.Event()

    async def write() -> int:
        meet[0] += 1
        if meet[0] == 2:
            both.set()
        with anyio.fail_after(LIMIT):
            await both.wait()
        return meet[0]

    done = await lab.run(
        lab.call("x", write, execution="parallel", update={"x": "from x", "all": "x", "sum": 1}),
        lab.call("y", write, execution="parallel", update={"y": "from y", "all": "y", "sum": 2}),
        set_("read", values={name: f"{{context.{name}}}" for name in ("x", "y", "all", "sum")}),
        **shared(
            x=SharedKey(),
            y=SharedKey(),
            all=SharedKey(default=[], reducer="append"),
            sum=SharedKey(default=0, reducer="add"),
        ),
    )
    assert done.output["x"] == "from x"
    assert done.output["y"] == "from y"
    assert sorted(done.output["all"]) == ["x", "y"]
    assert done.output["sum"] == 3
    assert set(done.results) == {"x", "y", "read"}


@pytest.mark.case("D-SER-10")
async def test_id_steps_status_and_context_of_a_run_are_read_without_looking_into_each_other(lab: Lab) -> None:
    """Their run is one flat JSON, which would have to be written whole at each step. Ours is rows, and each of what
    that JSON holds is one call away from the run's id: none is nested in another.
    """
    steps = [set_("a", value=1), wait_for_input("w", message="?")]
    async with lab.open(lab.workflow(*steps)) as engine:
        run_id = (await lab.finish(engine, await engine.start("main", {"x": 1}))).run.id
        run = await engine.get(run_id)
        rows = await engine.steps(run_id)
        shown = {
            "id": run.id,
            "status": run.state,
            "context": {
                "input": run.input,
                "steps": {row.address: await engine.result(run_id, row.address) for row in rows},
            },
            "steps": {row.address: row.state for row in rows},
        }
    assert shown == {
        "id": run_id,
        "status": "input-required",
        "context": {"input": {"x": 1}, "steps": {"a": 1, "w": None}},
        "steps": {"a": "completed", "w": "input-required"},
    }
