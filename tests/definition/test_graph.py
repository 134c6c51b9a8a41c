"""Graph export: every node and edge, in definition order, the same bytes from run to run."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from agentflow.definition.graph import to_data, to_dot, to_mermaid
from agentflow.definition.models import Body, Step, Workflow


def step(name: str, *after: str, **fields: Any) -> Step:
    """Make a step that does nothing."""
    fields.setdefault("type", "set")
    return Step(id=name, depends_on=after, **fields)


CHOOSE = step(
    "choose",
    type="condition",
    config={"expression": '{steps.fetch.status} == "ok"'},
    bodies={
        "if_true": Body(steps=(step("if_true", type="checkpoint"),), single=True),
        "if_false": Body(steps=(step("retry"), step("warn"))),
    },
)
REPORT = Workflow(
    id="report",
    steps=(
        step("fetch", type="api_call", label='Fetch "all" <items>'),
        CHOOSE,
        step("a", execution="parallel"),
        step("b", execution="parallel", compensate=Body(steps=(step("compensate"),), single=True)),
        step("last", depends_on_any=("a", "b")),
    ),
    on_failure=(step("alarm"),),
).model_copy(update={"finally_": (step("clean"),)})


def edges(workflow: Workflow) -> list[tuple[str, str, str]]:
    """Return the edges of the JSON form."""
    return [(edge["from"], edge["to"], edge["kind"]) for edge in to_data(workflow)["edges"]]


@pytest.mark.case("F-DOT-1")
def test_dot_runs_from_left_to_right_with_each_node_edge_and_label() -> None:
    text = to_dot(REPORT)
    assert "rankdir=LR;" in text
    for node in ("fetch", "choose", "choose/if_true", "choose/if_false/retry", "a", "b", "last", "#on_failure/alarm"):
        assert f'"{node}" [' in text
    assert '"fetch" -> "choose";' in text
    assert '"choose" -> "choose/if_true" [label="{steps.fetch.status} == \\"ok\\""];' in text
    assert '"choose" -> "choose/if_false/retry" [label="else"];' in text
    assert '"choose/if_false/retry" -> "choose/if_false/warn";' in text
    assert 'subgraph "cluster_choose/if_false" {' in text


@pytest.mark.case("F-DOT-1")
def test_paths_that_a_failure_takes_are_dotted() -> None:
    text = to_dot(REPORT)
    assert '"#end" -> "#on_failure/alarm" [label="on_failure", style=dotted];' in text
    assert '"b" -> "b#compensate" [label="compensate", style=dotted];' in text
    assert '-.->|"on_failure"|' in to_mermaid(REPORT)


@pytest.mark.case("F-DOT-1")
def test_the_bytes_are_the_same_in_every_process() -> None:
    code = (
        "from agentflow.definition.graph import *; from agentflow.definition.models import *;"
        "w = Workflow(id='w', steps=tuple(Step(id=f's{n}', type='set', execution='parallel') for n in range(9)) + "
        "(Step(id='x', type='set', depends_on_any=('s3', 's1')), Step(id='y', type='set', depends_on=('s5', 's2'))));"
        "print(to_dot(w), to_mermaid(w), to_data(w))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(runs) == 1


def test_nodes_stand_in_definition_order() -> None:
    nodes = [node["id"] for node in to_data(REPORT)["nodes"]]
    assert nodes == [
        "fetch",
        "choose",
        "choose/if_true",
        "choose/if_false/retry",
        "choose/if_false/warn",
        "a",
        "b",
        "b#compensate",
        "last",
        "#end",
        "#on_failure/alarm",
        "#finally/clean",
    ]


def test_json_says_how_each_edge_came() -> None:
    found = edges(REPORT)
    assert ("fetch", "choose", "after") in found
    assert ("choose", "choose/if_true", "branch") in found
    assert ("a", "last", "any") in found
    assert ("b", "b#compensate", "compensate") in found
    assert ("#end", "#finally/clean", "finally") in found


def test_mermaid_escapes_what_people_write() -> None:
    text = to_mermaid(REPORT)
    assert 'n0["Fetch #quot;all#quot; #lt;items#gt;<br/>api_call"]' in text
    assert text.startswith("flowchart LR\n")


def test_blocks_of_parallel_steps_get_all_their_edges() -> None:
    first = [step(f"a{n}", "start", execution="parallel") for n in range(3)]
    second = [step(f"b{n}", execution="parallel") for n in range(3)]
    found = edges(Workflow(id="w", steps=(step("start"), *first, *second)))
    assert {(f"a{n}", f"b{m}", "after") for n in range(3) for m in range(3)} <= set(found)


def test_large_blocks_meet_in_one_point() -> None:
    first = [step(f"a{n}", "start", execution="parallel") for n in range(200)]
    second = [step(f"b{n}", execution="parallel") for n in range(200)]
    workflow = Workflow(id="w", steps=(step("start"), *first, *second))
    assert len(edges(workflow)) == 600
    assert "shape=point" in to_dot(workflow)
    assert '((" "))' in to_mermaid(workflow)


def test_a_switch_labels_its_cases() -> None:
    bodies = {f"case[{n}]": Body(steps=(step(f"s{n}"),)) for n in range(2)} | {"default": Body(steps=(step("other"),))}
    switch = step("route", type="switch", config={"cases": ["{input.a}", "{input.b}"]}, bodies=bodies)
    text = to_dot(Workflow(id="w", steps=(switch,)))
    assert '"route" -> "route/case[1]/s1" [label="{input.b}"];' in text
    assert '"route" -> "route/default/other" [label="else"];' in text


def test_deep_nesting_needs_no_recursion() -> None:
    inner = step("s")
    for _ in range(40):
        inner = step("s", type="sequence", bodies={"steps": Body(steps=(inner,))})
    workflow = Workflow(id="w", steps=(inner,))
    assert len(edges(workflow)) == 40
    assert to_dot(workflow).count("subgraph") == to_mermaid(workflow).count("subgraph") == 40


def test_an_empty_workflow_has_an_empty_graph() -> None:
    assert to_mermaid(Workflow(id="w", steps=())) == "flowchart LR\n"
    assert to_data(Workflow(id="w", steps=()))["nodes"] == []


def test_the_frame_of_a_containers_steps_does_not_look_like_the_container_again() -> None:
    trip = step("trip", type="saga", bodies={"steps": Body(steps=(step("hotel"),))})
    text = to_mermaid(Workflow(id="w", steps=(trip,)))
    assert 'n0{{"trip<br/>saga"}}' in text
    assert 'subgraph s1["trip: steps"]' in text
    assert text.count('"trip"') == 0


def test_a_step_that_calls_a_workflow_names_it() -> None:
    workflow = Workflow(id="w", steps=(step("ask", type="workflow", config={"workflow": "review"}),))
    assert '"ask" [label="ask\\nworkflow review"];' in to_dot(workflow)
    assert 'n0["ask<br/>workflow review"]' in to_mermaid(workflow)
    assert [node["calls"] for node in to_data(workflow)["nodes"]] == ["review"]


@pytest.mark.parametrize(("kind", "label"), [("for_each", "next"), ("while", "again"), ("until", "again")])
def test_a_loop_has_a_way_back_from_its_last_steps_and_each_step_stands_there_once(kind: str, label: str) -> None:
    body = Body(steps=(step("first"), step("left", "first"), step("right", "first")))
    loop = step("each", type=kind, config={"in": [1], "condition": "{x}"}, bodies={"steps": body})
    workflow = Workflow(id="w", steps=(loop, step("after")))
    back = [edge for edge in to_data(workflow)["edges"] if edge["kind"] == "again"]
    assert [(edge["from"], edge["to"], edge["label"]) for edge in back] == [
        ("each/left", "each", label),
        ("each/right", "each", label),
    ]
    nodes = [node["id"] for node in to_data(workflow)["nodes"]]
    assert nodes == ["each", "each/first", "each/left", "each/right", "after"]
    assert f'"each/left" -> "each" [label="{label}", style=dashed];' in to_dot(workflow)
