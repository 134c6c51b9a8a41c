"""Requirements, retries of at-most-once steps, shared keys, schemas, sub-workflows, entry points, triggers, sizes."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from agentflow.config import load_text
from agentflow.definition.check import EnvInfo, check_workflow
from agentflow.definition.models import Body, Step, Workflow
from agentflow.errors import DefinitionError, Problem
from agentflow.steps import registry
from tests.definition.checking import codes, problems_of

STEP = "- {id: a, type: checkpoint, message: m}"


def check(head: str = "", steps: str = STEP, before: str = "") -> list[Problem]:
    """Return what is wrong with a workflow, warnings included."""
    text = f"{before}workflows:\n  w:\n{indent(dedent(head), '    ')}\n    steps:\n{indent(dedent(steps), '      ')}"
    return problems_of(text)


@pytest.mark.case("D-REQ-3", "D-REQ-10")
@pytest.mark.parametrize(
    ("skill", "label"),
    [
        ("shell", 'did you mean "native:shell"?'),
        ("native:teleporter", None),
        ("native:shel", 'did you mean "native:shell"?'),
        ("native:", None),
        (":drive", None),
        ("google drive", None),
    ],
)
def test_an_invalid_requirement_is_refused(skill: str, label: str | None) -> None:
    (problem,) = check(steps=f"- {{id: a, type: checkpoint, message: m, requires: ['{skill}']}}")
    assert (problem.code, problem.label) == ("AF-SKILL-INVALID", label)


@pytest.mark.case("D-REQ-3")
def test_valid_requirements_are_taken() -> None:
    steps = "- {id: a, type: checkpoint, message: m, requires: ['native:shell', {skill: 'google:drive'}]}"
    assert check(steps=steps, before="skills: ['native:shell']\n") == []


def test_skills_that_are_not_granted_are_told_once_each() -> None:
    steps = """\
        - {id: a, type: script, command: make}
        - {id: b, type: script, command: make}
        - {id: c, type: api_call, url: "https://x.example.com"}
    """
    problems = check(steps=steps)
    assert [(problem.code, problem.severity) for problem in problems] == [("AF-SKILL-MISSING", "warning")] * 2
    assert problems[0].message == 'step "a" (and 1 more) needs native:shell, which the config doesn\'t grant'


@pytest.mark.parametrize("policy", ["retry: 3", "on_error: retry"])
def test_a_step_that_runs_at_most_once_is_not_retried(policy: str) -> None:
    assert codes(check(steps=f"- {{id: a, type: checkpoint, message: m, at_most_once: true, {policy}}}")) == [
        "AF-STEP-ONCE"
    ]


def test_nor_is_a_container_around_it() -> None:
    steps = """\
        - id: outer
          type: sequence
          retry: {max_attempts: 2}
          steps:
            - id: box
              type: parallel
              steps: [{id: a, type: checkpoint, message: m, at_most_once: true}]
    """
    (problem,) = check(steps=steps)
    assert problem.message == 'step "a" runs at most once, but "outer" around it is retried'


def test_retries_that_do_not_touch_it_are_fine() -> None:
    head = "defaults: {retry: 3}"
    assert check(head, "- {id: a, type: checkpoint, message: m, at_most_once: true, retry: false}") == []


def test_undeclared_keys_cannot_be_updated() -> None:
    steps = "- {id: a, type: set, values: {n: 1}, update: {finding: 1}}"
    (problem,) = check("context: [findings]", steps)
    assert (problem.code, problem.label) == ("AF-REF-CONTEXT", 'did you mean "findings"?')


@pytest.mark.parametrize("kind", ["while", "until"])
def test_a_loop_without_a_limit_is_refused(kind: str) -> None:
    steps = f"- {{id: a, type: {kind}, condition: 'true', steps: [{{id: b, type: checkpoint, message: m}}]}}"
    (problem,) = check(steps=steps)
    assert "max_iterations" in problem.message


def test_a_loop_built_in_python_without_a_limit_is_refused() -> None:
    loop = Step(id="a", type="while", config={"condition": "{input.x}"}, bodies={"steps": Body(steps=())})
    (problem,) = check_workflow(Workflow(id="w", steps=(loop,)), registry.find, env=EnvInfo())
    assert problem.code == "AF-LOOP-ENDLESS"


@pytest.mark.case("D-CH-1")
def test_a_button_template_needs_a_list() -> None:
    template = '{kind: callback, label: "{item.name}", callback_data: "wf:open:{item.id}"}'
    (problem,) = check(steps=f"- {{id: a, type: reply, text: m, button_template: {template}}}")
    assert "button_template" in problem.message
    fine = f"- {{id: a, type: reply, text: m, buttons_from: '{{input.rows}}', button_template: {template}}}"
    assert check(steps=fine) == []


def test_an_end_names_what_is_around_it() -> None:
    steps = """\
        - id: box
          type: sequence
          steps: [{id: a, type: end, scope: box}]
        - {id: b, type: end, scope: box}
    """
    (problem,) = check(steps=steps)
    assert problem.message == 'step "b" ends "box", which isn\'t around it'


def test_a_python_function_is_of_a_listed_module() -> None:
    before = "python: {modules: [steps, tools.web]}\n"
    assert check(steps="- {id: a, type: python, function: 'tools.web.search:find'}", before=before) == []
    (unlisted,) = check(steps="- {id: a, type: python, function: 'step:find'}", before=before)
    assert (unlisted.code, unlisted.label) == ("AF-PYTHON-MODULE", 'did you mean "steps"?')
    (written,) = check(steps="- {id: a, type: python, function: steps.find}", before=before)
    assert "is written module:function" in written.message


@pytest.mark.parametrize(
    ("head", "steps"),
    [
        ("", "- {id: a, type: wait_for_event, topic: t, filter: 'event.x =='}"),
        ("triggers: [{type: event, topic: t, filter: 'event.x =='}]", STEP),
        ("", "- {id: a, type: wait_for_event, topic: t, filter: 'evnt.x == 1'}"),
    ],
)
def test_a_filter_that_cannot_match_anything_is_refused(head: str, steps: str) -> None:
    assert codes(check(head, steps)) == ["AF-CONDITION-SYNTAX"]
    assert check(steps="- {id: a, type: wait_for_event, topic: t, filter: 'event.x == 1'}") == []


def test_names_of_tools_and_agents_that_are_nearly_right_are_warned_about() -> None:
    steps = """\
        - {id: a, type: tool_call, tool_name: serach}
        - {id: b, type: tool_call, tool_name: search, server: serch}
        - {id: c, type: agent_run, agent: writr, prompt: x}
        - {id: d, type: tool_call, tool_name: from_elsewhere}
    """
    before = "python: {modules: [m]}\ntools: {search: {python: 'm:f'}}\nagents: {writer: {python: 'm:g'}}\n"
    problems = [problem for problem in check(steps=steps, before=before) if problem.code != "AF-SKILL-MISSING"]
    assert [(problem.code, problem.severity) for problem in problems] == [("AF-REF-PROVIDER", "warning")] * 3


# --- schemas


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{type: strng}", '"strng" is no JSON Schema type'),
        ("{properties: {a: {type: 3}}}", "the schema isn't valid (at properties.a.type)"),
        ("{required: a}", "`required` is a list of names, not text"),
        ("{$ref: 'https://example.com/x.json'}", "remote schemas are never fetched"),
        ("{$ref: 'file:///etc/passwd'}", "remote schemas are never fetched"),
        ("{$ref: '#/$defs/none'}", "the schema refers to a part that doesn't exist"),
        ("{pattern: '(?=a)'}", '"(?=a)" is no valid pattern'),
        ("{pattern: '(a'}", '"(a" is no valid pattern'),
    ],
)
def test_a_bad_schema_is_told_in_plain_words(schema: str, message: str) -> None:
    for head, steps in (
        (f"input_schema: {schema}", STEP),
        (f"output_schema: {schema}", STEP),
        ("", f"- {{id: a, type: wait_for_input, message: m, schema: {schema}}}"),
        (f"triggers: [{{type: tool, name: t, description: d, input_schema: {schema}}}]", STEP),
    ):
        (problem,) = check(head, steps)
        assert problem.code == "AF-SCHEMA-INVALID"
        assert message in problem.message


def test_every_fault_of_a_schema_is_told() -> None:
    assert codes(check("input_schema: {type: strng, properties: {a: {type: nubmer}}}")) == ["AF-SCHEMA-INVALID"] * 2


def test_a_default_answer_fits_its_schema() -> None:
    steps = "- {id: a, type: wait_for_input, message: m, schema: {type: integer, maximum: 10}, default: 12}"
    (problem,) = check(steps=steps)
    assert "12 is greater than the maximum of 10" in problem.message


# --- calls


OTHER = """\
workflows:
  a:
    steps: [{id: call, type: workflow, workflow: b}]
  b:
    steps: [{id: call, type: workflow, workflow: c}]
  c:
    steps: [{id: call, type: workflow, workflow: NAME}]
"""


def load(text: str) -> list[Problem]:
    """Return what is wrong with a whole config."""
    try:
        return load_text(text).warnings
    except DefinitionError as error:
        return list(error.problems)


@pytest.mark.case("W-Y-1")
def test_workflows_that_call_each_other_in_a_circle_are_told_once() -> None:
    (problem,) = load(OTHER.replace("NAME", "a"))
    assert problem.code == "AF-GRAPH-CALLS"
    assert "Circular dependency detected: a → b → c → a" in problem.message


@pytest.mark.case("W-Y-1")
def test_a_workflow_that_calls_itself_is_a_circle() -> None:
    (problem,) = load(OTHER.replace("NAME", "c"))
    assert "c → c (a workflow calls itself)" in problem.message


def test_an_unknown_workflow_is_refused() -> None:
    (problem,) = load(OTHER.replace("NAME", "bb"))
    assert (problem.code, problem.label) == ("AF-REF-WORKFLOW", 'did you mean "b"?')


def test_a_call_gives_the_declared_inputs() -> None:
    text = """\
workflows:
  a:
    steps: [{id: call, type: workflow, workflow: b, input: INPUT}]
  b:
    input: {subject: string, text: string?}
    steps: [{id: say, type: checkpoint, message: m}]
"""
    assert load(text.replace("INPUT", "{subject: x}")) == []
    assert load(text.replace("INPUT", '"{steps.none?}"'))[0].code == "AF-REF-STEP"
    (missing,) = load(text.replace("INPUT", "{text: x}"))
    assert missing.message == 'workflow "b" needs input "subject"'
    (unknown,) = load(text.replace("INPUT", "{subjekt: x}"))
    assert unknown.label == 'did you mean "subject"?'


# --- entry points and triggers


@pytest.mark.case("D-EP-3", "D-CH-1")
def test_an_entry_point_at_an_unknown_step_is_refused() -> None:
    (problem,) = check("entry_points: [{id: x, starts_at: y}]")
    assert problem.message == "Entry point 'x' references step 'y' which does not exist"


def test_presets_and_required_inputs_name_what_exists() -> None:
    head = """\
        input: {class_id: string}
        entry_points: [{id: x, starts_at: a, preset_results: {b: 1}, required_inputs: [clas_id]}]
    """
    preset, given = check(head)
    assert preset.message == "Entry point 'x' presets step 'b' which does not exist"
    assert (given.code, given.label) == ("AF-ENTRY-INPUT", 'did you mean "class_id"?')


def test_two_entry_points_with_one_id_are_refused() -> None:
    assert codes(check("entry_points: [{id: x, starts_at: a}, {id: x}]")) == ["AF-ENTRY-DUPLICATE"]


@pytest.mark.case("D-CH-1")
@pytest.mark.parametrize("name", ["help", "/help", "/Help", "START", "ctx", "/newThread"])
def test_slash_commands_of_channels_are_reserved(name: str) -> None:
    (problem,) = check(f"triggers: [{{type: slash, name: {name}}}]")
    assert problem.code == "AF-TRIGGER-RESERVED"
    assert f'"/{name.strip("/").lower()}"' in problem.message


@pytest.mark.case("D-CH-1")
def test_a_valid_slash_command_is_taken() -> None:
    assert check("triggers: [{type: slash, name: greet, aliases: [hi], args: [who]}]") == []


@pytest.mark.case("D-CH-1")
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("{type: slash, name: greet, aliases: [hi]}", "{type: slash, name: /HI}"),
        ("{type: slash, name: greet}", "{type: slash, name: hello, aliases: [greet]}"),
        ("{type: callback, id: open}", "{type: callback, id: open, arg: x}"),
        ("{type: message}", "{type: message}"),
    ],
)
def test_names_are_unique_over_all_entry_points(one: str, two: str) -> None:
    (problem,) = check(f"entry_points: [{{id: x, triggers: [{one}]}}, {{id: y, triggers: [{two}]}}]")
    assert problem.code == "AF-TRIGGER-DUPLICATE"
    assert problem.label is not None
    assert problem.label.startswith("the first one is at ")


@pytest.mark.parametrize("cron", ["61 9 * * *", "* * *", "0 9 31 2 *", "soon"])
def test_a_cron_expression_that_never_comes_is_refused(cron: str) -> None:
    steps = f"- {{id: a, type: recur, cron: '{cron}', max: 2, steps: [{{id: b, type: checkpoint, message: m}}]}}"
    assert codes(check(steps=steps)) == ["AF-CRON-INVALID"]
    assert len(check(f"triggers: [{{type: schedule, cron: '{cron}'}}]")) == 1


def test_an_unknown_time_zone_is_refused() -> None:
    body = "steps: [{id: b, type: checkpoint, message: m}]"
    steps = f"- {{id: a, type: recur, cron: '0 9 * * *', timezone: Europe/Berln, max: 2, {body}}}"
    (problem,) = check(steps=steps)
    assert (problem.code, problem.label) == ("AF-CRON-ZONE", 'did you mean "Europe/Berlin"?')


def test_six_fields_are_taken_and_told() -> None:
    idle, seconds = check("triggers: [{type: schedule, cron: '0 30 9 * * MON'}]")
    assert (idle.code, idle.severity) == ("AF-TRIGGER-IDLE", "warning")
    assert (seconds.code, seconds.severity) == ("AF-CRON-SECONDS", "warning")
    (idle,) = check("triggers: [{type: schedule, cron: '@daily', timezone: Asia/Tokyo}]")
    assert idle.code == "AF-TRIGGER-IDLE"


@pytest.mark.parametrize(("kind", "told"), [("type: webhook, path: /paid", ["AF-TRIGGER-IDLE"]), ("type: manual", [])])
def test_a_trigger_that_nothing_listens_for_is_told(kind: str, told: list[str]) -> None:
    assert [problem.code for problem in check(f"triggers: [{{{kind}}}]")] == told


# --- size


def test_nesting_has_an_end() -> None:
    step = Step(id="s", type="set", config={"value": 1})
    for _ in range(60):
        step = Step(id="s", type="sequence", bodies={"steps": Body(steps=(step,))})
    (problem,) = check_workflow(Workflow(id="w", steps=(step,)), registry.find, env=EnvInfo())
    assert problem.code == "AF-DEFINITION-DEPTH"


def test_size_has_an_end() -> None:
    step = Step(id="s", type="set", config={"value": "x" * (16 * 1024 * 1024)})
    (problem,) = check_workflow(Workflow(id="w", steps=(step,)), registry.find, env=EnvInfo())
    assert problem.code == "AF-DEFINITION-SIZE"
