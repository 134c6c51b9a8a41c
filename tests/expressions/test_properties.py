"""What must be true of all templates and all values."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from agentflow.errors import StepError
from agentflow.expressions import NAMESPACES, ExpressionError, compile_condition, compile_value
from tests.expressions.views import Fake, attempt, render

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
BRACES = st.text(alphabet="{}$.[]()?'\"ab input steps", max_size=60)
BEGINS = re.compile(r"\{(?:" + "|".join(sorted(NAMESPACES)) + r"|\$)")


def same(left: Any, right: Any) -> bool:
    """Compare types too: 1 isn't true."""
    return json.dumps(left) == json.dumps(right)


@given(st.text() | BRACES)
def test_text_without_references_is_untouched(text: str) -> None:
    assume(not BEGINS.search(text))
    assert render(text, Fake()) == text


@given(VALUES)
def test_data_without_references_is_untouched_and_the_same_object(value: Any) -> None:
    assume(not BEGINS.search(json.dumps(value, ensure_ascii=False)))
    assert render(value, Fake()) is value


@given(VALUES)
def test_a_single_reference_keeps_type_and_value(value: Any) -> None:
    view = Fake({"s": {"k": value}}, input=value)
    assert same(render("{input}", view), value)
    assert same(render({"a": ["{steps.s.k}"]}, view), {"a": [value]})
    assert same(render("{$.steps.s.k}", view), value)


@given(st.text(), st.text() | st.just("{input.v}") | st.just("{{input.v}}"))
def test_values_are_never_expanded_again(around: str, value: str) -> None:
    assume("{" not in around)
    view = Fake(input={"v": value})
    assert render(f"{around}{{input.v}}{around}", view) == f"{around}{value}{around}"
    assert render("{input.v}", view) == value


@given(VALUES)
def test_what_goes_into_text_comes_back_as_json(value: Any) -> None:
    assume(value is not None and not isinstance(value, str))
    assert same(json.loads(render("{input.v}\n", Fake(input={"v": value}))), value)


@given(st.dictionaries(st.text(min_size=1), VALUES, min_size=1, max_size=5))
def test_every_key_can_be_reached_by_its_quoted_name(data: dict[str, Any]) -> None:
    for key, value in data.items():
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        assert same(render(f'{{input["{quoted}"]}}', Fake(input=data)), value)


@given(BRACES)
def test_any_text_compiles_or_is_refused_within_its_bounds(text: str) -> None:
    made = attempt(lambda: compile_value(text))
    if isinstance(made, StepError):
        assert isinstance(made, ExpressionError)
        assert 0 <= made.offset <= made.offset + made.length <= len(text)
    else:
        assert all(text[one.offset : one.offset + one.length] == one.text for one in made.references)


@given(st.text(alphabet="input.xab {}()[]!=<>&|?:'\"0123,+-*/\n", max_size=40), VALUES)
def test_any_condition_decides_or_fails_with_an_error_of_ours(text: str, value: Any) -> None:
    made = attempt(lambda: compile_condition(text))
    if isinstance(made, StepError):
        assert isinstance(made, ExpressionError)
        assert 0 <= made.offset <= len(text)
        assert made.code.startswith(("AF-CONDITION-", "AF-TEMPLATE-"))
        return
    decided = attempt(lambda: made.evaluate(Fake(input={"x": value, "a": {"b": value}})))
    if isinstance(decided, StepError):
        assert decided.retryable is False
        assert decided.code in {"AF-CONDITION-FAILED", "AF-REF-MISSING"}
    else:
        assert decided in (True, False)


@given(VALUES, st.text())
def test_a_condition_takes_any_value_as_an_operand(value: Any, text: str) -> None:
    view = Fake(input={"v": value})
    literal = json.dumps(text) if "\\" not in json.dumps(text) else '"x"'
    for condition in ("{input.v}", f"{{input.v}} == {literal}", "input.v == 1 || true", "has(input.v)"):
        assert compile_condition(condition).evaluate(view) in (True, False)
