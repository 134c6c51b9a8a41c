"""Which steps may be answered in advance."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentflow import Workflow
from agentflow.cli.answers import check_answers
from agentflow.errors import InputError
from agentflow.steps import condition, set_, wait_for_input, workflow

ASK = wait_for_input("ask", message="Well?")


@pytest.mark.parametrize("name", ["ask", "gate/if_true/ask", "each[2]", "below", "gate"])
def test_a_step_is_known_by_its_id_or_its_address_wherever_it_stands(name: str) -> None:
    child = Workflow(id="child", steps=[wait_for_input("below", message="Well?")])
    flow = Workflow(
        id="main",
        steps=[
            condition("gate", expression="true", if_true=[ASK]),
            wait_for_input("each", message="Well?", for_each=[1, 2]),
            workflow("call", workflow="child"),
        ],
    )
    check_answers({name: 1}, flow, {"child": child})


def test_any_step_may_be_meant_where_the_called_workflow_is_computed() -> None:
    flow = Workflow(id="main", steps=[workflow("call", workflow="{input.which}")])
    check_answers({"whatever": 1}, flow, {})


def test_workflows_that_call_each_other_are_looked_at_once() -> None:
    flow: Any = Workflow(id="main", steps=[workflow("again", workflow="main"), set_("a", values={})])
    with pytest.raises(InputError, match='workflow "main" has no step "b"') as caught:
        check_answers({"b": 1}, flow, {"main": flow})
    assert caught.value.hint == "none of its steps waits"


def test_the_one_step_of_a_branch_is_answered_and_shown_by_the_id_that_it_has_in_the_file(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(
        "workflows:\n  main:\n    steps:\n      - {id: gate, type: condition, expression: true,\n"
        "         if_true: {id: ask, type: wait_for_input, message: 'Well?', schema: {type: string}}}\n",
        encoding="utf-8",
    )
    assert '"fine"' in project.run("run", "main", "--answer", 'ask="fine"').stdout
    assert "step gate/if_true  wait_for_input" in project.run("runs", "show", "@last", "--step", "ask").stdout


def test_an_answer_that_is_piped_in_is_told_the_option_that_reads_it(project: Any) -> None:
    assert project.run("run", "report", "--no-ask").returncode == 75
    told = project.run("waits", "answer", "@last")
    assert told.returncode == 75
    assert re.search(r"hint:  agentflow waits answer \w+ --data -  reads JSON from stdin", told.stderr)
    assert "Approve the report?" in project.run("waits", "show").stdout


def test_an_input_that_lacks_something_is_told_with_a_command_that_starts_a_run(project: Any) -> None:
    flow = "workflows: {book: {input: {no: string, amount: number}, steps: [{id: a, type: set, value: 1}]}}\n"
    (project.folder / "agentflow.yaml").write_text(flow, encoding="utf-8")
    told = project.run("run", "book", "--input", "no=1").stderr
    assert "hint: such as: agentflow run book --input no=" in told
