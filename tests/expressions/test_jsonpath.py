"""JSONPath in templates."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.errors import StepError
from agentflow.expressions import compile_value
from tests.expressions.views import Fake, lacks, refused, render

ITEMS = [{"id": 1, "ok": True, "tags": ["x"]}, {"id": 2, "ok": False}, {"id": 3, "ok": True, "in": {"id": 9}}]


def view() -> Fake:
    return Fake(
        {"fetch": {"items": ITEMS, "n": 3, "a.b": {"c": 1}}, "other": 1, "x y%": {"z": 5}},
        input={"id": 3, "s": "text", "}": "brace"},
        env={"E": "e"},
        run={"id": "r"},
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("{$.steps.fetch.items[?(@.ok == true)].id}", [1, 3]),
        ("{$.steps.fetch.items[?@.ok == true].id}", [1, 3]),
        ("{$.steps.fetch.items[?(@.id > 1 && @.ok == true)].id}", [3]),
        ("{$.steps.fetch.items[?(@.id == $.input.id)].ok}", [True]),
        ("{$.steps.fetch.items[?(@.tags)].id}", [1]),
        ("{$.steps.fetch.items[?(@.id == 99)].id}", []),
        ("{$.steps.fetch.items[*].id}", [1, 2, 3]),
        ("{$.steps.fetch.items[1:].id}", [2, 3]),
        ("{$.steps.fetch.items[0,1].id}", [1, 2]),
        ("{$.steps.fetch..id}", [1, 2, 3, 9]),
        ("{$.steps.fetch.items[*].nope}", []),
        ("{$.steps.fetch.items[0].id}", 1),
        ("{$.steps.fetch.items[-1].id}", 3),
        ("{$.steps['fetch']['a.b'].c}", 1),
        ("{$['steps']['fetch'].n}", 3),
        ("{$.steps['x y%'].z}", 5),
        ("{$.input['}']}", "brace"),
        ("{$.steps.fetch.items.`len`}", 3),
        ("{$.steps.fetch.items[2].`keys`}", ["id", "ok", "in"]),
        ("{$.steps.fetch.n + 1}", 4),
        ("{$.input.id * $.steps.fetch.n}", 9),
        ("{$.env.E}", "e"),
        ("{$.run.id}", "r"),
        ("ids: {$.steps.fetch.items[*].id}!", "ids: [1,2,3]!"),
        ("{$.steps.fetch.nope?}", None),
    ],
)
def test_a_definite_path_gives_the_value_and_others_the_list(path: str, value: Any) -> None:
    assert render(path, view()) == value


def test_only_what_a_path_begins_with_is_read() -> None:
    seen = view()
    render("{$.steps.fetch.items[?(@.id == $.input.id)].id}", seen)
    assert seen.read == ["steps.fetch", "input"]


def test_references_inside_a_filter_are_listed_too() -> None:
    path, inner = compile_value({"q": "{$.steps.f.items[?(@.n == $.input.n)].id}"}).references
    assert (path.namespace, path.path, path.step_id, path.jsonpath) == ("steps", ("f", "items"), "f", True)
    assert (inner.namespace, inner.path, inner.step_id, inner.value_path) == ("input", ("n",), None, ("q",))


def test_distris_context_is_searched_here_too() -> None:
    seen = Fake({"fetch": {"items": ITEMS}}, input={}, env={})
    assert render("{$.context.fetch.items[*].id}", seen, dialect="distri") == [1, 2, 3]


def test_a_missing_beginning_of_a_list_is_told() -> None:
    error = lacks(lambda: render("{$.steps.gone.items[*].id}", view()))
    assert error.what.startswith('"{$.steps.gone.items[*].id}" has no value: step "gone" has no result here')


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("{$.steps.fetch.items[?(@.ok == true].id}", "isn't closed"),
        ("{$.steps.fetch.items[?(@.id = )]}", "this is no JSONPath"),
        ("{$.steps.fetch.items[?(@.ok == True)]}", "a text in a filter needs quotes"),
        ("{$..id}", "it must begin with a namespace"),
        ("{$[*]}", "it must begin with a namespace"),
        ("{$.steps}", "it must name a step: $.steps.ID"),
        ("{$.steps[*].id}", "it must name a step: $.steps.ID"),
        ("{$.steps.a..b..c}", "`..` at most once"),
        ("{$.steps.a[?(@.s =~ '^(a+)+$')]}", "a filter has no regular expressions"),
        ("{$.steps.a.`sub(/(a+)+$/, b)`}", "this part of JSONPath isn't supported"),
        ("{$.steps.a.`parent`}", "this part of JSONPath isn't supported"),
        ("{$.steps.a.b + 1 * 2}", "one operator at most"),
        ("{$.steps.a[*] * 2}", "an operator takes numbers and single values"),
        ("{$.steps.a[?(@.x == $.nope.y)]}", "it must begin with a namespace"),
        ("{$.input." + "a." * 600 + "b}", "at most 1000 characters"),
    ],
)
def test_what_is_no_path_or_has_no_bounds_is_refused(path: str, says: str) -> None:
    error = refused(lambda: compile_value(f"x {path}"))
    assert says in error.what
    assert (error.code, error.offset) == ("AF-TEMPLATE-SYNTAX", 2)


@pytest.mark.parametrize("path", ["{$.input.s * 1000000000}", "{$.input.s + 1}", "{$.input.id + $.input.s}"])
def test_arithmetic_takes_numbers_only(path: str) -> None:
    with pytest.raises(StepError) as caught:
        render(path, view())
    assert (caught.value.code, caught.value.retryable) == ("AF-REF-JSONPATH", False)


def test_a_path_that_finds_too_much_fails_the_step() -> None:
    big = Fake({"a": {"x": [[0] * 400 for _ in range(400)]}})
    with pytest.raises(StepError, match="finds more than 100,000 values"):
        render("{$.steps.a.x[*][*]}", big)


def test_two_dots_do_not_look_through_a_huge_value() -> None:
    big = Fake({"a": {"x": [{"id": number} for number in range(60_000)]}})
    with pytest.raises(StepError, match=r'"\$\.steps\.a\.\.id" looks through more than 100,000 values') as caught:
        render("{$.steps.a..id}", big)
    assert caught.value.hint == "write the path without .."
    assert len(render("{$.steps.a.x[*].id}", big)) == 60_000
