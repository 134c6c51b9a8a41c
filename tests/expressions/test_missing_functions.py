"""Functions of values that are missing, or of another kind: the step fails, wherever in the condition they stand."""

from __future__ import annotations

import pytest

from agentflow.errors import StepError
from tests.expressions.views import Fake, holds, lacks

SEEN = Fake(
    {"a": {"list": [1, 2]}}, input={"n": 5, "yes": True, "s": "abc", "list": [1, 2], "map": {"k": 1}, "null": None}
)
PLACES = [
    "{} != 0", "{} == 0", "{} > 0", "{} < 9", "0 == {}", "0 != {}", "{} in [0, 1]",
    "{} == size(input.list)", "[{}] == [0]",
    "input.yes ? {} == 0 : true", "!({} == 0)", "input.list.all(one, {} == 0)",
    "input.yes && {} != 0", "string({}) != 'x'",
    "{} + 1 == 1", "{} == input.n",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", ["size(input.gone)", "input.gone.size()", "size((input.gone))", "size({input.gone})"])
def test_the_size_of_a_missing_value_fails_the_step_and_names_it(place: str, call: str) -> None:
    error = lacks(lambda: holds(place.replace("{}", call), SEEN))
    assert '"input.gone"' in error.what.replace("{", "").replace("}", "")
    assert error.hint is not None
    assert error.hint.startswith("ask first:")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("name", "kind"), [("n", "a number"), ("yes", "a boolean")])
def test_the_size_of_what_has_none_fails_the_step_and_says_what_it_is(place: str, name: str, kind: str) -> None:
    with pytest.raises(StepError) as caught:
        holds(place.replace("{}", f"size(input.{name})"), SEEN)
    assert (caught.value.code, f'"input.{name}" is {kind}, which has no size' in caught.value.what) == (
        "AF-CONDITION-FAILED",
        True,
    )


@pytest.mark.parametrize(
    "call",
    [
        "input.gone.contains('x')", "input.gone.startsWith('x')", "input.gone.endsWith('x')", "input.gone.matches('x')",
        "int(input.gone) == 0", "string(input.gone) == 'null'", "double(input.gone) == 0.0", "bool(input.gone)",
        "'x' in input.gone", "input.gone.all(one, one > 1)", "input.gone.exists(one, one > 1)", "-input.gone == 1",
        "input.gone + 1 == 1", "input.gone < 1", "size(input.gone.filter(one, true)) == 0",
        "timestamp(input.gone) == timestamp('2020-01-01T00:00:00Z')", "duration(input.gone) == duration('1s')",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{} && true", "({}) == true", "({}) != true", "!({})", "input.yes ? {} : false"])
def test_functions_of_a_missing_value_fail_the_step_and_name_it(call: str, form: str) -> None:
    error = lacks(lambda: holds(form.replace("{}", call), SEEN))
    assert '"input.gone" has no value' in error.what


@pytest.mark.parametrize(
    "condition",
    [
        "input.gone != null && size(input.gone) > 0 || true",
        "!(has(input.gone) && size(input.gone) == 0)",
        "input.n == 5 || size(input.gone) == 0",
        "size(input.?gone.orValue([])) == 0",
        "size(input.s) == 3 && size(input.list) == 2 && size(input.map) == 1 && input.s.size() == 3",
        "size(input.list) == 2.0",
        "input.list[size(input.list) - 1] == 2",
    ],
)
def test_who_asks_first_needs_no_value(condition: str) -> None:
    assert holds(condition, SEEN)
