"""Keys of a value that were meant to be others."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.definition.misspelt import misspelt

SCHEMA: dict[str, Any] = {
    "properties": {
        "publish": {"type": "boolean"},
        "note": {"type": "string"},
        "by": {"properties": {"name": {}, "mail": {}}},
        "parts": {"items": {"properties": {"size": {}}}},
    }
}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"publihs": True}, ['"publihs" is none of its keys; did you mean "publish"?']),
        ({"by": {"nmae": "x"}}, ['"by.nmae" is none of its keys; did you mean "by.name"?']),
        ({"parts": [{"size": 1}, {"szie": 1}]}, ['"parts.1.szie" is none of its keys; did you mean "parts.1.size"?']),
        ({"publish": True, "publihs": True}, []),
        ({"zzz": 1}, []),
        ([1], []),
        ("publihs", []),
    ],
)
def test_a_key_near_to_one_that_is_free_names_it(value: object, named: list[str]) -> None:
    assert misspelt(SCHEMA, value) == named


def test_a_schema_that_names_no_keys_says_nothing() -> None:
    for schema in ({}, True, {"properties": True}, {"items": {"$ref": "#/$defs/a"}}):
        assert misspelt(schema, {"publihs": 1}) == []


def test_of_very_many_keys_only_some_are_compared() -> None:
    assert len(misspelt(SCHEMA, {f"publish{number}": 1 for number in range(1000)})) == 10
