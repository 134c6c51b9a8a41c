"""What loops go over: a text is no list, however much it looks like one."""

from __future__ import annotations

import pytest

from tests.definition.checking import check, codes, marked

FIELD = "- {{id: a, for_each: {items}, type: set, value: 1}}\n"
MAPPING = "- {{id: a, for_each: {{in: {items}, max_parallel: 2}}, type: set, value: 1}}\n"
STEP = "- {{id: a, type: for_each, in: {items}, steps: [{{id: b, type: set, value: 1}}]}}\n"


@pytest.mark.parametrize(
    ("form", "field"), [(FIELD, "for_each"), (MAPPING, "in"), (STEP, "in")], ids=["field", "mapping", "step"]
)
@pytest.mark.parametrize(
    ("items", "label"),
    [
        ('"{[1,2]}"', "write [1,2]"),
        ('\'["a", "b"]\'', 'write ["a", "b"]'),
        ('"{ [1, 2] }"', "write [1, 2]"),
        ('"a, b"', None),
        ('"{input.a}{input.b}"', None),
        ('"files: {input.a}"', None),
    ],
)
def test_a_text_to_loop_over_is_told_with_how_a_list_is_written(
    form: str, field: str, items: str, label: str | None
) -> None:
    steps = form.format(items=items)
    (problem,) = check(steps, "input: {a: any, b: any}")
    assert (problem.code, problem.severity) == ("AF-FIELD-TYPE", "error")
    assert problem.message.startswith(f'"{field}" of step "a" must be a list, not the text "')
    assert problem.label == label
    assert problem.hint == "write a list, such as [1, 2], or exactly one reference to one, such as {input.files}"
    assert marked(problem, steps) in (items, items.strip("'\""))


@pytest.mark.parametrize(("value", "told"), [("3", "3"), ("true", "true"), ("{a: 1}", "a mapping")])
def test_what_is_no_list_and_no_text_is_told_too(value: str, told: str) -> None:
    (problem,) = check(STEP.format(items=value))
    assert (problem.code, problem.message) == ("AF-FIELD-TYPE", f'"in" of step "a" must be a list, not {told}')


@pytest.mark.parametrize("items", ["[1, 2]", "[]", '"{input.a}"', '"{input.a?}"', '"{$.input.a[*]}"', '["{input.a}"]'])
def test_lists_and_references_are_no_problem(items: str) -> None:
    for form in (FIELD, MAPPING, STEP):
        assert codes(check(form.format(items=items), "input: {a: any}")) == []


def test_a_text_that_is_no_template_is_told_once() -> None:
    assert codes(check(FIELD.format(items='"{input.a[}"'), "input: {a: any}")) == ["AF-TEMPLATE-SYNTAX"]
