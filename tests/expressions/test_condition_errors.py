"""What people are told about conditions that aren't understood, can't be decided, or are hostile."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.errors import StepError
from agentflow.expressions import compile_condition
from tests.expressions.views import Fake, attempt, holds, refused

BRACED = "no braces are needed here; a reference may have one on each side: {steps.fetch.count} > 3"


@pytest.mark.parametrize(
    ("condition", "says", "mark", "label", "hint"),
    [
        ("input.x >", "it ends too early", ">", None, None),
        ("input.x == 3)", '")" can\'t stand here', ")", None, None),
        ("{input.count} >> 3", '">" can\'t stand here', "> 3", None, None),
        ("input.x == 'b", "a text isn't closed", "'b", None, None),
        ("input.x # 3", '"#" can\'t stand here', "# 3", None, None),
        ("input.x == foo", 'unknown name "foo"', "foo", None, 'a text needs quotes: "foo"'),
        ("inptu.x > 3", 'unknown name "inptu.x"', "inptu.x > 3", 'did you mean "input"?', None),
        (
            "count > 3",
            'unknown name "count"',
            "count",
            None,
            "names begin with context, env, index, input, item, run, steps, with; a text needs quotes",
        ),
        ("input.s.strtsWith('a')", 'there is no function "strtsWith"', "strtsWith", 'did you mean "startsWith"?', None),
        ("input.x == 1 &&\n  nope == 2", 'unknown name "nope"', "nope", None, None),
        ("1 > 'a'", '">" doesn\'t work on a whole number and a text', "> 'a'", None, None),
        ("input.x = 3", '"=" compares nothing', "= 3", 'did you mean "=="?', None),
        ("input.x === 3", '"=" compares nothing', "= 3", 'did you mean "=="?', None),
        ("input.x & input.y", '"&" connects nothing', "& input.y", 'did you mean "&&"?', None),
        ("input.x and input.y", '"and" means nothing in a condition', "and", "write &&", None),
        ("not input.x", '"not" means nothing in a condition', "not", "write !", None),
        ("input.x == None", '"None" means nothing in a condition', "None", "write null", None),
        ("'{input.x}' == 'y'", "a reference inside quotes is only text", "{input.x}", None, None),
        ("steps.a-b.n == 1 && true", '"steps.a-b.n" is a difference here', "steps.a-b.n", None, None),
        ("_r0 == 1", 'unknown name "_r0"', "_r0", None, None),
        ("input.l.all(_r0, _r0 == input.x)", 'unknown name "_r0"', "_r0", None, None),
        ("{input.x y} == 1", '"{input.x y}" is no reference', "{input.x y}", None, None),
        ("steps == 1", '"steps" must name a step', "steps", None, None),
        ("  ", "a condition is empty", "", None, None),
        ("(input.x > 1", 'a ")" is missing', "1", None, None),
        ("input.x[0", 'a "]" is missing', "0", None, None),
        ("{{input.x}} == 1", '"}" can\'t stand here', "} == 1", None, BRACED),
        ("x.y. == 1", '"==" can\'t stand here', "== 1", None, None),
        ("x.y.", '"." can\'t stand here', ".", None, None),
        ("if == 1", '"if" can\'t stand here', "if", None, None),
        ("input.l.all(1, y)", "is a name, such as x", "1", None, None),
        ("has(1)", "has(…) takes a reference or a field", "1", None, None),
        ('"a".b == 1', "what stands here has no fields", ".b", None, None),
        ("\ud800 == 1", "it isn't valid Unicode", "\ud800", None, None),
    ],
)
def test_a_condition_that_is_not_understood_says_why_and_where(
    condition: str, says: str, mark: str, label: str | None, hint: str | None
) -> None:
    error = refused(lambda: compile_condition(condition))
    assert says in error.what
    assert condition[error.offset :].startswith(mark)
    assert error.label == label
    if hint is not None:
        assert error.hint == hint
    assert "_r0" not in error.what.replace('"_r0"', "")
    assert "<input>" not in error.what
    assert error.code in {"AF-CONDITION-SYNTAX", "AF-TEMPLATE-SYNTAX"}


def test_something_else_than_a_text_is_no_condition() -> None:
    value: Any = 3
    assert refused(lambda: compile_condition(value)).what == "a condition is a text, not a number"


@pytest.mark.parametrize(
    ("condition", "says", "hint"),
    [
        ("input.n + 1", "it gives a number, not true or false", "compare it with something"),
        ("[input.n]", "it gives a list of 1 item, not true or false", None),
        ("input.n / 0 == 1", "divide by zero", None),
        ("input.n + input.f > 1.0", '"+" doesn\'t work on a whole number and a decimal number', "2.0 instead of 2"),
        ("input.list[input.n] == 1", "a list of 2 items has no number 3", None),
        ("size(input.n) > 1", '"input.n" is a number, which has no size', None),
        ("input.objects.all(o, o.x > 1)", 'an object has no "x"', "ask first: has(x.name)"),
        ("input.s.matches('(')", "invalid regular expression", None),
        ("input.broken == 'x' && true", "isn't valid Unicode", None),
        ("input.n ? 1 : 2", "it gives a number, not true or false", None),
    ],
)
def test_a_condition_that_cannot_be_decided_says_why(condition: str, says: str, hint: str | None) -> None:
    view = Fake(input={"n": 3, "f": 1.5, "s": "a", "list": [1, 2], "objects": [{"y": 1}], "broken": "\ud800"})
    error = attempt(lambda: holds(condition, view))
    assert isinstance(error, StepError)
    assert says in error.what
    assert f'the condition "{condition}"' in error.what
    assert error.code == "AF-CONDITION-FAILED"
    if hint is not None:
        assert hint in (error.hint or "")


def test_the_missing_value_is_named_not_one_that_may_be_null() -> None:
    view = Fake(input={"a": None, "s": "text"})
    for condition in ("input.a == null && input.gone > 3", "input.gone > 3 && input.a == null"):
        error = attempt(lambda condition=condition: holds(condition, view))
        assert isinstance(error, StepError)
        assert error.what.startswith('"input.gone" has no value: the input has keys a, s')
    other = attempt(lambda: holds("input.a == null && input.s > 3", view))
    assert isinstance(other, StepError)
    assert other.code == "AF-CONDITION-FAILED"


def test_values_are_not_shown() -> None:
    view = Fake(input={"password": "hunter2"})
    error = attempt(lambda: holds("input.password > 3", view))
    assert isinstance(error, StepError)
    assert "hunter2" not in f"{error.what} {error.hint} {error.why}"


@pytest.mark.parametrize(
    "condition",
    [
        "(" * 30_000,
        "[" * 10_000,
        "{" * 10_000,
        "(" * 40 + "input.x" + ")" * 40 + " == 1",
        "input.x" + ".a" * 5_000 + " == 1 && true",
        "x" + ".a" * 5_000 + " == 1",
        "input.x" + "[0]" * 5_000 + " == 1 && true",
        " + ".join(["input.x"] * 1_000),
        "true ? true : " * 1_000 + "true",
        "size(" * 2_000,
        "input.l.all(x, " * 500,
        " && ".join(f"input.x{n} == 1" for n in range(600)),
        "'" * 10_001,
        '"""' * 3_001,
        "\\" * 5_000,
        "\x00" * 100,
    ],
)
def test_a_hostile_condition_is_refused(condition: str) -> None:
    error = refused(lambda: compile_condition(condition))
    assert len(error.what) < 400
    assert error.code in {"AF-CONDITION-SYNTAX", "AF-CONDITION-SIZE", "AF-TEMPLATE-SYNTAX"}


@pytest.mark.parametrize("condition", ["!" * 9_999 + "input.x", "-" * 9_999 + "1 == -1", "true || " * 2_000 + "true"])
def test_a_long_and_simple_condition_does_no_harm(condition: str) -> None:
    assert holds(condition, Fake(input={"x": 0}))


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("input.many.all(x, x >= 0)", "it holds a list of 1,001 items, and a condition takes 1,000"),
        ("7 in input.many", "it holds a list of 1,001 items"),
        ("input.nested == null || true", "it holds a list of 1,001 items"),
        ("input.wide == null || true", "it holds more than 20,000 values"),
        ("input.deep == null || true", "it is nested too deep"),
        ("input.most.all(a, input.most.all(b, a == b || true))", "it looks at more than 10,000 items in all"),
        ("input.most.map(a, input.most.map(b, input.most)).size() == 1", "it looks at more than 10,000 items in all"),
    ],
)
def test_a_condition_over_too_much_data_fails_with_a_hint(condition: str, says: str) -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    data = {
        "many": [0] * 1001,
        "nested": {"a": [{"b": [0] * 1001}]},
        "wide": [[0] * 1000 for _ in range(30)],
        "deep": deep,
        "most": [0] * 1000,
    }
    error = attempt(lambda: holds(condition, Fake(input=data)))
    assert isinstance(error, StepError)
    assert says in error.what
    assert "JSONPath" in (error.hint or "")


def test_a_regular_expression_cannot_backtrack_for_ever() -> None:
    assert not holds("input.s.matches('^(a+)+$')", Fake(input={"s": "a" * 200 + "!"}))
