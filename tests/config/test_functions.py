"""What `validate` says of Python functions: are they there, and do they take what their steps give them."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from agentflow.config import load_config
from agentflow.config.functions import check_functions
from agentflow.errors import Problem

_numbers = count()
CODE = """
from agentflow.steps.contract import Context
CALLED = []
def plain(text, limit=3): CALLED.append(text)
def two(a, b): ...
def only(text, /, limit=1): ...
def rest(text, **more): ...
def nothing(): ...
async def with_context(ctx, text): ...
def any_of(*values): ...
VALUE = 1
print("imported")
"""


def _problems(folder: Path, step: str, code: str = CODE, more: str = "") -> list[Problem]:
    name = f"own_functions_{next(_numbers)}"
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    text = f"python: {{modules: [{name}]}}\n{more}workflows:\n  w:\n    input: {{x: string}}\n"
    text += f"    steps:\n      - {{{step}}}\n"
    (folder / "agentflow.yaml").write_text(text.replace("MOD", name), encoding="utf-8")
    return check_functions(load_config(folder / "agentflow.yaml"))


@pytest.mark.parametrize(
    "call",
    [
        "plain, input: {text: '{input.x}'}", "plain, input: {text: a, limit: 1}", "plain, input: '{input}'",
        "plain, with: {text: a}", "plain, input: a", "plain, input: {some: {thing: 1}}", "two, input: {a: 1, b: 2}",
        "only, input: {text: 1}", "rest, input: {text: 1, other: 2}", "nothing", "with_context, input: {text: 1}",
        "any_of, input: [1, 2]", "two, input: '{steps.before}'",
    ],
)  # fmt: skip
def test_a_call_that_fits_is_none_of_its_problems(tmp_path: Path, call: str) -> None:
    before = "id: before, type: set, value: {a: 1}}\n      - {"
    assert _problems(tmp_path, f"{before}id: s, type: python, function: MOD:{call}") == []


@pytest.mark.parametrize(
    ("call", "said", "label"),
    [
        ("plain, input: {limit: 3}", 'step "s" calls "MOD:plain" without "text"', None),
        (
            "plain, input: {txt: a, limit: 1}",
            'step "s" gives "txt" to "MOD:plain", which has no such parameter',
            "text",
        ),
        ("plain, input: {text: a, more: 1}", 'step "s" gives "more" to "MOD:plain", which has no such parameter', None),
        ("two, with: {a: 1}", 'step "s" calls "MOD:two" without "b"', None),
        ("two", 'step "s" calls "MOD:two" without "a" and "b"', None),
        ("nothing, input: {a: 1}", 'step "s" gives "a" to "MOD:nothing", which has no such parameter', None),
        ("with_context, input: {ctx: 1, text: a}", 'step "s" gives "ctx" to "MOD:with_context", which', None),
    ],
)
def test_a_call_that_does_not_fit_is_told_with_what_the_function_takes(
    tmp_path: Path, call: str, said: str, label: str | None
) -> None:
    [problem] = _problems(tmp_path, f"id: s, type: python, function: MOD:{call}")
    name = next(iter(tmp_path.glob("own_*.py"))).stem
    assert problem.code == "AF-PYTHON-ARGUMENTS"
    assert problem.message.startswith(said.replace("MOD", name))
    assert problem.label == (f'did you mean "{label}"?' if label else None)
    assert (problem.hint or "").startswith("it takes ")
    assert problem.place is not None


def test_a_function_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    [problem] = _problems(tmp_path, "id: s, type: python, function: MOD:plian")
    assert (problem.code, problem.severity) == ("AF-PYTHON-UNKNOWN", "error")
    assert "plain" in (problem.hint or "")
    [problem] = _problems(tmp_path, "id: s, type: python, function: MOD:VALUE")
    assert "is no function but a int" in problem.message


def test_what_a_module_raises_is_told_once_with_its_class_and_place(tmp_path: Path) -> None:
    step = "id: s, type: python, function: MOD:a}\n      - {id: t, type: python, function: MOD:b"
    [problem] = _problems(tmp_path, step, "import os\nraise ValueError('no luck')\n")
    assert problem.code == "AF-PYTHON-IMPORT"
    assert "ValueError: no luck" in problem.message
    assert ".py:2" in problem.message
    [problem] = _problems(tmp_path, step, "import no_such_library\n")
    assert "ModuleNotFoundError" in problem.message
    [problem] = _problems(tmp_path, step, "raise SystemExit(3)\n")
    assert "SystemExit" in problem.message


def test_tools_of_the_config_are_looked_at_with_their_calls(tmp_path: Path) -> None:
    step = "id: s, type: tool_call, tool_name: t, input: {a: 1}"
    [problem] = _problems(tmp_path, step, more="tools: {t: {python: 'MOD:two'}}\n")
    assert (problem.code, '"b"' in problem.message) == ("AF-PYTHON-ARGUMENTS", True)
    [problem] = _problems(tmp_path, step, more="tools: {t: {python: 'MOD:tow'}}\n")
    assert (problem.code, problem.pointer) == ("AF-PYTHON-UNKNOWN", "/tools/t/python")


def test_nothing_is_called_and_what_a_module_prints_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = CODE + "import sys\nsys.modules[__name__].CALLED = CALLED\n"
    assert _problems(tmp_path, "id: s, type: python, function: MOD:plain, input: {text: a}", code) == []
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "imported\n")
