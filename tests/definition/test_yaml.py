"""YAML documents: what values they have, what is refused, and where things stand."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.definition.source import Document, load_document
from agentflow.errors import DefinitionError, Problem


def load(text: str) -> Document:
    return load_document(text, "a.yaml")


def refused(text: str) -> list[Problem]:
    with pytest.raises(DefinitionError) as caught:
        load(text)
    return list(caught.value.problems)


def seen(problem: Problem) -> tuple[str, int, int, int]:
    assert problem.place is not None
    return (problem.code, problem.place.line, problem.place.column, problem.place.length)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("0o10", 8),
        ("0x1F", 31),
        ("010", 10),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("'5'", "5"),
        ('"true"', "true"),
        ("True", True),
        ("~", None),
        ("", None),
        ("null", None),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_plain_scalars_are_read_as_yaml_1_2_says(written: str, value: Any) -> None:
    assert load(f"a:\n  {written}").data == {"a": value}


def test_keys_are_text_as_they_are_written() -> None:
    assert load("1: a\ntrue: b\nnull: c").data == {"1": "a", "true": "b", "null": "c"}


@pytest.mark.case("W-Y-1")
def test_an_alias_repeats_its_anchor() -> None:
    assert load("a: &x [1, 2]\nb: *x").data == {"a": [1, 2], "b": [1, 2]}


def test_a_value_under_an_alias_is_placed_at_its_anchor() -> None:
    place = load("a: &x {k: [1, 2]}\nb: *x").place("/b/k/1")
    assert place is not None
    assert (place.line, place.column) == (1, 15)


@pytest.mark.parametrize(
    ("text", "expected", "message"),
    [
        ("a: 1\nb: 2\na: 3", ("AF-KEY-DUPLICATE", 3, 1, 1), 'key "a" appears twice in one mapping'),
        ("a: !x 1", ("AF-YAML-TAG", 1, 4, 4), "tags such as !x aren't supported"),
        ("a: {<<: 1}", ("AF-YAML-MERGE", 1, 5, 2), "merge keys (`<<`) aren't supported"),
        ("a: 1\n---\nb: 1", ("AF-YAML-DOCUMENTS", 2, 1, 3), "a file holds one document, and here a second one begins"),
        ("a: *x", ("AF-YAML-ALIAS", 1, 4, 2), "no anchor &x stands before this alias"),
        ("a: &x [*x]", ("AF-YAML-ALIAS", 1, 8, 2), "no anchor &x stands before this alias"),
        (
            "a: .inf",
            ("AF-NUMBER-RANGE", 1, 4, 4),
            "infinity and NaN have no JSON form; quote it if it is meant as text",
        ),
        ("a: 1e999", ("AF-NUMBER-RANGE", 1, 4, 5), "the number is too large; quote it if it is meant as text"),
        ("? [a]\n: b", ("AF-YAML-KEY", 1, 3, 1), "a key must be a text, not a list or a mapping"),
        ("a:\n\tb: 1", ("AF-YAML-SYNTAX", 2, 1, 1), "not valid YAML: a tab in the indentation"),
        ("a: b: c", ("AF-YAML-SYNTAX", 1, 5, 1), "not valid YAML: a colon starts a second value"),
        ("a: @x", ("AF-YAML-SYNTAX", 1, 4, 1), "not valid YAML: this character can't start a value"),
        ("a: \x01", ("AF-YAML-SYNTAX", 1, 4, 1), "not valid YAML: the character U+0001 isn't allowed"),
    ],
)
def test_what_surprises_is_refused_with_its_place(text: str, expected: tuple[str, int, int, int], message: str) -> None:
    [problem] = refused(text)
    assert seen(problem) == expected
    assert problem.message == message


def test_an_unquoted_template_is_told_as_such() -> None:
    [problem] = refused("a:\n  url: {input.url}")
    assert seen(problem) == ("AF-YAML-TEMPLATE", 2, 8, 11)
    assert problem.label == 'write "{input.url}"'


def test_text_behind_an_unquoted_template_gives_one_problem_and_says_to_quote() -> None:
    [problem] = refused("url: {input.url}/x\nb: 1")
    assert (problem.code, problem.label) == ("AF-YAML-TEMPLATE", 'write "{input.url}/x"')
    [problem] = refused("url: {input.url x: y}/x\nb: 1")
    assert (problem.code, problem.hint) == ("AF-YAML-SYNTAX", "quote a text that begins with a template")


def test_a_flow_mapping_with_an_empty_value_is_no_template() -> None:
    assert load("a: {headers: }").data == {"a": {"headers": None}}


def test_all_duplicates_are_told_at_once() -> None:
    assert [problem.label for problem in refused("a: 1\na: 2\nb: {c: 1, c: 2}")] == ["first at 1:1", "first at 3:5"]


def test_deep_nesting_is_refused_and_not_followed() -> None:
    [problem] = refused("- " + "[" * 500_000)
    assert problem.code == "AF-DEFINITION-DEPTH"
    assert load("[" * 100 + "]" * 100).data


def test_aliases_cannot_hide_deep_nesting() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 150)]
    [problem] = refused("\n".join(lines))
    assert problem.code == "AF-DEFINITION-DEPTH"


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    [problem] = refused("\n".join(lines))
    assert problem.code == "AF-YAML-ALIAS"
    assert "1,000,000" in problem.message


def test_a_document_over_sixteen_mebibytes_is_refused() -> None:
    [problem] = refused("a: " + "x" * (16 * 1024 * 1024))
    assert problem.code == "AF-DEFINITION-SIZE"


def test_a_byte_order_mark_and_windows_line_ends_do_not_shift_places() -> None:
    document = load("\ufeffa: 1\r\nb:\r\n  c: 2\r\n")
    place = document.place("/b/c")
    assert place is not None
    assert (place.line, place.column) == (3, 6)


TEXT = """\
steps:
  - id: send
    message: "Total é \\n {steps.x} 😀"
    single: 'it''s {steps.y}'
    run: |
      echo {input.x}
        more {input.y}
    folded: >
      one
      two {input.z}
"""


@pytest.mark.parametrize(
    ("pointer", "key", "expected"),
    [
        ("/steps/0", False, (2, 5, 8)),
        ("/steps/0/id", False, (2, 9, 4)),
        ("/steps/0/id", True, (2, 5, 2)),
        ("/steps/0/nothing", False, (2, 5, 8)),
        ("/nothing/at/all", False, (1, 1, 6)),
        ("", False, (1, 1, 6)),
    ],
)
def test_places_are_lines_and_columns(pointer: str, key: bool, expected: tuple[int, int, int]) -> None:
    place = load(TEXT).place(pointer, key=key)
    assert place is not None
    assert (place.line, place.column, place.length) == expected


@pytest.mark.parametrize(
    ("field", "reference", "expected"),
    [
        ("message", "{steps.x}", (3, 26, 9)),
        ("single", "{steps.y}", (4, 20, 9)),
        ("run", "{input.x}", (6, 12, 9)),
        ("run", "{input.y}", (7, 14, 9)),
        ("folded", "{input.z}", (10, 11, 9)),
    ],
)
def test_a_part_of_a_text_is_placed_through_quotes_escapes_and_folding(
    field: str, reference: str, expected: tuple[int, int, int]
) -> None:
    document = load(TEXT)
    value: str = document.data["steps"][0][field]
    place = document.place(f"/steps/0/{field}", offset=value.index(reference), length=len(reference))
    assert place is not None
    assert (place.line, place.column, place.length) == expected
