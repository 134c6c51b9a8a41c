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


@pytest.mark.slow
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


TEXTS = [
    "plain",
    "it's",
    'say "hi"',
    "a b ] } (",
    "",
    "ü€",
    "true",
    "10",
    "a/b",
    "a..b..c",
    "a\\b",
    "x?",
    " x ",
    "a\nb",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_filter_compares_with_any_quoted_text(text: str, quote: str) -> None:
    written = quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote
    seen = Fake(input={"rows": [{"q": one, "n": number} for number, one in enumerate([*TEXTS, 10, True, None])]})
    assert render(f"{{$.input.rows[?(@.q == {written})].q}}", seen) == [text]
    others = render(f"{{$.input.rows[?(@.q != {written})].n}}", seen)
    assert others == [number for number in range(len(TEXTS) + 3) if number != TEXTS.index(text)]


MIX = [{"p": 1, "q": "a"}, {"p": 2, "q": "b"}, {"p": 3, "q": "a"}, {"p": "x", "q": 5}]


@pytest.mark.parametrize(
    ("test", "found"),
    [
        ('@.q == "a" || @.q == "b"', [1, 2, 3]),
        ('@.p > 1 && @.q != "b"', [3]),
        ('@.p == 1 || @.p == 3 && @.q == "a"', [1, 3]),
        ('(@.p == 1 || @.p == 2) && @.q == "b"', [2]),
        ('@["q"] == "a"', [1, 3]),
        ('@.q < "b"', [1, 3]),
        ('@.q >= "b"', [2]),
        ("@.q == $.input.wanted", [2]),
        ("@.p <= 2", [1, 2]),
        ("@.p > 1.5", [2, 3]),
        ("@.q == null", []),
    ],
)
def test_every_documented_comparison_selects(test: str, found: list[int]) -> None:
    assert render(f"{{$.input.mix[?({test})].p}}", Fake(input={"mix": MIX, "wanted": "b"})) == found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.input.n / 2", 3.5),
        ("$.input.n/2", 3.5),
        ("$.input.n / $.input.m", 3.5),
        ("$.input.n / 3.5", 2.0),
        ("$.input.n / -2", -3.5),
        ("$.input['a/b'] / $.input.n", 2),
        ("$.input.huge / 5", 2 * 10**30),
        ("$.input.n - 1", 6),
        ("$.input.n - 1.5", 5.5),
        ("$.input.n * -2", -14),
        ("$.input.n + $.input.m", 9),
    ],
)
def test_one_operator_stands_between_two_numbers(path: str, value: float) -> None:
    made = render(f"{{{path}}}", Fake(input={"n": 7, "m": 2, "a/b": 14, "huge": 10**31}))
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize("path", ["$.input.n / 0", "$.input.s / 2", "$.input.huge / 0.5"])
def test_a_division_that_gives_no_number_fails_the_step(path: str) -> None:
    with pytest.raises(StepError) as caught:
        render(f"{{{path}}}", Fake(input={"n": 7, "s": "text", "huge": 10**400}))
    assert caught.value.code == "AF-REF-JSONPATH"


@pytest.mark.parametrize(
    ("path", "says", "hint"),
    [
        ("{$.input.n / 2 / 2}", "one operator at most", "compute in steps: set, then set again"),
        ("{$.input.n // 2}", "one operator at most", "compute in steps: set, then set again"),
        ("{$.input.a[*] / 2}", "an operator takes numbers and single values", None),
        ('{$.input.a[?("x" == @.q)]}', "a filter compares a path", 'the path stands first: [?(@.name == "x")]'),
        (
            r'{$.input.a[?(@.q == "\n")]}',
            r"a quoted text has only \\ and escaped quotes, no \n",
            "write the character itself",
        ),
    ],
)
def test_what_a_path_does_not_know_is_told_with_the_way_to_write_it(path: str, says: str, hint: str | None) -> None:
    error = refused(lambda: compile_value(path))
    assert says in error.what
    assert hint is None or error.hint == hint
