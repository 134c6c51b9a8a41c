"""References in templates and conditions: unknown names, order, types."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from tests.definition.checking import check, codes, marked, problems_of


def test_an_unknown_step_is_underlined_inside_the_template() -> None:
    steps = """\
        - {id: summarise, type: set, values: {total: 28}}
        - {id: say, type: checkpoint, message: "Total {steps.summarize.total}"}
    """
    (problem,) = check(steps)
    assert problem.code == "AF-REF-STEP"
    assert problem.message == 'unknown step "summarize" in a template'
    assert problem.label == 'did you mean "summarise"?'
    assert marked(problem, steps) == "summarize"


@pytest.mark.parametrize("field", ["if", "skip_if"])
@pytest.mark.parametrize("text", ["{steps.nope.ok}", "!{steps.nope.ok}", '{steps.nope.ok} == "v"', "steps.nope.ok > 3"])
def test_conditions_of_every_form_are_looked_into(field: str, text: str) -> None:
    steps = f"""\
        - {{id: first, type: set, values: {{ok: true}}}}
        - {{id: say, type: checkpoint, message: m, {field}: '{text}'}}
    """
    (problem,) = check(steps)
    assert problem.message == 'unknown step "nope" in a condition'
    assert marked(problem, steps) == "nope"


def test_a_reference_looks_outwards() -> None:
    steps = """\
        - {id: first, type: set, values: {ok: true}}
        - id: box
          type: sequence
          steps:
            - {id: a, type: set, values: {n: 1}}
            - id: inner
              type: parallel
              steps:
                - {id: b, type: checkpoint, message: "{steps.first.ok} {steps.a.n}"}
        - {id: last, type: checkpoint, message: "{steps.box.a.n} {steps.box.inner.b.message}"}
    """
    assert check(steps) == []


def test_a_step_inside_a_container_is_read_through_it() -> None:
    steps = """\
        - id: box
          type: sequence
          steps: [{id: a, type: set, values: {n: 1}}]
        - {id: last, type: checkpoint, message: "{steps.a.n}"}
    """
    (problem,) = check(steps)
    assert (problem.code, problem.label) == ("AF-REF-STEP", '"a" is inside "box"')
    assert problem.hint == "write {steps.box.a}"


def test_the_other_branch_cannot_be_read() -> None:
    steps = """\
        - id: choose
          type: condition
          expression: "{run.id}"
          if_true: [{id: a, type: set, values: {n: 1}}]
          if_false: [{id: b, type: checkpoint, message: "{steps.a.n}"}]
    """
    (problem,) = check(steps)
    assert problem.code == "AF-REF-STEP"


def test_a_step_that_may_run_at_the_same_time_is_refused() -> None:
    steps = """\
        - {id: a, type: set, values: {n: 1}, execution: parallel}
        - {id: b, type: checkpoint, message: "{steps.a.n}", execution: parallel}
    """
    (problem,) = check(steps)
    assert (problem.code, problem.severity) == ("AF-REF-ORDER", "error")
    assert problem.hint == 'give "b" depends_on: [a], or write {steps.a.n?} for null'


def test_a_question_mark_allows_a_step_that_may_not_be_done() -> None:
    steps = """\
        - {id: a, type: set, values: {n: 1}, execution: parallel}
        - {id: b, type: checkpoint, message: "{steps.a.n?}", execution: parallel}
    """
    assert check(steps) == []


def test_order_is_asked_for_through_containers() -> None:
    steps = """\
        - id: left
          type: sequence
          execution: parallel
          steps: [{id: a, type: checkpoint, message: "{steps.right.b.n}"}]
        - id: right
          type: sequence
          execution: parallel
          steps: [{id: b, type: set, values: {n: 1}}]
    """
    (problem,) = check(steps)
    assert problem.message == 'step "a" reads "right", which isn\'t surely done before "left" starts'


def test_a_step_cannot_read_itself_except_in_update() -> None:
    steps = """\
        - {id: a, type: set, values: {n: "{steps.a.n}"}}
        - {id: b, type: set, values: {n: 1}, update: {found: "{steps.b.n}"}}
    """
    (problem,) = check(steps, "context: [found]")
    assert problem.message == 'step "a" reads its own result'


def test_loops_see_the_iteration_before_and_their_conditions_see_inside() -> None:
    steps = """\
        - id: again
          type: while
          condition: "steps.look.more != false"
          max_iterations: 5
          steps:
            - {id: say, type: checkpoint, message: "{steps.look.more} {index}"}
            - {id: look, type: set, values: {more: false}}
        - id: ask
          type: poll
          until: "{steps.body.body.ready}"
          body: {type: api_call, url: "https://x.example.com"}
        - id: daily
          type: recur
          interval: 1d
          until: "{steps.count.n} == \\"3\\""
          max: 3
          steps: [{id: count, type: set, values: {n: 3}}]
    """
    assert check(steps) == []


def test_hooks_and_compensation_read_what_may_not_have_run() -> None:
    steps = """\
        - id: order
          type: saga
          steps:
            - id: pay
              type: set
              values: {n: 1}
              compensate: {type: checkpoint, message: "{steps.pay.n} {steps.ship.n}"}
            - {id: ship, type: set, values: {n: 1}}
          on_failure: [{id: tell, type: checkpoint, message: "{steps.ship.n} {steps.last.n}"}]
        - {id: last, type: set, values: {n: 1}}
    """
    head = """\
        on_failure: [{id: alarm, type: checkpoint, message: "{steps.last.n} {run.steps.last.error.code}"}]
        finally: [{id: clean, type: checkpoint, message: "{steps.order}"}]
    """
    assert check(steps, head) == []


def test_states_of_unknown_steps_are_refused() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: "{run.steps.b.state}"}
    """
    (problem,) = check(steps)
    assert problem.message == 'unknown step "b" in a template'


def test_inputs_are_checked_only_where_the_schema_has_properties() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: "{input.regoin}"}
    """
    assert check(steps) == []
    assert check(steps, "input_schema: {type: object}") == []
    assert check(steps, "input_schema: {properties: {region: {}}, additionalProperties: true}") == []
    (problem,) = check(steps, "input: {region: string}")
    assert (problem.code, problem.label) == ("AF-REF-INPUT", 'did you mean "region"?')


def test_inner_fields_of_an_input_are_checked_too() -> None:
    head = "input_schema: {properties: {user: {type: object, properties: {name: {type: string}}}}}"
    steps = """\
        - {id: a, type: checkpoint, message: "{input.user.nmae} {input.user.name.first}"}
    """
    first, second = check(steps, head)
    assert first.message == 'undeclared input "user.nmae" in a template'
    assert (second.message, second.label) == (
        'undeclared input "user.name.first" in a template',
        "it is declared as string",
    )


def test_loop_names_have_values_only_inside() -> None:
    steps = """\
        - id: each
          type: for_each
          in: "{input.files}"
          item: file
          index: number
          steps: [{id: a, type: checkpoint, message: "{file.name} {number}"}]
        - {id: b, type: checkpoint, message: "{item} of {index}", for_each: "{input.files}"}
        - {id: c, type: checkpoint, message: "{item}"}
    """
    (problem,) = check(steps)
    assert problem.code == "AF-REF-LOOP"
    assert marked(problem, steps) == "{item}"


def test_what_is_before_the_items_does_not_see_them() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: m, for_each: "{input.files}", if: "{item.ok}"}
    """
    assert codes(check(steps)) == ["AF-REF-LOOP"]


def test_unknown_names_of_env_context_and_with_are_refused() -> None:
    steps = """\
        - {id: a, type: checkpoint, with: {name: x}, message: "{env.PATHS} {context.finding} {with.nmae}"}
        - {id: b, type: checkpoint, message: "{context.last_response} {with.name}"}
    """
    problems = check(steps, "context: [findings]", "env: [{name: PATH, public: true}]\n")
    assert codes(problems) == ["AF-REF-ENV", "AF-REF-CONTEXT", "AF-REF-WITH", "AF-REF-WITH"]


def test_results_with_a_known_form_are_checked_by_field() -> None:
    steps = """\
        - {id: fetch, type: api_call, url: "https://x.example.com"}
        - {id: a, type: checkpoint, message: "{steps.fetch.body.items[0].id} {steps.fetch.boody}"}
        - {id: each, type: set, values: {x: "{item}"}, for_each: "{steps.fetch.body.items}"}
        - {id: b, type: checkpoint, message: "{steps.each[0].x} {steps.each.0.x} {steps.a.missing?}"}
    """
    (problem,) = check(steps)
    assert (problem.code, problem.label) == ("AF-REF-FIELD", 'did you mean "body"?')


def test_jsonpath_names_its_step() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: "{$.steps.fetch.items[?(@.ok == true)].id}"}
    """
    (problem,) = check(steps)
    assert problem.message == 'unknown step "fetch" in a template'


def test_distris_files_warn_about_order_and_search_the_context() -> None:
    steps = """\
        - {id: a, label: A, kind: {type: checkpoint, message: "{context.anything} {steps.b.message}"}}
        - {id: b, label: B, kind: {type: checkpoint, message: b}}
    """
    (problem,) = check(steps)
    assert (problem.code, problem.severity) == ("AF-REF-ORDER", "warning")


def test_distris_mapping_is_seen_at_the_top() -> None:
    steps = """\
        - id: a
          label: A
          kind: {type: checkpoint, message: "{doc} {with.doc} {context.doc}"}
          input: {doc: "{input.x}"}
    """
    assert check(steps) == []


# --- declared types


@pytest.mark.case("F-MAC-1")
def test_two_schemas_that_do_not_fit_are_told_with_both_steps() -> None:
    steps = """\
        - id: ask
          type: wait_for_input
          message: Which page?
          schema: {type: object, properties: {page: {type: string}}, required: [page]}
        - {id: print, type: workflow, workflow: printing, input: {page: "{steps.ask.page}"}}
    """
    other = """\
  printing:
    input: {page: integer}
    steps: [{id: say, type: checkpoint, message: m}]
"""
    (problem,) = problems_of(f"workflows:\n{other}  w:\n    steps:\n{indent(dedent(steps), '      ')}")
    assert problem.code == "AF-REF-TYPE"
    assert 'called by step "print"' in problem.message
    assert 'step "ask" declares {steps.ask.page} as string' in problem.message


def test_numbers_of_both_kinds_fit_each_other() -> None:
    steps = """\
        - {id: ask, type: wait_for_input, message: m, schema: {type: number}}
    """
    assert check(steps, 'output_schema: {type: integer}\noutput: "{steps.ask}"') == []
    assert codes(check(steps, 'output_schema: {type: string}\noutput: "{steps.ask}"')) == ["AF-REF-TYPE"]


def test_a_loop_needs_a_list() -> None:
    steps = """\
        - {id: a, type: checkpoint, message: m, for_each: "{input.file}"}
    """
    assert codes(check(steps, "input: {file: string}")) == ["AF-REF-TYPE"]
    assert check(steps, "input: {file: array}") == []


ROUTES = ["{input.kind} == 'aprove'", "input.kind == 'aprove'", "{input.kind} != 'aprove'"]


@pytest.mark.case("F-RUN-4")
@pytest.mark.parametrize(
    "condition", ["{input.kind} == 'aprove'", "input.kind == 'aprove'", "{input.kind} != 'aprove'"]
)
def test_a_route_that_no_declared_value_takes_is_refused(condition: str) -> None:
    steps = f"""\
        - id: route
          type: switch
          cases:
            - when: "{condition}"
              steps: [{{id: a, type: checkpoint, message: m}}]
    """
    head = "input_schema: {properties: {kind: {enum: [approve, reject]}}}"
    (problem,) = check(steps, head)
    assert (problem.code, problem.label) == ("AF-CONDITION-NEVER", 'did you mean "approve"?')


def test_comparisons_with_declared_values_are_fine() -> None:
    head = "input_schema: {properties: {kind: {enum: [approve, reject]}, ok: {type: boolean}, text: {type: string}}}"
    steps = """\
        - {id: a, type: checkpoint, message: m, if: '{input.kind} == "approve"'}
        - {id: b, type: checkpoint, message: m, if: '{input.ok} == "true"'}
        - {id: c, type: checkpoint, message: m, if: '{input.text} == "anything"'}
    """
    assert check(steps, head) == []


@pytest.mark.parametrize("field", ['max_iterations: "{index}"', 'max_iterations: "{steps.look}"'])
def test_only_the_condition_of_a_loop_sees_its_iterations(field: str) -> None:
    steps = f"""
        - id: again
          type: while
          condition: "index < 3 && steps.look == null"
          {field}
          steps: [{{id: look, type: set, value: 1}}]
    """
    assert codes(check(steps)) == ["AF-REF-LOOP" if "index" in field else "AF-REF-STEP"]
