"""Shared keys: declared, written with a step's completion, folded by a reducer, read as `{context.…}`."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.errors import DefinitionError
from agentflow.steps import for_each, saga, sequence, set_
from tests.engine.hands import Fails, same
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio


async def folded(lab: Lab, reducer: str, default: Any, *values: Any) -> Any:
    steps = [set_(f"s{n}", value=value, update={"k": f"{{steps.s{n}}}"}) for n, value in enumerate(values)]
    done = await lab.run(*steps, context={"k": {"default": default, "reducer": reducer}}, output="{context.k}")
    assert done.state == "completed", done.errors
    return done.output


@pytest.mark.case("F-M-1")
@pytest.mark.parametrize(
    ("reducer", "default", "values", "result"),
    [
        ("last", None, [1, 2, 3], 3),
        ("append", [], [1, [2], 3], [1, [2], 3]),
        ("append", None, ["a"], ["a"]),
        ("add", 0, [1, 2, 3.5], 6.5),
        ("add", None, [5, 6], 11),
        ("add", "", ["a", "b"], "ab"),
        ("add", [], [[1], [2]], [1, 2]),
        ("union", [], [["a", "b"], ["b", "c"], "c", "d"], ["a", "b", "c", "d"]),
        ("merge", {}, [{"a": 1}, {"b": 2}, {"a": 3}], {"a": 3, "b": 2}),
    ],
)
async def test_updates_are_folded_by_the_keys_reducer(
    lab: Lab, reducer: str, default: Any, values: list[Any], result: Any
) -> None:
    assert await folded(lab, reducer, default, *values) == result


@pytest.mark.case("F-M-1")
async def test_a_union_takes_the_same_update_any_number_of_times_in_any_order(lab: Lab) -> None:
    """Floxide's merge laws: folding twice changes nothing, and the order of writers only changes the order of items."""
    once = await folded(lab, "union", [], ["a", "b"], ["c"])
    assert await folded(lab, "union", [], ["a", "b"], ["a", "b"], ["c"], ["c"]) == once
    assert sorted(await folded(lab, "union", [], ["c"], ["a", "b"])) == sorted(once)
    nested = await folded(lab, "union", [], *[[x] for x in await folded(lab, "union", [], ["b"], ["c"])])
    assert await folded(lab, "union", [], ["a"], nested) == await folded(lab, "union", [], ["a", "b"], ["c"])


@pytest.mark.case("F-M-1")
async def test_a_function_of_the_config_can_be_the_reducer(lab: Lab) -> None:
    def by_id(old: Any, new: Any) -> Any:
        """Keep one event an id, sorted by time and id: Floxide's EventLog."""
        events: list[dict[str, Any]] = [*(old or []), new]
        return sorted({e["id"]: e for e in events}.values(), key=lambda e: (e["at"], e["id"]))

    lab.functions["lab:by_id"] = by_id
    events = [{"id": "b", "at": 2}, {"id": "a", "at": 1}, {"id": "b", "at": 2}, {"id": "c", "at": 1}]
    assert [e["id"] for e in await folded(lab, "lab:by_id", [], *events)] == ["a", "c", "b"]


@pytest.mark.case("F-M-2")
async def test_a_log_of_updates_is_appended_to_and_read_in_order(lab: Lab) -> None:
    """Floxide's EventLog: append, iterate, apply all to a state and to its default."""
    apply = lab.call("sum", sum, input={"iterable": "{context.log}"})
    steps = [set_(f"s{n}", value=n, update={"log": n}) for n in (3, 1, 2)]
    done = await lab.run(
        *steps,
        apply,
        context={"log": {"default": [], "reducer": "append"}},
        output={"log": "{context.log}", "sum": "{steps.sum}"},
    )
    assert done.output == {"log": [3, 1, 2], "sum": 6}
    empty = await lab.run(apply, context={"log": {"default": [], "reducer": "append"}})
    assert empty.output == 0


async def test_a_key_is_its_default_until_somebody_writes_it(lab: Lab) -> None:
    done = await lab.run(
        set_("a", value="{context.n}"), set_("b", value=1, update={"n": 7}), output=["{steps.a}", "{context.n}"],
        context={"n": {"default": 5}},
    )  # fmt: skip
    assert done.output == [5, 7]


async def test_only_declared_keys_can_be_written(lab: Lab) -> None:
    with pytest.raises(DefinitionError) as refused:
        await lab.run(set_("a", value=1, update={"n": 1}))
    assert "n" in refused.value.problems[0].message


async def test_parallel_items_all_write_and_nothing_is_lost(lab: Lab) -> None:
    body = [lab.call("x", same, input={"n": "{item}"}, update={"found": "{steps.x}", "count": 1})]
    context: dict[str, Any] = {"found": {"default": [], "reducer": "append"}, "count": {"default": 0, "reducer": "add"}}
    loop = for_each("each", in_=list(range(20)), steps=body)
    done = await lab.run(loop, context=context, output={"found": "{context.found}", "count": "{context.count}"})
    assert (sorted(done.output["found"]), done.output["count"]) == (list(range(20)), 20)


async def test_a_failed_or_skipped_step_writes_nothing_and_a_retried_one_writes_once(lab: Lab) -> None:
    steps = (
        lab.call("bad", Fails(), on_error="continue", update={"log": "bad"}),
        set_("skipped", value=1, if_=False, update={"log": "skipped"}),
        lab.call("again", Fails(2), retry=3, update={"log": "again"}),
    )
    done = await lab.run(*steps, context={"log": {"default": [], "reducer": "append"}}, output="{context.log}")
    assert done.output == ["again"]


async def test_an_update_that_does_not_fit_its_reducer_fails_the_step(lab: Lab) -> None:
    done = await lab.run(set_("a", value=1, update={"n": "text"}), context={"n": {"default": 5, "reducer": "add"}})
    assert (done.state, done.states["a"]) == ("failed", "failed")


async def test_containers_write_too_when_they_complete(lab: Lab) -> None:
    box = sequence("box", steps=[set_("x", value=3)], update={"n": "{steps.box.x}"})
    assert (await lab.run(box, context={"n": {}}, output="{context.n}")).output == 3


async def test_compensated_steps_leave_their_updates(lab: Lab) -> None:
    """Updates are facts of completed steps: compensation may write others, it takes none back."""
    undo = set_("undo", value=1, update={"log": "undo"})
    body = [set_("a", value=1, update={"log": "a"}, compensate=undo), lab.call("b", Fails())]
    trip = saga("trip", steps=body, on_error="continue")
    done = await lab.run(trip, context={"log": {"default": [], "reducer": "append"}}, output="{context.log}")
    assert done.output == ["a", "undo"]
