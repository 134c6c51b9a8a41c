"""Drawings of workflows: nothing overlaps, every edge is drawn, and the same workflow gives the same picture."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.config import load_text
from agentflow.definition.drawing.layers import Gaps, Layout, Size, lay_out
from agentflow.definition.drawing.svg import to_svg
from agentflow.definition.drawing.text import to_text
from agentflow.definition.graph import build
from agentflow.definition.models import Workflow

ROOMY = Gaps(across=20, down=30, track=10, line=8, widest=500)
TIGHT = Gaps(across=2, down=1, track=1, line=1, widest=60, centred=False)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Size], list[tuple[int, int]], Gaps]:
    """Return sizes, edges and gaps of a random graph without circles."""
    gaps = draw(st.sampled_from([ROOMY, TIGHT]))
    unit = 10 if gaps.centred else 1
    widths = draw(st.lists(st.integers(3, 20), min_size=1, max_size=30))
    sizes: list[Size] = []
    for width in widths:
        height = draw(st.integers(1, 3)) * unit
        port = width * unit // 2 if gaps.centred else 0
        sizes.append(Size(width * unit, height, port, height if gaps.centred else 1))
    pairs = [(a, b) for b in range(len(sizes)) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=60)) if pairs else []
    return sizes, edges, gaps


def _check(layout: Layout, sizes: list[Size], edges: list[tuple[int, int]]) -> None:
    boxes = [(x, y, x + size.width, y + size.height) for (x, y), size in zip(layout.places, sizes, strict=True)]
    for number, one in enumerate(boxes):
        assert min(one) >= 0
        assert (one[2] <= layout.width, one[3] <= layout.height) == (True, True)
        for two in boxes[:number]:
            assert not (one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3])
    assert len(layout.routes) == len(edges)
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert route[0] == (boxes[source][0] + sizes[source].port, boxes[source][1] + sizes[source].out)
        assert route[-1] == (boxes[target][0] + sizes[target].port, boxes[target][1])
        for (x1, y1), (x2, y2) in pairwise(route):
            assert x1 == x2 or y1 == y2
            assert y2 >= y1
            left, right = sorted((x1, x2))
            for number, (a, b, c, d) in enumerate(boxes):
                assert number in (source, target) or not (left < c and right > a and y1 < d and y2 > b)


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_nodes_never_overlap_and_every_edge_has_one_way_around_all_others(
    graph: tuple[list[Size], list[tuple[int, int]], Gaps],
) -> None:
    sizes, edges, gaps = graph
    layout = lay_out(sizes, edges, gaps)
    _check(layout, sizes, edges)
    assert lay_out(sizes, edges, gaps) == layout


def test_two_thousand_nodes_have_a_place_each() -> None:
    edges = [(max(0, n - 1 - n * 7 % 30), n) for n in range(1, 2000)] + [(n * 3 // 4, n) for n in range(4, 2000)]
    layout = lay_out([Size(180, 40, 90, 40)] * 2000, edges, ROOMY)
    assert len(set(layout.places)) == 2000
    assert layout.width < 30_000


def _workflow(text: str) -> Workflow:
    return next(iter(load_text(dedent(text)).workflows.values()))


def _text(workflow: Workflow, width: int) -> list[str]:
    return ["".join(piece.text for piece in row) for row in to_text(workflow, width)]


LOOPS = """
    id: loops
    steps:
      - id: regions
        type: for_each
        in: ["emea", "apac"]
        steps:
          - id: until-good
            type: until
            condition: "{steps.judge.ok} == true"
            max_iterations: 3
            steps:
              - {id: draft, type: set, value: 1}
              - {id: judge, type: set, values: {ok: true}, review: true}
          - {id: ask, type: wait_for_input, message: m}
      - {id: done, type: checkpoint, message: m}
"""


def test_loops_are_frames_with_the_way_back_and_gates_are_marked() -> None:
    assert _text(_workflow(LOOPS), 80) == [
        "↻ regions  for_each",
        "│ ▲─ each ─────────────────────────────────────╮",
        "│ │ ↻ until-good  until                        │",
        "│ │ │ ▲─ until {steps.judge.ok} == true ─╮     │",
        "│ │ │ │ ● draft  set                     │     │",
        "│ │ │ │ │                                │     │",
        "│ │ │ │ ● judge  set [review]            │     │",
        "│ │ │ ╰─ ↻ again ────────────────────────╯     │",
        "│ │ │                                          │",
        "│ │ ◆ ask  wait_for_input [waits for a person] │",
        "│ ╰─ ↻ next ───────────────────────────────────╯",
        "│",
        "● done  checkpoint",
    ]


def test_a_fork_and_a_join_are_lines_that_part_and_meet() -> None:
    text = """
        id: fork
        execution: parallel
        steps:
          - {id: start, type: set, value: 1}
          - {id: one, type: set, value: 1, depends_on: [start]}
          - {id: two, type: set, value: 1, depends_on: [start], approve: true}
          - {id: end, type: workflow, workflow: other, depends_on: [one, two]}
    """
    text = "workflows:\n  other: {steps: [{id: a, type: set, value: 1}]}\n  fork:" + text.replace("id: fork", "")
    workflow = load_text(dedent(text.replace("\n        ", "\n    "))).workflows["fork"]
    assert _text(workflow, 80) == [
        "● start  set",
        "├────────────╮",
        "● one  set   ● two  set [approve]",
        "├────────────╯",
        "▶ end  workflow other",
    ]


WIDE = "workflows:\n  wide:\n    execution: parallel\n    steps:\n" + "".join(
    f"      - {{id: s{n}, type: set, value: 1, depends_on: {[f's{m}' for m in range(max(0, n - 9), n, 2)]}}}\n"
    for n in range(60)
)


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("text", [LOOPS, WIDE])
def test_no_line_is_wider_than_the_terminal_and_each_step_stands_there_once(text: str, width: int) -> None:
    workflow = _workflow(text)
    rows = _text(workflow, width)
    assert all(len(row) <= width for row in rows)
    words = [word for row in rows for word in row.replace(",", " ").partition(" after ")[0].split()]
    for step in workflow.steps:
        assert words.count(step.id) == 1


def test_an_svg_escapes_texts_and_draws_each_node_and_each_edge() -> None:
    text = """
        id: odd
        label: "<script>alert('x')</script> & \\"q\\" \\u0007"
        steps:
          - {id: a, label: "<b>&amp;</b>", type: set, value: 1}
          - id: b
            type: condition
            expression: '1 < 2 && {input.x} == "<i>"'
            if_true: [{id: c, type: set, value: 1}]
            if_false: [{id: d, type: set, value: 1, compensate: {type: set, value: 1}}]
        on_failure: [{id: e, type: set, value: 1}]
    """
    workflow = _workflow(text)
    drawn = to_svg(workflow)
    assert drawn == to_svg(workflow)
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    texts = [element.text for element in root.iter(f"{space}text")]
    assert {"<b>&amp;</b>", "b", "c", "d", "e"} <= set(texts)
    assert not list(root.iter(f"{space}script"))
    assert "prefers-color-scheme:dark" in drawn
    paths = [element for element in root.iter(f"{space}path") if element.get("class") != "tip"]
    assert len([path for path in paths if path.get("class") != "backtip"]) == len(build(workflow).edges)


def test_an_svg_of_nested_loops_goes_back_once_a_loop() -> None:
    drawn = to_svg(_workflow(LOOPS))
    assert drawn.count('marker-end="url(#backtip)"') == 2
    assert drawn.count("↻ next") == drawn.count("↻ again") == 1


def test_the_drawing_of_the_documentation_is_what_is_drawn() -> None:
    text = """
        workflows:
          news:
            input: {regions: array}
            steps:
              - id: regions
                type: for_each
                in: "{input.regions}"
                steps:
                  - {id: draft, type: agent_run, agent: writer, prompt: x, review: true}
                  - {id: ask, type: wait_for_input, message: m}
              - {id: send, type: workflow, workflow: mail}
          mail: {steps: [{id: a, type: set, value: 1}]}
    """
    page = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
    block = page.read_text(encoding="utf-8").split("```text\n")[1].partition("```")[0]
    assert block.splitlines() == _text(_workflow(text), 100)
