"""Problems as people see them."""

from __future__ import annotations

from agentflow.definition.excerpt import render_problem, render_problems
from agentflow.errors import Place, Problem

TEXT = 'a: 1\n  message: "Total {steps.summarize.total}"\n\tkey: värde 😀 {x}\n'


def test_a_problem_has_its_line_with_a_caret_and_a_label() -> None:
    problem = Problem(
        "AF-REF-STEP",
        'unknown step "summarize" in a template',
        place=Place("agentflow.yaml", 2, 26, 9),
        label='did you mean "summarise"?',
    )
    assert render_problem(problem, {"agentflow.yaml": TEXT}).split("\n") == [
        'error[AF-REF-STEP]: unknown step "summarize" in a template',
        " --> agentflow.yaml:2:26",
        "  |",
        '2 |   message: "Total {steps.summarize.total}"',
        '  |                          ^^^^^^^^^ did you mean "summarise"?',
    ]


def test_the_margin_fits_the_line_number_and_hints_follow() -> None:
    text = "\n" * 39 + "    depends_on: [notify]\n"
    problem = Problem(
        "AF-GRAPH-CYCLE",
        "steps wait for each other: archive -> notify -> archive",
        place=Place("agentflow.yaml", 40, 18, 6),
        label="and notify depends on archive at 45:18",
        hint="remove one of the two, or use `if:` when it is meant as a loop",
    )
    assert render_problem(problem, {"agentflow.yaml": text}).split("\n") == [
        "error[AF-GRAPH-CYCLE]: steps wait for each other: archive -> notify -> archive",
        "  --> agentflow.yaml:40:18",
        "   |",
        "40 |     depends_on: [notify]",
        "   |                  ^^^^^^ and notify depends on archive at 45:18",
        "   = hint: remove one of the two, or use `if:` when it is meant as a loop",
    ]


def test_without_a_place_the_sentence_and_the_hint_remain() -> None:
    problem = Problem("AF-X", "something", hint="do this", severity="warning")
    assert render_problem(problem, {}) == "warning[AF-X]: something\n  hint: do this"


def test_without_the_file_the_place_remains() -> None:
    problem = Problem("AF-X", "something", place=Place("a.yaml", 3, 1), label="here", hint="do this")
    assert render_problem(problem, {}).split("\n") == [
        "error[AF-X]: something",
        " --> a.yaml:3:1",
        "  = here",
        "  = hint: do this",
    ]


def test_tabs_and_wide_characters_keep_the_caret_under_its_text() -> None:
    problem = Problem("AF-X", "x", place=Place("a.yaml", 3, 15, 3))
    lines = render_problem(problem, {"a.yaml": TEXT}).split("\n")
    assert lines[3] == "3 |     key: värde 😀 {x}"
    assert lines[4] == "  |                   ^^^"


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    problem = Problem("AF-X", "a\x1b[31mb\nc", place=Place("a\x1b.yaml", 1, 1, 3))
    text = render_problem(problem, {"a\x1b.yaml": "\x1b[2J: \u202e x"})
    assert text.isprintable() or all(c.isprintable() or c == "\n" for c in text)


def test_a_very_long_line_is_cut_around_the_caret() -> None:
    text = "a" * 5000 + "NEEDLE" + "b" * 5000
    lines = render_problem(Problem("AF-X", "x", place=Place("a.yaml", 1, 5001, 6)), {"a.yaml": text}).split("\n")
    assert len(lines[3]) < 200
    assert lines[3][lines[4].index("^") :].startswith("NEEDLE")


def test_a_place_outside_of_the_text_does_no_harm() -> None:
    problem = Problem("AF-X", "x", place=Place("a.yaml", 99, 99, 99))
    assert render_problem(problem, {"a.yaml": "a"}) == "error[AF-X]: x\n  --> a.yaml:99:99"
    assert "^" in render_problem(Problem("AF-X", "x", place=Place("a.yaml", 1, 50, 9)), {"a.yaml": "a"})


def test_several_problems_have_an_empty_line_between_them() -> None:
    problem = Problem("AF-X", "x")
    assert render_problems([problem, problem], {}) == "error[AF-X]: x\n\nerror[AF-X]: x"
