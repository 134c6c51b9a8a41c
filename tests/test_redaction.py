"""A secret is found in whatever usual spelling it stands, and taken out of texts and values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.data import encode
from agentflow.redaction import HIDDEN, Redactor, too_short
from tests.spelled import SECRETS, SPELLINGS

REDACTOR = Redactor(SECRETS)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_found_in_every_spelling(name: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](SECRETS[name])
    for before, after in (("", ""), ("before ", " after"), ("k=", "&"), ('{"k": "', '"}')):
        found: set[str] = set()
        clean = REDACTOR.text(before + spelled + after, found)
        assert HIDDEN in clean
        assert name in found
        assert _common(clean.replace(HIDDEN, ""), SECRETS[name]) < 4


def _common(left: str, spelled: str) -> int:
    """Return how long the longest piece of a text is that another one has too."""
    sizes = range(min(len(left), len(spelled)), 0, -1)
    return next((n for n in sizes if any(left[i : i + n] in spelled for i in range(len(left) - n + 1))), 0)


@pytest.mark.parametrize("before", ["100%", "\\", "C:\\", "&", "\\u00", "%4", "'", "\\x"])
@pytest.mark.parametrize("name", SECRETS)
def test_what_looks_like_an_escape_before_a_secret_hides_nothing(name: str, before: str) -> None:
    clean = REDACTOR.text(before + SECRETS[name])
    assert HIDDEN in clean
    assert _common(clean.replace(HIDDEN, ""), SECRETS[name]) < 4


@given(st.text(), st.sampled_from(sorted(SECRETS.values())), st.text(), st.sampled_from(sorted(SPELLINGS)))
def test_whatever_stands_around_a_secret_it_goes(before: str, secret: str, after: str, spelling: str) -> None:
    redactor = Redactor({"it": secret})
    assert HIDDEN in redactor.text(f"{before} {SPELLINGS[spelling](secret)} {after}")


@given(st.text(min_size=4, max_size=30).filter(lambda s: len(s.strip()) >= 4), st.sampled_from(sorted(SPELLINGS)))
def test_any_text_can_be_a_secret(secret: str, spelling: str) -> None:
    redactor = Redactor({"it": secret})
    assert HIDDEN in redactor.text(f"<{SPELLINGS[spelling](secret.strip())}>")


@pytest.mark.parametrize("secret", ["000µ", "straße", "ςςςς", "İstanbul", "ﬁshſ", "kıyı"])
@pytest.mark.parametrize("spelling", ["large", "small", "as it is"])
def test_letters_that_change_when_they_are_made_large_hide_nothing(secret: str, spelling: str) -> None:
    assert Redactor({"it": secret}).text(f"<{SPELLINGS[spelling](secret)}>") == f"<{HIDDEN}>"


@pytest.mark.parametrize("secret", ["000\\", "\\000", "\\00\\", "abcdef\\\\"])
@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
def test_a_backslash_at_an_end_hides_nothing_between_quotes(secret: str, spelling: str) -> None:
    told = Redactor({"it": secret}).text(f"<{SPELLINGS[spelling](secret)}>")
    assert HIDDEN in told
    assert "00" not in told
    assert "abc" not in told


@given(st.recursive(st.sampled_from(sorted(SECRETS.values())) | st.text() | st.integers(), st.lists, max_leaves=5))
def test_json_of_a_value_with_a_secret_is_suspected(value: Any) -> None:
    if REDACTOR.value(value) is not value:
        assert REDACTOR.suspects(encode(value))


def test_texts_without_secrets_stay_the_same_object() -> None:
    redactor = Redactor(SECRETS)
    for value in ("nothing here", {"a": [1, 2.5, None, True, "x"]}, ["a", ("b",)], b"raw", 12):
        assert redactor.value(value) is value
    assert not Redactor({})
    assert Redactor({}).text(SECRETS["plain"]) == SECRETS["plain"]


def test_values_are_walked_with_their_keys_numbers_bytes_and_tuples() -> None:
    redactor = Redactor({"id": "100200300", "key": "hidden-key", "price": "12.75"})
    value = {
        "account": 100200300, "price": 12.75, "rows": [({"x": "is hidden-key"}, 5)], "hidden-key": 1,
        "raw": b"\xff hidden-key", "flag": True, "larger": 91002003005,
    }  # fmt: skip
    assert redactor.value(value) == {
        "account": "***", "price": "***", "rows": [({"x": "is ***"}, 5)], "***": 1,
        "raw": b"\xff ***", "flag": True, "larger": "9***5",
    }  # fmt: skip


def test_keys_that_held_different_secrets_stay_two_keys() -> None:
    redactor = Redactor({"a": "first-secret", "b": "second-secret"})
    assert redactor.value({"first-secret": 1, "second-secret": 2, "***": 3}) == {"*** (2)": 1, "*** (3)": 2, "***": 3}


def test_objects_that_are_no_data_stay_as_they_are() -> None:
    class Odd:
        def __str__(self) -> str:
            raise KeyError("no text")

        __repr__ = __str__

    odd = Odd()
    assert Redactor(SECRETS).value([odd])[0] is odd


def test_of_secrets_that_overlap_nothing_is_left() -> None:
    redactor = Redactor({"short": "abcd", "long": "abcdefgh", "across": "ghij-klm"})
    assert redactor.text("<abcdefghij-klm>") == "<***>"
    assert redactor.text("abcdabcd") == "******"


def test_a_number_with_more_digits_than_python_writes_passes() -> None:
    assert Redactor(SECRETS).value([10**6000])


def test_short_and_empty_values_are_no_secrets() -> None:
    assert [too_short(value) for value in ("", "  ", "abc", " abc\n", "abcd")] == [False, False, True, True, False]
    assert not Redactor({"a": "abc", "b": " ", "c": ""})


def test_a_text_is_cut_after_its_secrets_are_gone() -> None:
    redactor = Redactor({"token": SECRETS["plain"]})
    for padding in range(80):
        text = "x" * padding + SECRETS["plain"] + "y" * padding
        assert _common(redactor.head(text, 60).replace(HIDDEN, ""), SECRETS["plain"]) == 0
        assert _common(redactor.tail(text, 60).replace(HIDDEN, ""), SECRETS["plain"]) == 0
        for kept in range(len(SECRETS["plain"])):
            end = SECRETS["plain"][-kept:] + " rest of it" * 100
            assert SECRETS["plain"][-kept:] not in redactor.tail(end, 600, cut=True)[:100]


def test_what_others_left_of_a_secret_beside_a_mark_of_their_cut_goes_too() -> None:
    redactor = Redactor({"token": SECRETS["plain"]})
    for mark in ("...", "…"):
        for size in range(6, 40):
            head, tail = SECRETS["plain"][:size], SECRETS["plain"][-size:]
            assert redactor.text(f"input 'x{head}{mark}") == f"input 'x***{mark}"
            assert redactor.text(f"input {mark}{tail}' of it") == f"input {mark}***' of it"
    assert redactor.text("wait ... and see 0123456789") == "wait ... and see 0123456789"


def test_a_stream_is_cut_beside_its_secrets() -> None:
    secret = SECRETS["plain"]
    redactor = Redactor({"token": secret})
    for padding in range(100):
        rest, told = "x" * padding + secret + "y" * 900 + secret + "z" * 500, ""
        while rest:
            part, rest = redactor.split(rest, 100)
            if not part:
                part, rest = redactor.text(rest), ""
            told += part
        assert told == "x" * padding + HIDDEN + "y" * 900 + HIDDEN + "z" * 500


def test_what_is_not_utf8_is_looked_at_too() -> None:
    redactor = Redactor({"token": SECRETS["plain"], "odd": "caf\udce9-secret"})
    assert redactor.text(f"\udcff {SECRETS['plain']}") == "\udcff ***"
    assert HIDDEN in redactor.text("caf\udce9-secret")
    assert redactor.value({"raw": b"\xe9 " + SECRETS["plain"].encode()}) == {"raw": b"\xe9 ***"}


def test_many_secrets_and_long_ones_are_found() -> None:
    secrets = {f"s{n}": f"{n:03}-{'abcdefghij' * (n % 40 + 1)}-{n:05}" for n in range(100)}
    redactor = Redactor(secrets)
    text = "filler " * 3000
    assert redactor.text(text + json.dumps(secrets["s77"]) + text) == text + '"***"' + text
    assert redactor.text(text) is text


def test_runs_of_escapes_cost_no_more_than_their_length() -> None:
    redactor = Redactor(SECRETS)
    for char in ("\\", "%25", "&amp;", "'", "\\n", " ", "%E4%BD%A0", "a"):
        redactor.text(char * 20_000)
