"""The wrong uses that the Python page lists say exactly what it says they do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentflow
from agentflow import Engine, Workflow, config_from, run_sync, step
from agentflow.errors import AgentflowError, DefinitionError, InputError
from agentflow.steps import condition, for_each, python, set_, switch, wait_for_input, while_
from tests.python_api.functions import double

pytestmark = pytest.mark.anyio
PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "python.md"
ROW = re.compile(r"^\| `(?P<code>[^|]+)` \| (?P<says>[^|]+) \|$", re.MULTILINE)


def listed() -> Iterator[tuple[str, str]]:
    """Yield the wrong uses of the page, and what they say."""
    part = PAGE.read_text(encoding="utf-8").partition("## Wrong uses")[2].partition("\n## ")[0]
    for row in ROW.finditer(part):
        yield row["code"], row["says"]


async def raised(code: str) -> AgentflowError:
    """Return what a use raises."""
    one = set_("one", value=1)
    flow = Workflow(id="w", input={"n": "integer"}, steps=[one])
    names: dict[str, Any] = {
        "agentflow": agentflow, "Engine": Engine, "Workflow": Workflow, "config_from": config_from,
        "run_sync": run_sync, "step": step, "condition": condition, "for_each": for_each, "python": python,
        "set_": set_, "switch": switch, "wait_for_input": wait_for_input, "while_": while_, "one": one, "flow": flow,
        "double": double, "__name__": "page",
    }  # fmt: skip
    async with Engine.open(":memory:", workflows=flow) as engine:
        names |= {"engine": engine, "run": await engine.start("w", {"n": 1})}
        with pytest.raises(AgentflowError) as caught:
            await use(code, names)
    return caught.value


async def use(code: str, names: dict[str, Any]) -> None:
    """Run a line that may await."""
    result = eval(compile(code, "<page>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if result is not None:
        await result


def test_the_page_lists_at_least_twenty_wrong_uses() -> None:
    assert len({code for code, _ in listed()}) >= 20


@pytest.mark.parametrize(("code", "says"), [*listed()])
async def test_a_wrong_use_says_what_the_page_says(code: str, says: str) -> None:
    error = await raised(code)
    assert f"{error}".replace("|", "/") == says
    assert "\n" not in says
    assert "pydantic" not in says


def test_an_error_in_a_log_says_what_and_why_in_one_line_and_a_traceback_what_helps() -> None:
    error = InputError("the answer doesn't fit", why="amount: 5000 is too much\nname is missing", hint="waits show")
    assert str(error) == "the answer doesn't fit: amount: 5000 is too much; name is missing"
    assert error.__notes__ == ["  hint: waits show"]
    assert (error.what, str(InputError("no"))) == ("the answer doesn't fit", "no")


def test_a_definition_error_shows_what_was_meant_where_it_is_raised() -> None:
    with pytest.raises(DefinitionError) as caught:
        step(retries=3)  # pyright: ignore[reportCallIssue]  what is refused
    assert caught.value.__notes__ == ['  hint: @step(retry=3, timeout="5m")']
