"""`runs retry` from inside a loop: what it says before, and what it keeps."""

from __future__ import annotations

import re
from typing import Any

CONFIG = """\
python: {modules: [shop]}
workflows:
  paid:
    steps:
      - {id: list, type: python, function: "shop:items"}
      - id: each
        for_each: {in: "{steps.list}", max_parallel: 4}
        type: python
        function: "shop:paid"
        input: {n: "{item}"}
"""
SHOP = """\
from pathlib import Path


def items() -> list:
    return list(range(10))


def paid(n: int) -> int:
    with open("calls.log", "a") as file:
        file.write(f"{n}\\n")
    if n == 9 and not Path("mended").exists():
        raise ValueError("rate limit")
    return n
"""


def test_the_command_that_a_failed_item_offers_calls_this_item_alone(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (project.folder / "shop.py").write_text(SHOP, encoding="utf-8")
    failed = project.run("run", "paid", "-q")
    assert failed.returncode == 1
    found = re.search(r"agentflow (runs retry \w+) --from '(each\[9\])'", failed.stderr)
    assert found, failed.stderr
    (project.folder / "calls.log").unlink()
    (project.folder / "mended").touch()
    command = (*found[1].split(), "--from", found[2])
    plan = project.run(*command, "--dry-run")
    assert "kept in part          each: 9 kept, 1 again\n" in plan.stdout
    assert re.search(r"! has effects outside +1 step: each\[9\]\n", plan.stdout)
    data = project.json(*command, "--dry-run")
    assert data["parts"] == [{"step": "each", "kept": 9, "again": 1, "of": "iterations"}]
    told = project.run(*command)
    assert "each: 9 kept, 1 again" in told.stderr
    done = project.run(*command, "--yes")
    assert (done.returncode, done.stdout) == (0, "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n")
    assert (project.folder / "calls.log").read_text(encoding="utf-8") == "9\n"
    assert re.search(r"each +for_each +10/10", project.run("runs", "show").stdout)


def test_an_item_that_there_was_not_is_refused_with_those_that_there_were(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (project.folder / "shop.py").write_text(SHOP, encoding="utf-8")
    project.run("run", "paid", "-q")
    refused = project.run("runs", "retry", "@last", "--from", "each[10]", "--yes")
    assert refused.returncode != 0
    assert 'step "each" had no iteration 10' in refused.stderr
    assert "each[0] to each[9]" in refused.stderr
    assert len(project.json("runs", "list")["runs"]) == 1


def test_a_request_that_only_reads_is_not_told_as_an_effect_outside(project: Any) -> None:
    steps = "".join(
        f"      - {{id: {name}, type: api_call, url: 'http://127.0.0.1:1/', method: {method}, on_error: continue}}\n"
        for name, method in (("read", "GET"), ("write", "POST"))
    )
    (project.folder / "agentflow.yaml").write_text(
        'skills: {"native:network": {private: true}}\nworkflows:\n  w:\n    steps:\n' + steps, encoding="utf-8"
    )
    project.run("run", "w", "-q")
    assert project.json_of("runs", "retry", "@last", "--from", "read", "--dry-run", "--json")["unsafe"] == ["write"]
