"""Conditions in CEL: references as operands, missing values as null."""

from __future__ import annotations

import pytest

from agentflow.errors import StepError
from agentflow.expressions import NAMESPACES, NULLED, compile_condition
from tests.expressions.views import Fake, holds, lacks, refused

VIEW = Fake(
    {"fetch": {"count": 4, "items": [{"id": 1, "ok": True}, {"id": 2, "ok": False}]}, "a-b": {"n": 1}, "none": NULLED},
    input={
        "n": 3, "f": 1.5, "s": "abc", "yes": True, "no": False, "list": [1, 2, 3], "empty": [], "null": None,
        "deep": {"er": {"x": 1}}, "dash-ed": 5, "big": 2**70, "huge": 10**400, "map": {"k": 1},
        "long": list(range(5000)),
    },
    env={"MODE": "full"},
    item={"ok": True},
    index=2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("steps.fetch.count > 3", True),
        ("{steps.fetch.count} > 3", True),
        ("{steps.fetch.count} > 3 && input.s == 'abc'", True),
        ("{steps.a-b.n} == 1 && true", True),
        ("{steps.fetch.items.0.id} == 1 && steps.fetch.items[1].id == 2", True),
        ("{$.steps.fetch.items[?(@.ok == true)].id} == [1]", True),
        ("size({$.steps.fetch.items[*].id}) == 2", True),
        ("input['dash-ed'] == 5 && true", True),
        ("input.`dash-ed` == 5 && true", True),
        ("input.n - input.n == 0", True),
        ("env.MODE in ['full', 'quick']", True),
        ("item.ok && index == 2", True),
        ("input.n + 1 == 4 && input.n * 2 == 6", True),
        ("input.f * 2.0 == 3.0", True),
        ("input.n == 3 ? input.s == 'abc' : false", True),
        ("input.s.startsWith('a') && input.s.contains(\"b\") && input.s.matches('^a.c$')", True),
        ("size(input.s) == 3 && input.list.size() == 3 && size(input.map) == 1", True),
        ("size(input.long) == 5000 && input.long.size() > 4999", True),
        ("2 in input.list && !(9 in input.list)", True),
        ("'k' in input.map", True),
        ("input.list[input.n - 1] == 3", True),
        ("input.map == {'k': 1} && {'a': input.n}.a == 3", True),
        ("input.big > 5 && input.huge > 5", True),
        ("input.n == 3 // {input.nope", True),
        ("'{x}' != input.s && '//' != input.s", True),
        ("r'\\{' != input.s", True),
        ("input.list.all(item, item > 0) && item.ok", True),
        ("steps.fetch.items.exists(item, item.ok && item.id == 1)", True),
        ("input.list.map(n, n * input.n) == [3, 6, 9]", True),
        ("input.list.filter(x, x > input.n).size() == 0", True),
        ("timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z')", True),
    ],
)
def test_references_are_operands_with_and_without_braces(condition: str, value: bool) -> None:
    assert holds(condition, VIEW) is value


@pytest.mark.case("W-C-1")
@pytest.mark.parametrize(
    ("flags", "every", "some", "one"),
    [
        ([], True, False, False),
        ([True], True, True, True),
        ([False], False, False, False),
        ([True, False], False, True, True),
        ([True, True], True, True, False),
        ([False, False], False, False, False),
    ],
)
def test_all_any_none_one_of_and_not_have_their_truth_tables(
    flags: list[bool], every: bool, some: bool, one: bool
) -> None:
    view = Fake(input={"flags": flags})
    assert holds("input.flags.all(f, f)", view) is every
    assert holds("input.flags.exists(f, f)", view) is some
    assert holds("input.flags.exists_one(f, f)", view) is one
    assert holds("!input.flags.exists(f, f)", view) is not some
    if len(flags) == 2:
        pair = Fake(input={"a": flags[0], "b": flags[1]})
        assert holds("input.a && input.b", pair) is every
        assert holds("input.a || input.b", pair) is some
        assert holds("!(input.a || input.b)", pair) is not some


@pytest.mark.case("W-C-1")
@pytest.mark.parametrize(
    ("operator", "less", "equal", "greater"),
    [
        ("==", False, True, False),
        ("!=", True, False, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_each_comparison_of_numbers_and_of_texts(operator: str, less: bool, equal: bool, greater: bool) -> None:
    view = Fake(input={"n": 2, "s": "m"})
    for other, text, value in ((3, "'n'", less), (2, "'m'", equal), (1, "'l'", greater)):
        assert holds(f"input.n {operator} {other}", view) is value
        assert holds(f"input.n {operator} {other}.0 && true", view) is value
        assert holds(f"input.s {operator} {text} && true", view) is value


@pytest.mark.case("W-C-1")
@pytest.mark.parametrize(
    "ref", ["input.gone", "{input.gone}", "steps.gone.x.y", "input.n.x", "{steps.none.x}", "input.null"]
)
def test_a_missing_value_is_null_and_allows_equality_only(ref: str) -> None:
    assert not holds(f"{ref} == 1", VIEW)
    assert holds(f"{ref} != 1", VIEW)
    assert holds(f"{ref} == null && true", VIEW)
    assert not holds(f"{ref} in [1, 2]", VIEW)
    for operator in ("<", "<=", ">", ">="):
        error = lacks(lambda operator=operator: holds(f"{ref} {operator} 1", VIEW))
        assert error.what.startswith(f'"{ref}" has no value: ')
        assert error.hint == f"ask first: {ref} != null && …"


@pytest.mark.case("W-C-1")
def test_ordering_a_text_and_a_number_is_an_error() -> None:
    with pytest.raises(StepError) as caught:
        holds("{input.s} > 3", VIEW)
    error = caught.value
    assert error.what == (
        'the condition "{input.s} > 3" can\'t be decided: ">" doesn\'t work on a text and a whole number'
    )
    assert (error.code, error.kind, error.retryable) == ("AF-CONDITION-FAILED", "reference", False)
    assert error.hint == "{input.s} is a text"


@pytest.mark.case("W-C-1")
def test_results_are_named_by_their_step_without_any_prefix() -> None:
    """Leading `outputs` of a predecessor's paths: here a step's result begins right after its id."""
    assert holds("steps.fetch.count == 4", VIEW)
    assert holds("steps.fetch.outputs == null", VIEW)


def test_a_question_about_a_missing_value_decides_before_it_is_needed() -> None:
    assert not holds("input.gone != null && input.gone > 3", VIEW)
    assert holds("input.gone == null || input.gone > 3", VIEW)
    assert holds("has(input.n) && !has(input.gone) && !has({steps.gone.x}) && has(input.null)", VIEW)
    assert holds("input.?gone.orValue(7) == 7 && input.?n.orValue(7) == 3", VIEW)
    assert holds("input.deep.?er.?x.hasValue() && !input.deep.?no.x.hasValue()", VIEW)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("input.s && input.yes", True),
        ("{input.gone} || {input.n} > 2", True),
        ("!{input.empty} && !input.gone", True),
        ("!input.s || input.no", False),
        ("input.list ? input.yes : input.no", True),
        ("(input.s || false) && true", True),
        ("true && (false || input.gone)", False),
    ],
)
def test_where_only_true_or_false_fits_a_reference_counts_as_in_distri(condition: str, value: bool) -> None:
    assert holds(condition, VIEW) is value


def test_only_what_a_condition_reads_is_read_and_once() -> None:
    view = Fake({"fetch": {"count": 4}}, input={"n": 1})
    assert holds("steps.fetch.count > 3 && steps.fetch.count < 9 && {steps.fetch.count} == 4", view)
    assert view.read == ["steps.fetch"]


def test_references_are_listed_in_order_with_their_places() -> None:
    text = "has(input.x) && {steps.a-b.n} > 1 && steps.c.items.all(i, i > env.N)"
    found = compile_condition(text).references
    assert [one.text for one in found] == ["input.x", "{steps.a-b.n}", "steps.c.items", "env.N"]
    assert all(text[one.offset : one.offset + one.length] == one.text for one in found)


def test_names_of_items_are_operands_too() -> None:
    view = Fake(file={"size": 10})
    condition = compile_condition("file.size > 5 && true", NAMESPACES | {"file"})
    assert condition.evaluate(view)
    assert 'unknown name "file' in refused(lambda: compile_condition("file.size > 5 && true")).what


def test_a_hundred_terms_and_five_hundred_are_fine() -> None:
    for count in (100, 500):
        assert holds(" && ".join(["input.n == 3"] * count), VIEW)
        assert not holds(" || ".join([f"input.n == {n + 10}" for n in range(count)]), VIEW)


@pytest.mark.parametrize("condition", ["{steps.nope.x}", "steps.nope.x > 3 && true", "{$.steps.nope.x[*].y} == []"])
def test_an_unknown_step_is_found_when_it_is_compiled(condition: str) -> None:
    error = refused(lambda: compile_condition(condition, steps=["fetch", "nop"]))
    assert (error.code, error.what, error.label) == (
        "AF-REF-STEP",
        'unknown step "nope" in a condition',
        'did you mean "nop"?',
    )
    assert condition[error.offset :].startswith(("{steps", "steps", "{$"))
    assert compile_condition(condition, steps=["nope"]).references[0].step_id == "nope"
