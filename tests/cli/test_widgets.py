"""A line of a form is drawn as it is: what stands on the screen is what will be sent."""

from __future__ import annotations

import io
from typing import Any

import pyte
import pytest

from agentflow.cli.ask import Form
from agentflow.cli.console import Console
from agentflow.cli.keys import Keyboard
from agentflow.cli.widgets import Keys

pytestmark = pytest.mark.anyio

NAMED = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "sure": {"type": "boolean"}},
    "required": ["name"],
}
LINES = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
}
LEFT, HOME, DELETE = "\x1b[D", "\x1b[H", "\x1b[3~"


async def typed(schema: dict[str, Any], keys: str) -> tuple[Any, list[str]]:
    """Type into a form; returns the answer, and what stands on the screen."""

    async def pressed() -> Keys:
        for key in Keyboard().feed(keys.encode()):
            yield key

    err = io.StringIO()
    console = Console(io.StringIO(), err, err_terminal=True, in_terminal=True, err_colour=True)
    answer = await Form(console, schema, keys=pressed()).fill()
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(err.getvalue().replace("\n", "\r\n"))
    return answer, [line.rstrip() for line in screen.display]


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (f"abc{HOME}{DELETE}X", "Xbc"),
        (f"中文x{LEFT}\x7fé", "中éx"),
        (f"one two{LEFT * 3}\x17", "two"),
        (f"abc{LEFT}\x15new", "new"),
    ],
)
async def test_a_line_that_is_corrected_in_its_middle_stands_there_as_it_is_sent(keys: str, name: str) -> None:
    answer, screen = await typed(NAMED, f"{keys}\r\r")
    assert answer["name"] == name
    assert [line.split() for line in screen if line.split()[:1] == ["name"]] == [["name", ":", name]]


async def test_a_pasted_text_of_several_lines_answers_no_question_after_its_own() -> None:
    answer, _ = await typed(NAMED, "\x1b[200~Ana\nyes\n\x1b[201~\r\r")
    assert answer["name"].split() == ["Ana", "yes"]
    assert "sure" not in answer


async def test_a_list_is_pasted_an_item_a_line() -> None:
    answer, _ = await typed(LINES, "\x1b[200~Ana\nBo\n\x1b[201~\r")
    assert answer == {"names": ["Ana", "Bo"]}
