"""Order: ids used twice, unknown dependencies, circles, steps that never run; all in linear time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.definition.check import EnvInfo, check_workflow
from agentflow.definition.check.reach import before, components, sort, successors
from agentflow.definition.models import Body, Step, Workflow
from agentflow.definition.order import order
from agentflow.errors import Problem
from agentflow.steps import registry

MANY = pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])


def step(name: str, *after: str, **fields: Any) -> Step:
    """Make a step that does nothing."""
    fields.setdefault("type", "set")
    return Step(id=name, depends_on=after, **fields)


def check(*steps: Step, **fields: Any) -> list[Problem]:
    """Return what is wrong with a workflow of these steps."""
    return check_workflow(Workflow(id="w", steps=steps, **fields), registry.find, env=EnvInfo())


def only(problems: list[Problem], code: str) -> Problem:
    """Return the one problem there is."""
    assert [problem.code for problem in problems] == [code]
    return problems[0]


@pytest.mark.case("D-CYC-1", "A-9")
def test_a_circle_is_told_with_its_members_in_order() -> None:
    problem = only(check(step("a", "c"), step("b", "a"), step("c", "b")), "AF-GRAPH-CYCLE")
    assert "Circular dependency detected: a → c → b → a" in problem.message
    assert problem.label == "and c depends on b, b depends on a"


@pytest.mark.case("D-CYC-1")
def test_a_step_that_depends_on_itself_is_a_circle() -> None:
    problem = only(check(step("a", "a")), "AF-GRAPH-CYCLE")
    assert "Circular dependency detected: a → a" in problem.message


@pytest.mark.case("D-CYC-1", "A-9")
def test_an_unknown_dependency_does_not_exist() -> None:
    problem = only(check(step("x", "y")), "AF-GRAPH-DEPENDS")
    assert problem.message == "Step 'x' depends on 'y' which does not exist"


@pytest.mark.case("A-9")
def test_an_unknown_member_of_depends_on_any_does_not_exist() -> None:
    problem = only(check(step("a"), step("x", depends_on_any=("a", "y"))), "AF-GRAPH-DEPENDS")
    assert problem.message == "Step 'x' depends on 'y' which does not exist"
    assert problem.pointer == "/x/depends_on_any/1"


@pytest.mark.case("A-9")
def test_a_circle_through_depends_on_any_is_told() -> None:
    problem = only(check(step("a", "b"), step("b", depends_on_any=("a",))), "AF-GRAPH-CYCLE")
    assert "a → b → a" in problem.message


@pytest.mark.case("D-CYC-1", "A-9")
def test_a_valid_diamond_has_no_problem() -> None:
    assert check(step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")) == []


def test_a_forward_dependency_names_the_implicit_edges_that_close_the_circle() -> None:
    problem = only(check(step("a", "c"), step("b"), step("c")), "AF-GRAPH-CYCLE")
    assert "a → c → b → a" in problem.message
    assert problem.label is not None
    assert "c waits for b because it stands below it (implicit)" in problem.label


def test_only_true_members_are_named() -> None:
    problem = only(check(step("first"), step("a", "b"), step("b", "a"), step("last", "b")), "AF-GRAPH-CYCLE")
    assert "a → b → a" in problem.message
    assert "first" not in problem.message
    assert "last" not in problem.message


def test_separate_circles_are_told_each() -> None:
    problems = check(step("a", "b"), step("b", "a"), step("c", "d"), step("d", "c"))
    assert [problem.code for problem in problems] == ["AF-GRAPH-CYCLE", "AF-GRAPH-CYCLE"]


@pytest.mark.case("D-CYC-3", "A-30")
def test_an_id_used_twice_is_refused() -> None:
    problem = only(check(step("a"), step("b"), step("a")), "AF-GRAPH-DUPLICATE")
    assert problem.message == 'two steps have the id "a"'


def test_ids_may_repeat_in_different_containers() -> None:
    box = Body(steps=(step("a"),))
    assert check(step("a"), step("box", type="sequence", bodies={"steps": box})) == []


def test_branches_of_one_condition_share_their_names() -> None:
    branches = {"if_true": Body(steps=(step("a"),)), "if_false": Body(steps=(step("a"),))}
    problem = only(
        check(step("c", type="condition", config={"expression": True}, bodies=branches)), "AF-GRAPH-DUPLICATE"
    )
    assert problem.message == 'two steps have the id "a"'


def test_a_dependency_into_a_container_names_the_container() -> None:
    box = step("box", type="parallel", bodies={"steps": Body(steps=(step("inner"),))})
    problem = only(check(box, step("x", "inner")), "AF-GRAPH-DEPENDS")
    assert problem.message.startswith("Step 'x' depends on 'inner' which does not exist")
    assert problem.label == '"inner" is inside "box"'
    assert problem.hint == "depends_on: [box]"


def test_a_dependency_out_of_a_container_names_the_container() -> None:
    box = step("box", type="parallel", bodies={"steps": Body(steps=(step("inner", "x"),))})
    problem = only(check(step("x"), box), "AF-GRAPH-DEPENDS")
    assert problem.label == '"x" stands outside of "box"'


def test_what_comes_after_an_end_is_told_as_a_warning() -> None:
    problem = only(check(step("stop", type="end"), step("x"), step("y")), "AF-GRAPH-UNREACHABLE")
    assert problem.severity == "warning"
    assert '"x" (and 1 more) never runs' in problem.message


def test_what_comes_after_a_conditional_end_may_run() -> None:
    stop = Step.model_validate({"id": "stop", "type": "end", "if": "{input.x}"})
    assert check(stop, step("x")) == []


def test_step_ids_have_a_form() -> None:
    assert only(check(step("a b")), "AF-STEP-ID").message.startswith('"a b" is no step id')
    assert check(step("a b"), dialect="distri") == []


@pytest.mark.case("D-CYC-2")
@MANY
def test_a_chain_of_very_many_steps_is_checked_without_recursion(count: int) -> None:
    steps = [step("s0")]
    steps += [step(f"s{n}", f"s{n - 1}", config={"values": f"{{steps.s{n - 1}}}"}) for n in range(1, count)]
    assert check(*steps) == []


@pytest.mark.case("D-CYC-2")
@MANY
def test_a_circle_of_very_many_steps_is_found_and_told_briefly(count: int) -> None:
    problem = only(check(*(step(f"s{n}", f"s{(n + 1) % count}") for n in range(count))), "AF-GRAPH-CYCLE")
    assert "Circular dependency detected: s0 → s1 → s2" in problem.message
    assert f"({count - 8:,} more)" in problem.message


@pytest.mark.parametrize("count", [5_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_wide_fan_stays_linear(count: int) -> None:
    """All pairs of the two fans would be more than memory holds."""
    fan = [step(f"s{n}", execution="parallel") for n in range(count)]
    again = [step(f"t{n}", execution="parallel") for n in range(count)]
    assert check(step("a"), *fan, step("b"), *again, step("c")) == []


GRAPHS = st.integers(2, 9).flatmap(
    lambda size: st.lists(
        st.tuples(st.sets(st.integers(0, size - 1), max_size=3), st.sampled_from(["sequential", "parallel"])),
        min_size=size,
        max_size=size,
    )
)


def _steps(graph: list[tuple[set[int], Any]]) -> list[Step]:
    return [step(f"s{n}", *(f"s{m}" for m in sorted(after)), execution=kind) for n, (after, kind) in enumerate(graph)]


def _reachable(graph: dict[int, set[int]], start: int) -> set[int]:
    seen: set[int] = set()
    stack = [start]
    while stack:
        for node in graph[stack.pop()]:
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return seen


@given(GRAPHS)
def test_circles_are_exactly_the_steps_that_reach_themselves(graph: list[tuple[set[int], Any]]) -> None:
    made = order(_steps(graph), "sequential")
    edges = {node: set(successors(made, node)) for node in range(len(made.successors))}
    cyclic = {node for node in edges if node in _reachable(edges, node)}
    groups = components(made, range(len(made.successors)))
    assert {node for group in groups for node in group} == cyclic
    assert (len(sort(made)) == len(edges)) == (not cyclic)
    assert bool(check(*_steps(graph))) == bool(cyclic)


@given(GRAPHS)
def test_surely_before_means_reachable_by_edges(graph: list[tuple[set[int], Any]]) -> None:
    made = order(_steps(graph), "sequential")
    sequence = sort(made)
    if len(sequence) < len(made.successors):
        return
    edges = {node: set(made.successors[node]) for node in range(len(made.successors))}
    pairs = {(one, two) for one in range(made.size) for two in range(made.size)}
    assert before(made, sequence, pairs) == {(one, two) for one, two in pairs if two in _reachable(edges, one)}
