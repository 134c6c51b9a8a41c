"""Sixty schemas and ten values each: every door takes and refuses the same ones, and says the same of them."""

from __future__ import annotations

import io
import json
import shlex
from typing import Any

import pytest

from agentflow.cli.ask import Form, Left
from agentflow.cli.console import Console
from agentflow.cli.examples import answer_command, example
from agentflow.cli.keys import Keyboard
from agentflow.cli.values import assignments, document
from agentflow.cli.widgets import Keys
from agentflow.definition.json_schema import errors_of, make_validator
from agentflow.server.answering.fields import fields_of
from tests.forms.table import Case, as_json, as_keys, as_options, cases

pytestmark = pytest.mark.anyio
CASES = cases()


def problems(case: Case) -> tuple[str, ...]:
    """Return what the engine says of a value."""
    return tuple(errors_of(make_validator(case.schema), case.value))


def test_they_are_sixty_with_ten_values_each_and_the_engine_tells_what_stands_in_the_table() -> None:
    for number in range(60):
        assert len([case for case in CASES if case.number == number]) == 10
    assert len(CASES) == 600
    assert [case for case in CASES if problems(case) != case.told] == []


class Typed:
    """A form in which keys have been typed."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.screen = io.StringIO()
        self.answer: Any = None
        self.left = False

    async def fill(self, schema: Any, keys: str) -> Typed:
        """Type into a form of a schema until the keys are used up."""
        console = Console(io.StringIO(), self.screen, err_terminal=True, in_terminal=True, err_colour=True, width=200)
        try:
            self.answer = await Form(console, schema, keys=_typed(keys)).fill()
        except Left:
            self.left = True
        return self


async def _typed(keys: str) -> Keys:
    for key in Keyboard().feed(keys.encode()):
        yield key


async def test_what_fits_can_be_typed_into_the_form_field_by_field() -> None:
    by_fields = 0
    for case in CASES:
        keys = None if case.told else as_keys(case.schema, case.value)
        if keys is not None:
            by_fields += 1
            typed = await Typed().fill(case.schema, keys)
            assert (json.dumps(typed.answer), typed.left) == (json.dumps(case.value), False), (case, keys)
    assert by_fields >= 180


async def test_what_does_not_fit_is_refused_by_the_form_in_the_engines_words() -> None:
    by_fields = 0
    for case in CASES:
        keys = as_keys(case.schema, case.value) if case.told else None
        if keys is not None:
            by_fields += 1
            typed = await Typed().fill(case.schema, keys)
            assert typed.left or json.dumps(typed.answer) != json.dumps(case.value)
            said = [problem.rpartition(": ")[2] for problem in case.told]
            assert any(text in typed.screen.getvalue() for text in said), (case, keys, typed.screen.getvalue())
    assert by_fields >= 90


async def test_every_value_can_be_given_as_json_and_all_that_is_wrong_is_told_at_once() -> None:
    for case in CASES:
        typed = await Typed().fill(case.schema, as_json(case.value))
        if case.told:
            assert typed.left
            assert all(problem in typed.screen.getvalue() for problem in case.told), case
        else:
            assert json.dumps(typed.answer) == json.dumps(case.value)


def test_a_command_line_says_every_value_and_most_of_the_objects_by_set() -> None:
    by_set = 0
    for case in CASES:
        options = as_options(case)
        by_set += options[0] == "--set"
        read = (
            assignments(options[1::2], case.schema, "--set")
            if options[0] == "--set"
            else document(options[1], "--data")
        )
        assert json.dumps(read) == json.dumps(case.value)
    assert by_set >= 150


def test_the_printed_example_and_the_printed_command_of_each_schema_are_taken() -> None:
    for case in CASES[::10]:
        validator = make_validator(case.schema)
        assert errors_of(validator, example(case.schema)) == []
        words = shlex.split(answer_command("w5d1kq", case.schema))[4:]
        given = assignments(words[1::2], case.schema, "--set") if words[0] == "--set" else document(words[1], "--data")
        assert errors_of(validator, given) == [], words


def test_the_page_has_a_field_for_each_property() -> None:
    for case in CASES[::10]:
        assert fields_of(case.schema)


ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {"enum": ["s", "m", "l"]},
        "to": {"type": "array", "items": {"enum": ["mail", "chat"]}},
        "pay": {
            "oneOf": [
                {
                    "title": "Card",
                    "properties": {"by": {"const": "card"}, "no": {"type": "string"}},
                    "required": ["by"],
                },
                {"title": "Cash", "properties": {"by": {"const": "cash"}}, "required": ["by"]},
            ]
        },
        "pin": {"type": "string", "format": "password"},
        "names": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["size", "to", "pay", "pin"],
}


async def test_a_terminal_that_cannot_draw_takes_choices_and_boxes_as_text_and_shows_no_password() -> None:
    screen = io.StringIO()
    console = Console(io.StringIO(), screen, err_terminal=True, in_terminal=True)
    keys = "xl\rm\rmail, chat\rca\rcash\rhush\r\x7fAna\r\r"
    answer = await Form(console, ORDER, keys=_typed(keys)).fill()
    assert answer == {"size": "m", "to": ["mail", "chat"], "pay": {"by": "cash"}, "pin": "hush", "names": ["Ana"]}
    assert '"xl" is not among the choices: s, m, l' in screen.getvalue()
    assert '"ca" is not clear: Card, Cash' in screen.getvalue()
    assert "****" in screen.getvalue()
    assert "hush" not in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


async def test_what_goes_beyond_a_limit_is_told_while_it_is_typed_and_taken_back_with_the_key_that_mends_it() -> None:
    amount = {"type": "number", "minimum": 0, "maximum": 1000}
    typed = await Typed().fill(amount, "5000\x7f\r")
    assert typed.answer == 500
    assert typed.screen.getvalue().count("✘ 5000 is greater than the maximum of 1000") == 1
    typed = await Typed().fill({"type": "string", "maxLength": 3}, "abcd\x7f\r")
    assert typed.answer == "abc"
    assert '✘ "abcd" is longer than 3 characters' in typed.screen.getvalue()
