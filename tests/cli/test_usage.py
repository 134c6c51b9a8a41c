"""`runs usage`, and what `runs show` tells of usage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIG = """\
python: {modules: [models]}
currency: EUR
prices: {small: {input: 1, output: 2}}
workflows:
  draft:
    steps:
      - {id: ask, type: python, function: "models:ask", input: {model: small, text: "{input.text}"}}
      - {id: more, type: workflow, workflow: below}
  below:
    steps: [{id: ask, type: python, function: "models:ask", input: {model: other, text: x}}]
  free:
    steps: [{id: nothing, type: set, value: 1}]
"""
MODELS = """\
def ask(model, text, ctx):
    ctx.usage(model=model, input_tokens=1500, output_tokens=250)
    return text
"""


def spend(project: Any) -> None:
    """Write a project with prices, and run it."""
    (Path(project.folder) / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (Path(project.folder) / "models.py").write_text(MODELS, encoding="utf-8")
    project.run("run", "draft", "--input", "text=hello", "-q")


def test_show_tells_what_a_run_and_each_of_its_steps_have_used(project: Any) -> None:
    spend(project)
    lines = project.run("runs", "show", "@last").stdout.splitlines()
    assert any(line.startswith("✔ ask") and "0.002 EUR, hello" in line for line in lines)
    assert any(line.startswith("✔ more") and "1,750 tokens" in line for line in lines)
    assert "usage   0.002 EUR and 1 call without a price, 3,000 tokens in, 500 out, 2 calls" in lines
    shown = project.json("runs", "show", "@last")
    assert shown["usage"] == {
        "cost": "0.002", "currency": "EUR", "input_tokens": 3000, "output_tokens": 500, "calls": 2, "unpriced_calls": 1
    }  # fmt: skip
    assert [step["usage"]["input_tokens"] for step in shown["steps"]] == [1500, 1500]
    (below,) = shown["children"]
    assert below["usage"]["unpriced_calls"] == 1


def test_usage_is_summed_by_workflow_model_and_owner(project: Any) -> None:
    spend(project)
    project.run("run", "free", "-q")
    table = project.run("runs", "usage").stdout.splitlines()
    assert table == [
        "WORKFLOW\tRUNS\tCALLS\tINPUT\tOUTPUT\tCOST", "draft\t1\t2\t3,000\t500\t0.002 EUR and 1 call without a price"
    ]  # fmt: skip
    told = project.json("runs", "usage", "--by", "model", "--since", "1h")
    assert told["by"] == "model"
    assert [(row["name"], row["cost"], row["currency"]) for row in told["usage"]] == [
        ("small", "0.002", "EUR"), ("other", "0", "EUR")
    ]  # fmt: skip
    assert [row["name"] for row in project.json("runs", "usage", "--by", "owner")["usage"]] == ["local"]
    assert project.json("runs", "usage", "--owner", "somebody")["usage"] == []
    assert project.run("runs", "usage", "--by", "colour").returncode == 2


def test_without_any_usage_it_says_so(project: Any) -> None:
    assert project.run("runs", "usage").stderr == "Nothing was used.\n"
    assert project.json("runs", "usage") == {"by": "workflow", "usage": []}


def test_a_retry_tells_what_was_paid_before(project: Any) -> None:
    spend(project)
    project.run("runs", "retry", "@last", "--from", "more", "--yes", "-q")
    lines = project.run("runs", "show", "@last").stdout.splitlines()
    (before,) = [line for line in lines if line.startswith("before")]
    assert before.startswith("before  0.002 EUR and 1 call without a price,")
    assert before.endswith("in the run that it retries: not counted here")
    assert project.json("runs", "show", "@last")["usage"]["calls"] == 1


def test_show_tells_how_much_of_a_budget_is_used(project: Any) -> None:
    limited = CONFIG.replace("  draft:\n", "  draft:\n    budget: {cost: 0.001, steps: 9}\n")
    (project.folder / "agentflow.yaml").write_text(limited, encoding="utf-8")
    (project.folder / "models.py").write_text(MODELS, encoding="utf-8")
    assert project.run("run", "draft", "--input", "text=hello", "-q").returncode == 75
    lines = project.run("runs", "show", "@last").stdout.splitlines()
    assert "budget  cost 0.002 of 0.001, steps 1 of 9" in lines
    project.run("waits", "answer", "@last", "--set", "action=raise", "--set", "cost=1")
    assert project.json("runs", "show", "@last")["budget"] == {}
