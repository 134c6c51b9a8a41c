"""Words of other products: each leads to the step type or the field that is meant here."""

from __future__ import annotations

import pytest

from agentflow.definition.other_words import _FIELDS, _TYPES  # pyright: ignore[reportPrivateUsage]  the table itself
from agentflow.definition.parse_fields import Known
from agentflow.steps import registry
from tests.definition.checking import check, marked


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("shell", "script"), ("bash", "script"), ("http", "api_call"), ("HttpRequest", "api_call"),
        ("http-request", "api_call"), ("llm", "agent_run"), ("agent", "agent_run"), ("chat", "agent_run"),
        ("sleep", "delay"), ("map", "for_each"), ("foreach", "for_each"), ("ForEach", "for_each"), ("if", "condition"),
        ("function", "python"), ("task", "python"), ("approval", "wait_for_input"), ("human_input", "wait_for_input"),
        ("signal", "wait_for_event"), ("subworkflow", "workflow"), ("print", "checkpoint"), ("assign", "set"),
        ("cron", "recur"), ("gather", "parallel"), ("choice", "switch"), ("mcp", "tool_call"), ("emit", "publish"),
        ("message", "reply"), ("stop", "end"),
    ],
)  # fmt: skip
def test_a_type_of_another_product_leads_to_ours(word: str, ours: str) -> None:
    steps = f"- {{id: a, type: {word}}}\n"
    [problem] = check(steps)
    assert (problem.code, problem.label, problem.hint) == ("AF-STEP-TYPE", f'did you mean "{ours}"?', None)
    assert marked(problem, steps) == word


def test_a_word_for_several_types_names_them_all() -> None:
    [problem] = check("- {id: a, type: wait}\n")
    assert problem.label == 'did you mean "delay", "wait_for_input" or "wait_for_event"?'


@pytest.mark.parametrize(
    ("step", "word", "ours"),
    [
        ("type: script, run: ls, needs: [b]", "needs", "depends_on"),
        ("type: script, run: ls, dependsOn: [b]", "dependsOn", "depends_on"),
        ("type: script, run: ls, when: 'true'", "when", "if"),
        ("type: script, run: ls, retries: 3", "retries", "retry"),
        ("type: script, run: ls, foreach: [1]", "foreach", "for_each"),
        ("type: script, run: ls, environment: {A: b}", "environment", "env"),
        ("type: script, run: ls, working_dir: x", "working_dir", "cwd"),
        ("type: script, cmd: ls", "cmd", "run"),
        ("type: script, run: ls, timeout_seconds: 3", "timeout_seconds", "timeout"),
        ("type: script, run: ls, continue_on_error: true", "continue_on_error", "on_error"),
        ("type: script, run: ls, retry: {attempts: 3}", "attempts", "max_attempts"),
        ("type: script, run: ls, uses: shell", "uses", "type"),
        ("type: api_call, url: 'http://x', json: {}", "json", "body"),
        ("type: api_call, url: 'http://x', params: {}", "params", "query"),
        ("type: api_call, endpoint: 'http://x'", "endpoint", "url"),
        ("type: api_call, url: 'http://x', verb: GET", "verb", "method"),
        ("type: condition, condition: 'true', if_true: []", "condition", "expression"),
        ("type: condition, expression: 'true', then: [], if_false: []", "then", "if_true"),
        ("type: condition, expression: 'true', if_true: [], else: []", "else", "if_false"),
        ("type: for_each, items: [1], steps: []", "items", "in"),
        ("type: for_each, in: [1], do: []", "do", "steps"),
        ("type: delay, seconds: 3", "seconds", "for"),
        ("type: wait_for_input, question: x", "question", "message"),
        ("type: wait_for_event, event: x", "event", "topic"),
        ("type: workflow, flow: x", "flow", "workflow"),
        ("type: tool_call, tool: x", "tool", "tool_name"),
        ("type: checkpoint, message: m, ifTrue_: 1, if_: 'true'", "if_", "if"),
    ],
)  # fmt: skip
def test_a_field_of_another_product_leads_to_ours(step: str, word: str, ours: str) -> None:
    steps = f"- {{id: a, {step}}}\n"
    told = {marked(problem, steps): problem for problem in check(steps) if problem.code == "AF-FIELD-UNKNOWN"}
    assert told[word].label == f'did you mean "{ours}"?'


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("uses: http, with: {url: x}", "write `type: api_call` for `uses: http`"),
        ("action: script", "write `type: script` for `action: script`"),
        ("run: ls", "write `type: script`, if that is meant"),
        ("function: m:f", "write `type: python`, if that is meant"),
        ("label: x", None),
    ],
)
def test_a_step_without_a_type_is_told_which_its_fields_are_of(step: str, hint: str | None) -> None:
    [problem] = check(f"- {{id: a, {step}}}\n")
    assert (problem.code, problem.hint) == ("AF-FIELD-MISSING", hint)


@pytest.mark.parametrize(("word", "ours"), [("tasks", "steps"), ("inputs", "input"), ("outputs", "output")])
def test_a_field_of_the_workflow_leads_to_ours(word: str, ours: str) -> None:
    told = {problem.label for problem in check("- {id: a, type: checkpoint, message: m}\n", f"{word}: {{}}")}
    assert f'did you mean "{ours}"?' in told


def test_the_table_leads_to_nothing_that_there_is_not() -> None:
    types = set(registry.names())
    assert {name for ours in _TYPES for name in ours.split()} <= types
    words = [word for text in _TYPES.values() for word in text.split()]
    assert len(words) == len(set(words))
    assert not types & set(words)
    known = {name for spec in registry.all_types() for name in Known.of(spec).names}
    beside = {"base", "max", "backoff", "on", "max_attempts", "item", "type", "id", "name"}
    of_files = {
        "context",
        "entry_points",
        "triggers",
        "output",
        "output_schema",
        "store",
        "python",
        "tools",
        "workflows",
    }
    assert {name for ours in _FIELDS.values() for name in ours.split()} <= known | beside | of_files | {"include"}
