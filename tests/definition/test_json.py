"""JSON documents: duplicate keys, depth, and places found only when they are asked for."""

from __future__ import annotations

import pytest

from agentflow.definition.source import Document, load_document
from agentflow.errors import DefinitionError, Problem


def load(text: str) -> Document:
    return load_document(text, "a.json")


def refused(text: str) -> Problem:
    with pytest.raises(DefinitionError) as caught:
        load(text)
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ('{"a": 1,\n "a": 2}', "AF-KEY-DUPLICATE", 2, 2),
        ('{"a": 1,\n}', "AF-JSON-SYNTAX", 2, 1),
        ("", "AF-JSON-SYNTAX", 1, 1),
        ("[" * 100_000, "AF-DEFINITION-DEPTH", 1, 101),
        ("[" * 101 + "]" * 101, "AF-DEFINITION-DEPTH", 1, 101),
        ("[NaN]", "AF-NUMBER-RANGE", 1, 2),
        ("[1" + "0" * 5000 + "]", "AF-NUMBER-RANGE", 1, 2),
        ('{"a": [1,\n  {"b": 1e999}]}', "AF-NUMBER-RANGE", 2, 9),
        ('{"NaN": "NaN", "a": -Infinity}', "AF-NUMBER-RANGE", 1, 21),
        ('["x\\ud800"]', "AF-JSON-SYNTAX", 1, 4),
    ],
)
def test_what_is_not_sound_json_is_refused_with_its_place(text: str, code: str, line: int, column: int) -> None:
    problem = refused(text)
    assert problem.place is not None
    assert (problem.code, problem.place.line, problem.place.column) == (code, line, column)


def test_emoji_written_as_a_pair_is_one_character() -> None:
    document = load('{"a": {"b": [1, "x\\ud83d\\ude00 {input.y}"]}}')
    assert document.data["a"]["b"][1] == "x😀 {input.y}"
    place = document.place("/a/b/1", offset=3, length=9)
    assert place is not None
    assert (place.column, place.length) == (32, 9)


@pytest.mark.parametrize(
    ("pointer", "key", "expected"),
    [
        ("/a", False, (1, 7, 21)),
        ("/a", True, (1, 2, 3)),
        ("/a/b/1", False, (1, 17, 3)),
        ("/a/0", False, (1, 7, 21)),
        ("/c~1d", True, (2, 2, 5)),
    ],
)
def test_places_are_lines_and_columns(pointer: str, key: bool, expected: tuple[int, int, int]) -> None:
    place = load('{"a": {"b": [1, "x", true]},\n "c/d": null}').place(pointer, key=key)
    assert place is not None
    assert (place.line, place.column, place.length) == expected


def test_text_without_a_telling_suffix_is_json_when_it_begins_like_it() -> None:
    assert load_document(' {"a": "\\u00e9"}', "<stdin>").data == {"a": "é"}
    assert load_document("a: 1", "<stdin>").data == {"a": 1}


def test_every_number_that_is_out_of_range_is_named() -> None:
    with pytest.raises(DefinitionError) as caught:
        load('{"a": 1e999, "b": "1e999", "c": [-1e400, 1.5e308]}')
    assert [problem.message for problem in caught.value.problems] == [
        "the number 1e999 is out of range; quote it if it is meant as text",
        "the number -1e400 is out of range; quote it if it is meant as text",
    ]
