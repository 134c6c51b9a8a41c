"""From data to workflows: every form, and every problem at once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agentflow.definition.models import Workflow
from agentflow.definition.parse import Parsed, definition_hash, parse_workflow, to_data
from agentflow.definition.source import load_document
from agentflow.steps import registry


def parse(text: str, **options: Any) -> Parsed:
    document = load_document(text, "a.yaml")
    return parse_workflow(document.data, registry.find, id=options.pop("id", "w"), place=document.place, **options)


def sound(text: str) -> Workflow:
    parsed = parse(text)
    assert parsed.problems == []
    assert parsed.workflow is not None
    return parsed.workflow


def told(parsed: Parsed) -> list[tuple[str, str, str]]:
    """Return code, message and place of each problem."""
    return [(p.code, p.message, f"{p.place.line}:{p.place.column}" if p.place else "-") for p in parsed.problems]


EVERYTHING = """
description: all forms
version: "3"
input: {url: string, count: {type: integer, default: 3}, note: string?}
output: "{steps.last}"
context: {found: {default: [], reducer: append}}
defaults: {retry: {max_attempts: 2}, on_error: continue}
execution: parallel
max_parallel: 4
entry_points:
  - {id: late, starts_at: box, preset_results: {a: {x: 1}}, required_inputs: [url], triggers: [{type: manual}]}
on_failure:
  - {id: notify, type: set, value: sad}
finally:
  - {id: tidy, type: set, value: done}
steps:
  - {id: a, type: set, value: 1, if: "{input.url}", requires: native:shell, retry: 5, timeout: 2m}
  - id: box
    type: sequence
    depends_on: [a]
    on_error_siblings: cancel
    on_failure: [{id: n, type: set, value: 1}]
    steps:
      - {id: c, type: delay, for: 5s, for_each: "{input.files}", compensate: {type: set, value: undone}}
      - {id: d, type: set, value: 2, for_each: {in: [1, 2], max_parallel: 1, item: it}, with: {x: "{it}"}}
  - id: cond
    type: condition
    expression: "{input.count} == 3"
    if_true: {type: set, value: yes}
    if_false: [{id: e, type: set, value: no}]
  - id: sw
    type: switch
    cases:
      - {when: "{input.count} == 1", steps: {type: set, value: one}}
      - {when: "{input.count} == 2", steps: [{id: x, type: set, value: two}]}
    default: {id: other, type: set, value: many}
  - {id: last, type: set, value: {a: [1, "{input.url}"]}, update: {found: "{steps.a}"}, at_most_once: true}
"""


def test_every_form_of_a_workflow_is_read() -> None:
    workflow = sound(EVERYTHING)
    first, box, condition, switch, last = workflow.steps
    assert (first.retry is not None and first.retry.max_attempts, first.timeout, first.if_) == (5, 120.0, "{input.url}")
    assert first.requires[0].skill == "native:shell"
    loop = box.bodies["steps"].steps[0]
    assert loop.for_each is not None
    assert loop.for_each.in_ == "{input.files}"
    assert loop.compensate is not None
    assert (loop.compensate.single, loop.compensate.steps[0].id) == (True, "compensate")
    assert (condition.bodies["if_true"].single, condition.bodies["if_true"].steps[0].id) == (True, "if_true")
    assert (condition.bodies["if_false"].single, condition.bodies["if_false"].steps[0].id) == (False, "e")
    assert list(switch.bodies) == ["case[0]", "case[1]", "default"]
    assert switch.config["cases"] == ["{input.count} == 1", "{input.count} == 2"]
    assert last.update == {"found": "{steps.a}"}
    assert (workflow.id, workflow.max_parallel, workflow.finally_[0].id) == ("w", 4, "tidy")


def test_a_workflow_survives_its_canonical_form() -> None:
    workflow = sound(EVERYTHING)
    again = parse_workflow(to_data(workflow), registry.find)
    assert again.problems == []
    assert again.workflow is not None
    assert again.workflow == workflow
    assert definition_hash(workflow) == definition_hash(again.workflow)


def test_defaults_written_out_do_not_change_the_identity() -> None:
    short = sound("steps: [{id: a, type: set, value: 1}]")
    long = sound("preflight: warn\nsteps: [{value: 1, at_most_once: false, depends_on: [], type: set, id: a}]")
    assert definition_hash(short) == definition_hash(long)
    assert definition_hash(short) != definition_hash(sound("steps: [{id: a, type: set, value: 2}]"))


def test_the_short_form_of_an_input_is_a_json_schema() -> None:
    assert sound(EVERYTHING).input_schema == {
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "count": {"type": "integer", "default": 3},
            "note": {"type": "string"},
        },
        "required": ["url"],
    }


def test_a_whole_schema_under_input_stays_as_it_is() -> None:
    workflow = sound("input: {type: object, properties: {a: {type: string}}}\nsteps: []")
    assert workflow.input_schema == {"type": "object", "properties": {"a": {"type": "string"}}}


def test_addresses_lead_to_pointers() -> None:
    parsed = parse(EVERYTHING, pointer="/workflows/w")
    assert parsed.pointer("box/c") == "/workflows/w/steps/1/steps/0"
    assert parsed.pointer("box/c#compensate") == "/workflows/w/steps/1/steps/0/compensate"
    assert parsed.pointer("cond/if_true", "value") == "/workflows/w/steps/2/if_true/value"
    assert parsed.pointer("cond/if_false/e") == "/workflows/w/steps/2/if_false/0"
    assert parsed.pointer("sw/case[0]") == "/workflows/w/steps/3/cases/0/steps"
    assert parsed.pointer("sw/case[1]/x") == "/workflows/w/steps/3/cases/1/steps/0"
    assert parsed.pointer("sw", "cases", 1) == "/workflows/w/steps/3/cases/1/when"
    assert parsed.pointer("sw/default/other") == parsed.pointer("sw/default") == "/workflows/w/steps/3/default"
    assert parsed.pointer("#finally/tidy", "value") == "/workflows/w/finally/0/value"
    assert parsed.pointer("box#on_failure/n") == "/workflows/w/steps/1/on_failure/0"
    assert parsed.pointer("box/c", "for_each", "in") == "/workflows/w/steps/1/steps/0/for_each"
    assert parsed.pointer("a", "requires", 0, "skill") == "/workflows/w/steps/0/requires"
    assert parsed.pointer("", "input_schema", "properties", "url", "type") == "/workflows/w/input/url"
    assert parsed.pointer("", "entry_points", 0) == "/workflows/w/entry_points/0"


@pytest.mark.case("W-Y-1")
def test_all_problems_are_told_at_once_with_their_places() -> None:
    parsed = parse("""\
steps:
  - {id: a, type: script, run: ls, time_out: 3}
  - {type: set, value: 1}
  - {id: b, type: scirpt, foo: 1}
  - {id: c, type: delay, for: 3 parsecs, retry: {max_attemps: 3, backoff: expo}, timeout: {a: 1}}
  - foo
  - {id: d, type: api_call, url: x, redirects: many, depends_on: a}
  - {id: 5, type: set, value: 1}
max_parallel: 0
on_eror: x
""")
    assert told(parsed) == [
        ("AF-FIELD-UNKNOWN", 'workflow "w" has no field "on_eror"', "10:1"),
        ("AF-FIELD-UNKNOWN", 'step "a" (script) has no field "time_out"', "2:36"),
        ("AF-FIELD-MISSING", 'step 2 of "steps" of workflow "w" needs a field "id"', "3:5"),
        ("AF-STEP-TYPE", 'step "b" has an unknown type "scirpt"', "4:19"),
        (
            "AF-FIELD-VALUE",
            '"for" of step "c" (delay): "3 parsecs" is no duration; write it like 500ms, 30s, 5m, 1h 30m, 2d',
            "5:31",
        ),
        (
            "AF-FIELD-VALUE",
            '"retry.backoff" of step "c" (delay) must be one of fixed, linear, exponential, not "expo"',
            "5:75",
        ),
        ("AF-FIELD-UNKNOWN", '"retry" of step "c" (delay) has no field "max_attemps"', "5:50"),
        (
            "AF-FIELD-VALUE",
            '"timeout" of step "c" (delay): a duration is a number of seconds or a text such as 30s, 5m, 1h 30m',
            "5:91",
        ),
        ("AF-FIELD-TYPE", 'step 5 of "steps" of workflow "w" must be a mapping, not "foo"', "6:5"),
        ("AF-FIELD-TYPE", '"redirects" of step "d" (api_call) must be a whole number, not "many"', "7:48"),
        ("AF-FIELD-TYPE", '"depends_on" of step "d" (api_call) must be a list, not "a"', "7:66"),
        ("AF-FIELD-TYPE", '"id" of step 7 of "steps" of workflow "w" must be text, not 5', "8:10"),
        ("AF-FIELD-VALUE", '"max_parallel" of workflow "w" must be at least 1, not 0', "9:15"),
    ]
    labels = {problem.label for problem in parsed.problems}
    assert {'did you mean "timeout"?', 'did you mean "script"?', 'did you mean "max_attempts"?', "write [a]"} <= labels


def test_a_workflow_with_problems_is_there_for_further_checks() -> None:
    parsed = parse("steps:\n  - {id: a, type: nope}\n  - foo\n  - {id: c, type: set, value: 1, time_out: 3}")
    assert parsed.workflow is not None
    assert [step.id for step in parsed.workflow.steps] == ["a", "[1]", "c"]
    assert parsed.broken == {"a", "[1]", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "steps: [{id: a, type: script, cmd: ls}]",
        "steps: [{id: a, type: api_call, uri: http://x}]",
        "steps: [{id: a, type: sequence, step: []}]",
        "steps: [{id: a, kind: set}]",
        "stepz: []",
        "steps: [{id: a, type: switch, cases: [{wen: true, steps: []}]}]",
    ],
)
def test_a_mistyped_field_is_not_reported_missing_as_well(text: str) -> None:
    assert [problem.code for problem in parse(text).problems] == ["AF-FIELD-UNKNOWN"]


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("if_: true", 'did you mean "if"?'),
        ("input: {}", 'did you mean "with"?'),
        ("inputs: {}", 'did you mean "with"?'),
        ("needs: [b]", 'did you mean "depends_on"?'),
        ("when: true", 'did you mean "if"?'),
        ("tiemout: 3", 'did you mean "timeout"?'),
        ("xylophone: 3", None),
    ],
)
def test_an_unknown_field_names_the_one_that_was_meant(field: str, label: str | None) -> None:
    [problem] = parse(f"steps: [{{id: a, type: delay, for: 1s, {field}}}]").problems
    assert (problem.code, problem.label) == ("AF-FIELD-UNKNOWN", label)


def test_inputs_of_a_step_that_has_an_input_mean_that() -> None:
    [problem] = parse("steps: [{id: a, type: tool_call, tool_name: x, inputs: {}}]").problems
    assert (problem.code, problem.label) == ("AF-FIELD-UNKNOWN", 'did you mean "input"?')


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("steps: [{id: a, type: delay, for: 1s, xylophone: 3}]", r"fields are for, until, (\w+, ){25}\w+ and \d+ more"),
        ("{xylophone: 3, steps: [{id: a, type: set, value: 1}]}", r"fields are id, (\w+, ){20,}\w+"),
        ("steps: [{id: a, type: set, value: 1, retry: {xylophone: 3}}]", r"fields are max_attempts, .*, on"),
    ],
)
def test_an_unknown_field_that_is_near_to_none_tells_which_there_are(text: str, hint: str) -> None:
    [problem] = parse(text).problems
    assert (problem.code, problem.label) == ("AF-FIELD-UNKNOWN", None)
    assert re.fullmatch(hint, problem.hint or "")


def test_a_value_with_a_template_is_checked_when_it_is_rendered() -> None:
    sound("""
steps:
  - {id: a, type: api_call, url: "{input.url}", redirects: "{input.n}", method: "{input.m}"}
  - {id: b, type: delay, for: "{steps.a.body.seconds}"}
  - id: c
    type: for_each
    in: "{input.list}"
    item: file
    steps: [{id: d, type: delay, for: "{file.pause}"}]
  - {id: e, type: delay, for: "{thing}", for_each: {in: "{input.list}", item: thing}}
""")


def test_braces_that_are_no_template_do_not_excuse_a_wrong_value() -> None:
    [problem] = parse('steps: [{id: a, type: delay, for: "{fiel.pause}"}]').problems
    assert problem.code == "AF-FIELD-VALUE"


def test_fields_of_containers_are_refused_elsewhere() -> None:
    [problem] = parse("steps: [{id: a, type: delay, for: 1s, finally: []}]").problems
    assert problem.message == 'step "a" (delay) has no field "finally": only steps that hold steps have it'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: 5", '"steps" of workflow "w" must be a list of steps, not 5'),
        ("steps: {a: {type: set}}", '"steps" of workflow "w" must be a list of steps, not a mapping'),
        ("{}", 'workflow "w" needs a field "steps"'),
        ("[1]", 'workflow "w" must be a mapping, not a list'),
        ("id: x\nsteps: []", 'the workflow is called "w" by its key and "x" by its id'),
        ("steps: [{id: a}]", 'step "a" needs a field "type"'),
        ("steps: [{id: '', type: set, value: 1}]", '"id" of step 1 of "steps" of workflow "w" must not be empty'),
        ("steps: [{id: a, type: 5}]", '"type" of step "a" must be text, not 5'),
        ("steps: [{id: a, type: sequence}]", 'step "a" (sequence) needs a field "steps"'),
        (
            "steps: [{id: a, type: condition, expression: true, if_true: 5}]",
            '"if_true" of step "a" (condition) must be a step or a list of steps, not 5',
        ),
        (
            "steps: [{id: a, type: switch, cases: {}}]",
            '"cases" of step "a" (switch) must be a list of cases, not a mapping',
        ),
        (
            "steps: [{id: a, type: switch, cases: [1]}]",
            'case 1 of step "a" (switch) must be a mapping with `when` and `steps`, not 1',
        ),
        (
            "steps: [{id: a, type: set, value: 1, delay: soon}]",
            '"delay" of step "a" (set): "soon" is no duration; write it like 500ms, 30s, 5m, 1h 30m, 2d',
        ),
        (
            "steps: [{id: a, type: set, value: 1, at: soon}]",
            '"at" of step "a" (set): "soon" is no ISO 8601 time, such as 2026-03-01T09:00:00Z',
        ),
        ("input: {a: strin}\nsteps: []", 'input "a" of workflow "w" has no known type: "strin"'),
        ("input: {a: 5}\nsteps: []", 'input "a" of workflow "w" must be a type or a mapping, not 5'),
        ("input: {}\ninput_schema: {}\nsteps: []", 'workflow "w" has both `input` and `input_schema`'),
        (
            "entry_points: [{id: e, triggers: [{type: webhok}]}]\nsteps: []",
            '"entry_points[0].triggers[0].type" of workflow "w" must be one of webhook, …, not "webhok"',
        ),
    ],
)
def test_each_wrong_shape_is_told_in_one_sentence(text: str, message: str) -> None:
    [problem] = parse(text).problems
    assert problem.message == message


def test_deep_nesting_of_python_data_is_refused() -> None:
    data: Any = {"id": "x", "type": "set", "value": 1}
    for number in range(200):
        data = {"id": f"s{number}", "type": "sequence", "steps": [data]}
    [problem] = parse_workflow({"id": "w", "steps": [data]}, registry.find).problems
    assert problem.code == "AF-DEFINITION-DEPTH"


def test_a_long_list_of_steps_is_read_without_recursion() -> None:
    steps = [{"id": f"s{number}", "type": "set", "value": number} for number in range(20_000)]
    parsed = parse_workflow({"id": "w", "steps": steps}, registry.find)
    assert parsed.workflow is not None
    assert parsed.workflow == parse_workflow(to_data(parsed.workflow), registry.find).workflow


def test_a_model_that_raises_something_else_gives_a_problem_and_no_traceback() -> None:
    from pydantic import BaseModel, model_validator  # noqa: PLC0415

    from agentflow.steps.contract import StepType  # noqa: PLC0415

    class Odd(BaseModel):
        count: Any = None

        @model_validator(mode="after")
        def _check(self) -> Odd:
            assert self.count > 0
            return self

    def types(name: str) -> StepType | None:
        return StepType("odd", Odd) if name == "odd" else None

    wrong = parse_workflow({"id": "w", "steps": [{"id": "a", "type": "odd", "count": "many"}]}, types)
    assert [problem.code for problem in wrong.problems] == ["AF-FIELD-VALUE"]
    rendered_later = parse_workflow({"id": "w", "steps": [{"id": "a", "type": "odd", "count": "{input.n}"}]}, types)
    assert rendered_later.problems == []


@pytest.mark.parametrize("kind", ["sequence", "saga", "parallel", "for_each", "while", "schedule", "recur"])
def test_one_step_stands_for_a_list_of_one_in_files(kind: str) -> None:
    fields = {
        "for_each": {"in": [1]}, "while": {"condition": "true", "max_iterations": 1}, "schedule": {"after": "1s"},
        "recur": {"interval": "1s", "max": 1},
    }  # fmt: skip
    one = {"id": "a", "type": "set", "value": 1}
    holder = {"id": "h", "type": kind, **fields.get(kind, {})}
    hooks = dict.fromkeys(("on_success", "on_failure", "finally"), one)
    single = parse_workflow({"id": "w", "steps": [{**holder, "steps": one, **hooks}], **hooks}, registry.find)
    several = parse_workflow(
        {
            "id": "w",
            "steps": [{**holder, "steps": [one], **{k: [v] for k, v in hooks.items()}}],
            **{k: [v] for k, v in hooks.items()},
        },
        registry.find,
    )
    assert single.problems == several.problems == []
    assert single.workflow == several.workflow
