"""JSON and YAML 1.2 that a parser of YAML 1.1 reads wrongly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow.definition.source import load_document
from agentflow.errors import DefinitionError

EMOJI = "\U0001f600"


def load(text: str) -> Any:
    return load_document(text, "w.yaml").data


@pytest.mark.parametrize(
    "value",
    [
        EMOJI,
        f"a {EMOJI}{EMOJI} b",
        f"{EMOJI}\u2028\u0085\\ud83d",
        "\\ud83d\\ude00",
        "\ue123 \ue900 \uf8ff",
        "\U0010fffd",
        "\u0085",
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_every_json_text_is_read_as_yaml(value: str, escaped: bool) -> None:
    data = {value: [value, {"k": f"x {value}"}], "": f"{EMOJI} \ue000"}
    assert load(json.dumps(data, ensure_ascii=escaped)) == data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'a: "\uD83D\uDE00"', EMOJI),
        (r'a: "\x41\ud83d\ude00 é"', f"A{EMOJI} é"),
        (r'a: "\\ud83d\ude00"', None),
        (r"a: '\ud83d\ude00'", r"\ud83d\ude00"),
        (r"a: \ud83d", r"\ud83d"),
        ("a: |-\n  \\ud83d\\ude00", r"\ud83d\ude00"),
        ("# \\ud83d\na: 1", 1),
        (r'a: "\U0001F600"', EMOJI),
        ('a: "x\u2028y\u2029z\u0085"', "x\u2028y\u2029z\u0085"),
        ("a: 'x\u2028  y'", "x\u2028  y"),
        ("a: x\u2028y", "x\u2028y"),
        ("a: |-\n  x\u2028y\u0085z", "x\u2028y\u0085z"),
        ('a: "x\ny"', "x y"),
    ],
)
def test_characters_keep_their_meaning(text: str, value: object) -> None:
    if value is None:
        with pytest.raises(DefinitionError):
            load(text)
    else:
        assert load(text) == {"a": value}


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (r'a: "x \ud83d y"', 7),
        (r'a: "x \ude00 y"', 7),
        (r'a: "\ud83d\ude00 \ud83d"', 18),
        (r'a: "\ud83d\u0041"', 5),
        (r'a: "\ud83d\ud83d\ude00"', 5),
        (r'"\ude00": 1', 2),
    ],
)
def test_half_of_a_pair_is_told_with_its_place(text: str, column: int) -> None:
    with pytest.raises(DefinitionError) as caught:
        load(text)
    [problem] = caught.value.problems
    assert (problem.code, problem.message) == ("AF-YAML-SYNTAX", "not valid YAML: half of a character pair")
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (1, column)


def test_places_behind_stand_ins_are_right() -> None:
    text = 'a: "\\ud83d\\ude00\u2028"\nb: [1\nc: "'
    with pytest.raises(DefinitionError) as caught:
        load(text)
    assert caught.value.problems[0].place is not None
    assert caught.value.problems[0].place.line == 3


def test_a_text_with_half_a_character_is_a_clear_error() -> None:
    with pytest.raises(DefinitionError, match=r"the character U\+D800 isn't allowed"):
        load('a: "\ud800"')
