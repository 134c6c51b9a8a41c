"""Values that aren't there: when they are null, and what is said when they may not be missing."""

from __future__ import annotations

import pytest

from agentflow.expressions import NULLED
from tests.expressions.views import Fake, lacks, render

FETCHED = {"fetch": {"items": [1, 2, 3], "count": 3, "user": None, "name": "n"}}


@pytest.mark.parametrize(
    ("template", "says", "hint"),
    [
        (
            "{steps.fetch.total}",
            '"{steps.fetch.total}" has no value: the result of "fetch" has keys items, count, user, name',
            "{steps.fetch.total?} if it may be missing",
        ),
        (
            "{steps.fetch.coumt}",
            '"{steps.fetch.coumt}" has no value: the result of "fetch" has keys items, count, user, name',
            "{steps.fetch.count}, or {steps.fetch.coumt?} if it may be missing",
        ),
        (
            "{steps.fetch.items[7]}",
            '"{steps.fetch.items[7]}" has no value: "items" of the result of "fetch" has 3 items',
            "{steps.fetch.items[7]?} if it may be missing",
        ),
        (
            "{steps.fetch.items.x}",
            '"{steps.fetch.items.x}" has no value: "items" of the result of "fetch" is a list of 3 items',
            "{steps.fetch.items.x?} if it may be missing",
        ),
        (
            "{steps.fetch.user.id}",
            '"{steps.fetch.user.id}" has no value: "user" of the result of "fetch" is null',
            "{steps.fetch.user.id?} if it may be missing",
        ),
        (
            "{steps.fetch.name.0}",
            '"{steps.fetch.name.0}" has no value: "name" of the result of "fetch" is a text',
            "{steps.fetch.name.0?} if it may be missing",
        ),
        (
            "{steps.gone.x}",
            '"{steps.gone.x}" has no value: step "gone" has no result here; steps with a result: fetch',
            "{steps.gone.x?} if it may be missing",
        ),
        (
            "{input.regoin}",
            '"{input.regoin}" has no value: the input has key region',
            "{input.region}, or {input.regoin?} if it may be missing",
        ),
        (
            "{env.X}",
            '"{env.X}" has no value: the config\'s `env` gives none',
            "set X in the environment or in .env, and list it in the config, `env: [X]`; {env.X?} if it may be missing",
        ),
        ("{item.x}", '"{item.x}" has no value: there is no "item" here', "{item.x?} if it may be missing"),
        (
            "{$.steps.fetch.total}",
            '"{$.steps.fetch.total}" has no value: the result of "fetch" has keys items, count, user, name',
            "{$.steps.fetch.total?} if it may be missing",
        ),
    ],
)
def test_a_missing_value_names_the_reference_what_was_there_and_what_to_write(
    template: str, says: str, hint: str
) -> None:
    view = Fake(FETCHED, input={"region": "emea"}, env={})
    for written in (template, f"text {template}"):
        error = lacks(lambda written=written: render(written, view))
        assert (error.what, error.hint) == (says, hint)
        assert (error.code, error.kind, error.retryable) == ("AF-REF-MISSING", "reference", False)
        assert error.data == {"reference": template}


def test_of_many_keys_the_nearest_five_are_shown() -> None:
    error = lacks(lambda: render("{input.key_7x}", Fake(input={f"key_{n}": n for n in range(30)})))
    assert "has keys key_7, key_" in error.what
    assert error.what.endswith("and 25 more")


def test_the_reason_that_a_run_gives_is_told() -> None:
    class Stopped(Fake):
        def step(self, step_id: str) -> object:
            raise KeyError('"a" has no result: it is failed')

    error = lacks(lambda: render("{steps.a}", Stopped()))
    assert error.what == '"{steps.a}" has no value: "a" has no result: it is failed'


def test_no_value_of_the_data_is_shown() -> None:
    error = lacks(lambda: render("{input.password.x}", Fake(input={"password": "hunter2"})))
    assert "hunter2" not in f"{error.what}{error.hint}{error.data}"


def test_a_reference_with_a_question_mark_is_null_and_empty_in_text() -> None:
    view = Fake(FETCHED, input={})
    template = ["{steps.fetch.total?}", "{steps.gone.x?}", "{input.a.b?}", "{item?}", "<{steps.fetch.user?}>"]
    assert render(template, view) == [None, None, None, None, "<>"]
    assert render("a{steps.gone?}{input.x?}b", view) == "ab"


def test_what_a_schema_declares_optional_is_null_and_empty_in_text() -> None:
    view = Fake({"review": {"ok": True}}, input={}, optional=("input.note", "steps.review.comment"))
    assert render(["{input.note}", "{steps.review.comment}"], view) == [None, None]
    assert render("<{input.note}|{steps.review.comment}>", view) == "<|>"
    # what stands below a part that may be missing may be missing too
    assert render("{input.note.by}", view) is None


def test_a_schema_is_asked_only_about_values_that_are_missing() -> None:
    view = Fake(FETCHED, input={"x": 1})
    render("{input.x} {steps.fetch.count}", view)
    assert view.asked == []


def test_null_in_text_is_null_where_it_may_not_be_missing() -> None:
    view = Fake(FETCHED, input={"a": None, "b": None}, optional=("input.b",))
    assert render("<{steps.fetch.user}{input.a}{input.b}>", view) == "<nullnull>"


def test_a_skipped_step_and_all_below_it_is_null_without_a_question_mark() -> None:
    view = Fake({"skipped": NULLED})
    assert render(["{steps.skipped}", "{steps.skipped.a[0].b}"], view) == [None, None]
    assert render("<{steps.skipped}{steps.skipped.a.b}>", view) == "<>"
    assert render(["{$.steps.skipped.a}", "{$.steps.skipped.a[*].b}"], view) == [None, []]
    assert view.asked == []
