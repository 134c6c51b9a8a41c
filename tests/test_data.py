"""What data can hold, and that whatever the gate lets in is read back equal by everybody."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.cli.values import document
from agentflow.data import admit, canonical, copied, decode, encode, is_readable, normalise, parse, salvaged
from agentflow.definition.json_loader import load_json
from agentflow.errors import StoreError
from agentflow.store.common import passed
from agentflow.store.rows import AnswerRow
from agentflow.unfit import UnfitError
from tests.values import CONVERTED, FITS, UNFIT, nested

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.integers(10**4299, 10**4300 - 1)
    | st.floats()
    | st.text()
    | st.text(st.characters(), max_size=3)
    | st.sampled_from(["NaN", "Infinity", "\ud800", "{[", "1" * 4400])
)
KEYS = st.text(max_size=3) | st.integers(0, 3) | st.booleans() | st.none() | st.sampled_from(["0", "1", "true", "null"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=20,
)
DEEP = st.tuples(VALUES, st.integers(90, 102)).map(lambda pair: nested(pair[1], pair[0]))


@pytest.mark.parametrize("name", FITS)
def test_what_fits_is_read_back_equal(name: str) -> None:
    assert normalise(FITS[name]) == FITS[name]


@pytest.mark.parametrize("name", CONVERTED)
def test_what_has_a_json_form_is_kept_in_it(name: str) -> None:
    given_, kept = CONVERTED[name]
    assert normalise(given_) == kept


@pytest.mark.parametrize("name", UNFIT)
def test_what_doesnt_fit_is_refused(name: str) -> None:
    with pytest.raises(UnfitError) as caught:
        admit(UNFIT[name])
    assert caught.value.reason
    assert not caught.value.large


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            {"items": [{}, {"id": float("nan")}]},
            "items[1].id: nan has no JSON form: NaN and infinity aren't data",
        ),
        ({"a b": ["\ud800"]}, "['a b'][0]: half of a character pair (a lone surrogate) has no JSON form"),
        ({"a": 10**4300}, "a: an integer has more than 4,300 digits"),
        ({"a": {1: 2, "1": 3}}, "a: the keys 1 and '1' are one as texts, and one of the values would be lost"),
        ({"a": [object()]}, "a[0]: object has no JSON form"),
        (float("inf"), "inf has no JSON form: NaN and infinity aren't data"),
    ],
)
def test_an_error_names_the_place_and_the_reason(value: Any, told: str) -> None:
    with pytest.raises(UnfitError) as caught:
        admit(value)
    assert str(caught.value) == told


def test_a_value_may_be_too_large() -> None:
    assert admit("x" * 8, 10) == b'"xxxxxxxx"'
    with pytest.raises(UnfitError, match="it has 11 bytes; at most 10 are taken") as caught:
        admit("x" * 9, 10)
    assert caught.value.large


@given(VALUES | DEEP)
@settings(max_examples=300, deadline=None)
def test_whatever_is_let_in_is_read_back_equal_by_every_decoder(value: Any) -> None:
    try:
        raw = admit(value)
    except UnfitError:
        return
    plain = normalise(value)
    text = raw.decode()
    answer = AnswerRow("t", 1, 1, "s", {"value": plain}, "me", "api", None, 0.0)
    assert decode(raw) == plain == json.loads(text) == parse(raw) == parse("\ufeff" + text) == document(text, "--data")
    assert decode(encode(passed(answer)))["answer"]["value"] == plain
    assert decode(encode({"park": {"then": "enter", "state": plain}, "arrived": plain}))["arrived"] == plain
    assert json.loads(canonical(plain)) == plain == copied(plain)
    assert admit(plain) == raw
    assert load_json(text, "f.json") == plain


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_no_key_and_no_value_is_lost_without_a_word(value: Any) -> None:
    def count(item: Any) -> int:
        if isinstance(item, dict):
            return sum(1 + count(inner) for inner in item.values())  # pyright: ignore[reportUnknownVariableType]  anything at all
        return sum(map(count, item)) if isinstance(item, list | tuple) else 1  # pyright: ignore[reportUnknownArgumentType]  anything at all

    try:
        plain = normalise(value)
    except UnfitError:
        return
    assert count(plain) == count(value)


def test_stored_data_that_cant_be_read_is_told_as_damage_or_passed_over() -> None:
    for raw in (b"[" * 202 + b"]" * 202, b"1" * 4301, b"{", b"", b"\xff"):
        assert not is_readable(raw)
        assert salvaged(raw, "else") == "else"
        with pytest.raises(StoreError) as caught:
            decode(raw)
        assert caught.value.code == "AF-STORE-DAMAGED"


def test_rows_that_nest_too_deep_are_refused_before_they_are_stored() -> None:
    assert decode(encode(nested(200))) == nested(200)
    for levels in (201, 240, 300):
        with pytest.raises(ValueError, match=r"nested deeper|depth exceeded"):
            encode(nested(levels))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": [1, {"b": 1e999}]}', "a[1].b: the number 1e999 is out of range"),
        ("[-1e400]", "[0]: the number -1e400 is out of range"),
        ("[NaN, 1]", "[0]: NaN has no JSON form"),
        ('{"id": ' + "1" * 4301 + "}", "id: an integer has more than 4,300 digits"),
        ('{"t": "\\ud800"}', "t: half of a character pair (a lone surrogate) has no JSON form"),
        ("[" * 3000 + "]" * 3000, "it is nested deeper than 100 levels"),
    ],
)
def test_json_of_others_is_data_or_says_what_in_it_isnt(text: str, told: str) -> None:
    for raw in (text, text.encode(), b"\xef\xbb\xbf" + text.encode()):
        with pytest.raises(UnfitError) as caught:
            parse(raw)
        assert str(caught.value) == told


@pytest.mark.parametrize("text", ["", "{", "[1,]", "{'a': 1}", b"\xff", "nul", "[1] 2"])
def test_what_isnt_json_isnt_taken_for_it(text: str | bytes) -> None:
    with pytest.raises(ValueError, match="line 1 column") as caught:
        parse(text)
    assert not isinstance(caught.value, UnfitError)


_FIRST = """
import json, sys
from agentflow.data import decode
from agentflow.errors import StoreError
def read(text):
    try:
        return repr(decode(text))
    except StoreError as error:
        return error.why
seen = []
for text in json.loads(sys.stdin.read()):
    sys.modules.pop("pydantic_core", None)
    import agentflow.data
    agentflow.data._from_json = agentflow.data._first_from
    first = read(text)
    import pydantic_core
    agentflow.data._from_json = pydantic_core.from_json
    seen.append([first, read(text)])
print(json.dumps(seen))
"""


def test_what_is_read_before_pydantics_core_is_loaded_is_what_that_would_read() -> None:
    texts = [
        *("{}", "[]", "null", "0", "-0", "1E5", "1e999", "NaN", "-Infinity", '" "', '{"a": 1, "a": 2}', "true "),
        *("", "nan", "01", "1.", "[1,]", '"\\t"', '"\t"', "'a'", '"\x7f"', "\ufeff{}", '"\\ud800"', '"\\u00e9"'),
        *("9" * 5000, "12345678901234567890123", "[" * 90 + "]" * 90, "[" * 300 + "]" * 300, '{"a": "…"}'),
    ]
    done = subprocess.run(
        [sys.executable, "-c", _FIRST], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    assert [
        (text, first) for text, (first, then) in zip(texts, json.loads(done.stdout), strict=True) if first != then
    ] == []


def test_a_short_text_is_read_without_loading_pydantics_core() -> None:
    script = "import sys; from agentflow.data import decode; decode(b'[1]'); print('pydantic_core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
