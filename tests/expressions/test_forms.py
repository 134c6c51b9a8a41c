"""distri's conditions: they mean what they mean there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agentflow.expressions import NULLED, compile_condition
from agentflow.expressions.view import Dialect
from tests.expressions.views import Fake, holds, refused

VIEW = Fake(
    {"a": {"ok": True, "mode": "generate"}, "b-c": {"ok": 1}, "none": NULLED},
    input={
        "mode": "pick", "n": 3, "f": 1.5, "big": 10**5000, "yes": True, "no": False, "zero": 0, "empty": "",
        "none": None, "list": [], "full": [0], "map": {}, "odd": "x==y", "key-1": "v",
    },
)  # fmt: skip


@pytest.mark.case("D-SKIP-3")
@pytest.mark.parametrize("dialect", ["agentflow", "distri"])
@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("{input.mode}", True),
        ("!{input.mode}", False),
        ("! {input.mode} ", False),
        ("!!{input.mode}", True),
        ("{input.missing}", False),
        ("!{input.missing}", True),
        ("{input.missing.deeper}", False),
        ("{steps.gone.x}", False),
        ("{input.mode?}", True),
        ('{input.mode} == "pick"', True),
        ('{input.mode} == "generate"', False),
        ('{input.mode} != "generate"', True),
        ("{input.mode} != 'pick'", False),
        ('{input.missing} == "pick"', False),
        ('{input.missing} != "pick"', True),
        ('{input.none} == "null"', False),
        ('{input.none} != "null"', True),
        ('!{input.mode} == "pick"', False),
        ('!{input.mode} != "pick"', True),
        ("input.mode", True),
        ("!steps.a.ok", False),
        ('steps.a.mode == "generate"', True),
        ("steps.b-c.ok", True),
        ('input.key-1 == "v"', True),
        ("{$.steps.a.ok}", True),
        ("{steps.none.ok}", False),
        ('{steps.none} == "x"', False),
        ("true", True),
        (" false ", False),
    ],
)
def test_the_whole_forms_ask_for_truth_or_compare_with_a_text(condition: str, value: bool, dialect: Dialect) -> None:
    assert holds(condition, VIEW, dialect=dialect) is value


@pytest.mark.case("D-SKIP-5")
def test_an_operator_inside_the_quoted_text_is_text() -> None:
    assert holds('{input.mode} != "x==y"', VIEW)
    assert not holds('{input.odd} != "x==y"', VIEW)
    assert holds('{input.odd} == "x==y"', VIEW)
    assert not holds('{input.mode} == "a != b"', VIEW)


@pytest.mark.parametrize("name", ["missing", "none", "no", "empty", "zero", "list", "map"])
def test_missing_null_false_and_empty_values_are_not_true(name: str) -> None:
    assert not holds(f"{{input.{name}}}", VIEW)
    assert holds(f"!{{input.{name}}}", VIEW)


@pytest.mark.parametrize("name", ["mode", "n", "f", "yes", "full"])
def test_all_other_values_are_true(name: str) -> None:
    assert holds(f"{{input.{name}}}", VIEW)


@pytest.mark.parametrize(
    ("name", "text"), [("n", "3"), ("f", "1.5"), ("yes", "true"), ("no", "false"), ("empty", ""), ("zero", "0")]
)
def test_numbers_and_booleans_are_compared_by_their_text(name: str, text: str) -> None:
    assert holds(f'{{input.{name}}} == "{text}"', VIEW)
    assert not holds(f'{{input.{name}}} != "{text}"', VIEW)
    assert not holds(f'{{input.{name}}} == "other"', VIEW)


@pytest.mark.parametrize("name", ["list", "full", "map", "big"])
def test_nothing_else_equals_a_text(name: str) -> None:
    assert not holds(f'{{input.{name}}} == "[]"', VIEW)
    assert holds(f'{{input.{name}}} != "[]"', VIEW)


def test_distris_files_may_leave_the_quotes_out() -> None:
    assert holds("{input.mode} == pick", VIEW, dialect="distri")
    assert holds("{input.yes} == true", VIEW, dialect="distri")
    assert not holds("{input.mode} != pick", VIEW, dialect="distri")
    assert 'a text needs quotes: "pick"' in (refused(lambda: compile_condition("{input.mode} == pick")).hint or "")


def test_distris_context_is_searched() -> None:
    assert holds('{context.mode} == "pick"', VIEW, dialect="distri")
    assert holds("{context.a.ok}", VIEW, dialect="distri")


def test_references_of_the_forms_have_their_place() -> None:
    (braced,) = compile_condition('  ! {steps.a.mode} == "x"').references
    (bare,) = compile_condition(" steps.a.mode").references
    assert (braced.text, braced.offset, braced.length, braced.step_id) == ("{steps.a.mode}", 4, 14, "a")
    assert (bare.text, bare.offset, bare.length, bare.path) == ("steps.a.mode", 1, 12, ("a", "mode"))


def test_a_constant_is_a_condition() -> None:
    assert holds(True, VIEW)
    assert not holds(False, VIEW)
    assert compile_condition(True).text == "true"


def test_neither_the_forms_nor_plain_templates_load_the_heavy_libraries() -> None:
    code = """
import sys
from agentflow.expressions import compile_condition, compile_value
compile_value({"a": ["{input.x} {steps.y.z?}"]})
for text in ("{input.x}", "!{input.x}", '{input.x} == "y"', "input.x != 'y'", "true"):
    compile_condition(text)
heavy = ("cel_expr_python", "jsonpath_ng", "difflib", "anyio", "httpx")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
