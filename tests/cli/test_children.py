"""Runs that a run has started are listed behind the steps that started them."""

from __future__ import annotations

import re
from typing import Any

CONFIG = """\
python: {modules: [shop]}
workflows:
  top:
    steps:
      - {id: each, type: workflow, workflow: middle, for_each: [1, 2], input: {n: "{item}"}, max_parallel: 1}
  middle:
    input: {n: integer}
    steps:
      - {id: call, type: workflow, workflow: leaf, input: {n: "{input.n}"}}
  leaf:
    input: {n: integer}
    steps:
      - id: trip
        type: saga
        steps:
          - {id: book, type: set, value: 1, compensate: {type: set, value: 0}}
          - {id: pay, type: python, function: "shop:pay", input: {n: "{input.n}"}}
"""
SHOP = """\
def pay(n):
    if n == 2:
        raise ValueError("no money")
"""


def test_child_runs_stand_behind_the_steps_that_started_them_whatever_their_depth(project: Any) -> None:
    (project.folder / "shop.py").write_text(SHOP, encoding="utf-8")
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    told = project.run("run", "top").stderr
    assert "undone: each[1]/call/trip/book\n" in told
    shown = project.run("runs", "show", "@last", "--tree").stdout
    lines = shown[shown.index("runs that its steps started\n") :].splitlines()
    assert re.fullmatch(r"✔ each\[0\]  run \w+  middle  completed  \S+", lines[1])
    assert re.fullmatch(r"✔   call   run \w+  leaf  completed  \S+", lines[2])
    assert re.fullmatch(r"✘ each\[1\]  run \w+  middle  failed  \S+  call: .* no money \(shop.py:3\)", lines[3])
    assert re.fullmatch(r"✘   call   run \w+  leaf  failed  \S+  trip/pay: .* no money \(shop.py:3\)", lines[4])


def test_what_a_saga_of_a_child_run_has_undone_names_the_callers_step_and_the_run(project: Any) -> None:
    (project.folder / "shop.py").write_text(SHOP, encoding="utf-8")
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    project.run("run", "top")
    document = project.json("runs", "show", "@last")
    middle = next(child for child in document["children"] if child["state"] == "failed")
    leaf = project.json("runs", "show", middle["id"])["children"][0]
    report = document["error"]["data"]["compensated"]
    assert report == [{"step": "each[1]/call/trip/book", "run_id": leaf["id"], "reason": "compensated"}]
    assert leaf["error"]["data"]["compensated"] == [{"step": "trip/book", "reason": "compensated"}]
