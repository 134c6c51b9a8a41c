"""What a run lacks is shown: failures that were tolerated, and what a saga has undone."""

from __future__ import annotations

import json
import re
from typing import Any

CONFIG = """\
python: {modules: [shop]}
workflows:
  tol:
    steps:
      - {id: each, for_each: [0, 1, 2, 3, 4, 5, 6, 7], type: python, function: "shop:odd", input: {n: "{item}"},
         on_error: continue}
      - {id: sum, type: set, value: done}
  calls:
    steps:
      - {id: call, type: workflow, workflow: tol}
      - {id: one, type: python, function: "shop:odd", input: {n: 1}, on_error: continue}
  book:
    steps:
      - id: trip
        type: saga
        steps:
          - {id: hotel, type: set, value: 1, compensate: {type: python, function: "shop:odd", input: {n: 1}}}
          - id: inner
            type: saga
            steps:
              - {id: flight, type: set, value: 1, compensate: {type: set, value: 0}}
              - {id: car, type: python, function: "shop:odd", input: {n: 3}}
  legs:
    steps:
      - id: tour
        type: saga
        steps:
          - id: each
            type: for_each
            in: [7]
            steps: [{id: leg, type: set, value: 1, compensate: [{id: refund, type: set, value: 0}]}]
          - {id: plain, type: sequence, steps: [{id: seat, type: set, value: 1}]}
          - {id: car, type: python, function: "shop:odd", input: {n: 3}}
"""
SHOP = """\
def odd(n):
    if n % 2 or n == 6:
        raise ValueError(f"{n} is odd")
    return n
"""


def shop(project: Any) -> Any:
    (project.folder / "shop.py").write_text(SHOP, encoding="utf-8")
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    return project


def test_items_whose_failure_was_tolerated_are_told_everywhere(project: Any) -> None:
    shop(project)
    done = project.run("run", "tol")
    assert "step each[1] failed " in done.stderr
    assert re.search(r"step each completed \S+ 3/8 tolerated=5\n", done.stderr)
    assert done.stderr.endswith(", 5 failed (tolerated): each[1], each[3], each[5] and 2 more\n")
    shown = project.run("runs", "show", "@last").stdout
    assert "✔ completed, 5 failed (tolerated)" in shown
    assert re.search(r"✔ each +for_each +3/8 .* 5 failed \(tolerated\)\n", shown)
    assert "    ✘ [1]  ValueError: 1 is odd (shop.py:3)\n" in shown
    step = project.run("runs", "show", "@last", "--step", "each").stdout
    assert "5 failed (tolerated)\n" in step
    assert "✘ [7]  ValueError: 7 is odd (shop.py:3)" in step
    assert "5 failed (tolerated)" in project.run("runs", "list").stdout
    document = project.json("runs", "show", "@last")
    each = next(item for item in document["steps"] if item["step"] == "each")
    assert (document["tolerated"], each["items"]) == (5, {"done": 3, "failed": 5, "total": 8})
    assert json.loads(project.run("run", "tol", "--json").stdout)["tolerated"] == 5


def test_tolerated_failures_of_a_sub_workflow_and_of_a_step_of_its_own_are_told(project: Any) -> None:
    shop(project)
    done = project.run("run", "calls")
    assert ", 6 failed (tolerated): call/each[1], call/each[3], call/each[5] and 3 more\n" in done.stderr
    shown = project.run("runs", "show", "@last").stdout
    assert "✔ completed, 6 failed (tolerated)" in shown
    assert re.search(r"✔ call +workflow .* 5 failed \(tolerated\)", shown)
    assert "failed, and that is tolerated: ValueError: 1 is odd (shop.py:3)" in shown


def test_what_a_saga_has_undone_is_told_with_what_could_not_be_undone(project: Any) -> None:
    shop(project)
    told = project.run("run", "book").stderr
    assert "undone: trip/inner/flight\n" in told
    assert "could not undo: trip/hotel: ValueError: 1 is odd (shop.py:3)\n" in told
    shown = project.run("runs", "show", "@last").stdout
    assert "  undone: trip/inner/flight\n  could not undo: trip/hotel: ValueError: 1 is odd (shop.py:3)\n" in shown
    assert re.search(r"hotel +set .* done, and could not be undone\n", shown)
    assert re.search(r"✘ +hotel#compensate +python .* ValueError: 1 is odd \(shop.py:3\)\n", shown)
    assert re.search(r"flight +set .* done, then undone\n", shown)
    assert re.search(r"✔ +flight#compensate +set ", shown)


def test_what_is_undone_inside_a_loop_stands_below_it_with_all_that_undid_it(project: Any) -> None:
    shop(project)
    project.run("run", "legs")
    shown = project.run("runs", "show", "@last").stdout
    rows = re.findall(r"^. ( *\S+) +(?:saga|for_each|set|python|sequence) ", shown, re.MULTILINE)
    assert rows == ["tour", "  each", "    [0]/leg", "      refund", "  car"]
