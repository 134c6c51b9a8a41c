"""Large numbers in conditions: different ones are never equal."""

from __future__ import annotations

import itertools

import pytest

from agentflow.errors import StepError
from agentflow.expressions import compile_condition
from tests.expressions.views import Fake, attempt, holds, refused

LARGE = [
    2**53, 2**53 + 1, float(2**53), 2**63 - 1, 2**63, float(2**63), -(2**63), -(2**63) - 1, 2**64 - 2, 2**64 - 1, 2**64,
    2**64 + 1, float(2**64), 10**30, 1e30, 10**400, 10**401, -(10**400), 5,
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), list(itertools.product(LARGE, LARGE)))
def test_large_numbers_compare_exactly_or_the_step_fails(a: float, b: float) -> None:
    seen = Fake(input={"a": a, "b": b, "list": [1, a], "deep": {"x": [a]}, "other": {"x": [b]}})
    for condition, right in [
        ("input.a == input.b", a == b),
        ("input.a != input.b", a != b),
        ("input.a < input.b", a < b),
        ("input.b in input.list", b in (1, a)),
        ("input.deep == input.other", a == b),
        ("input.list.exists(one, one == input.b)", b in (1, a)),
    ]:
        found = attempt(lambda condition=condition: holds(condition, seen))
        if isinstance(found, StepError):
            assert (found.code, found.hint) == (
                "AF-CONDITION-FAILED",
                "give such a number as a text: texts are compared exactly",
            )
            assert float_of(a) == float_of(b)
        else:
            assert found is right


def float_of(number: float) -> float:
    """Return what CEL would have to compare."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def test_whole_numbers_of_64_bits_always_compare() -> None:
    ids = [2**63 + number for number in range(5)]
    seen = Fake(input={"ids": ids, "new": 2**63 + 7, "old": 2**63 + 3})
    assert holds("input.old in input.ids && !(input.new in input.ids)", seen)
    assert holds("input.new == 9223372036854775815u && input.old != 9223372036854775815u", seen)


def test_a_large_number_in_the_condition_itself_is_compared_exactly_too() -> None:
    seen = Fake(input={"whole": 2**53 + 1, "decimal": float(2**53)})
    for condition in ("input.whole == 9007199254740992.0", "input.decimal == 9007199254740993"):
        with pytest.raises(StepError, match="too large to be told apart"):
            holds(condition, seen)
    assert holds("input.whole == 9007199254740993 && input.whole != 9007199254740992", seen)


def test_foreign_large_numbers_in_the_data_do_no_harm() -> None:
    seen = Fake(input={"rows": [{"id": 2**70, "ok": False}, {"id": 2**63 + 1, "ok": True}], "n": 3})
    assert holds("input.rows.exists(row, row.ok) && input.n > 2", seen)


def test_a_literal_of_more_than_63_bits_is_told_how_to_be_written() -> None:
    error = refused(lambda: compile_condition("input.a == 18446744073709551615"))
    assert "a whole number beyond 2^63 ends in u" in error.what
    assert (error.hint, error.offset, error.length) == ("write 18446744073709551615u", 11, 20)


@pytest.mark.parametrize(
    "number", [0, -1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30, 10**400]
)
def test_a_whole_number_as_text_has_all_its_digits(number: int) -> None:
    seen = Fake(input={"n": number, "m": number}, steps={"s": {"n": number}})
    for written in ("input.n", "{input.n}", " steps.s.n "):
        assert holds(f'string({written}) == "{number}"', seen)
    assert holds(f'string(input.n) + "!" == "{number}!" && string(input.m).size() == {len(str(number))}', seen)
    assert holds(f'"{number}".contains(string(input.n)) && input.n == input.n', seen)


@pytest.mark.parametrize(("value", "text"), [(1.5, "1.5"), ("a", "a"), (True, "true")])
def test_other_values_as_text_are_what_they_were(value: object, text: str) -> None:
    assert holds(f'string(input.n) == "{text}"', Fake(input={"n": value}))


def test_what_is_not_there_as_text_is_told() -> None:
    with pytest.raises(StepError) as caught:
        holds('string(input.n) == "1"', Fake(input={}))
    assert "input.n" in caught.value.what


def test_large_numbers_of_one_evaluation_are_forgotten_at_the_next() -> None:
    condition = compile_condition("input.a == input.b")
    assert condition.evaluate(Fake(input={"a": 2**64, "b": 10**30})) is False
    assert condition.evaluate(Fake(input={"a": 2**64 + 2**20, "b": 10**30 + 1})) is False
    with pytest.raises(StepError, match="too large to be told apart"):
        condition.evaluate(Fake(input={"a": 2**64, "b": 2**64 + 1}))
    assert condition.evaluate(Fake(input={"a": 1, "b": 1})) is True


def test_large_numbers_of_the_condition_alone_are_told_apart_or_refused() -> None:
    with pytest.raises(StepError, match="too large to be told apart"):
        holds("input.n == 1 && dyn(9007199254740993) != dyn(9007199254740992.0)", Fake(input={"n": 1}))
