"""What people see of an exception in their code: class, message, their lines, and what led to it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from agentflow.cli.failures import cause, sentence, trace_lines
from agentflow.errors import Failure

LIB = """\
import json


def read(text):
    return json.loads(text)


def price(text):
    try:
        return read(text)
    except ValueError as error:
        raise KeyError("price") from error
"""


@pytest.fixture
def shop(project: Any) -> Any:
    """Return a project whose function fails two calls deep, in a library."""
    (project.folder / "lib.py").write_text(LIB, encoding="utf-8")
    (project.folder / "agentflow.yaml").write_text(
        "python: {modules: [lib]}\nworkflows:\n  shop:\n    steps:\n"
        '      - {id: a, type: python, function: "lib:price", input: {text: "{"}}\n',
        encoding="utf-8",
    )
    return project


EXPECTED = [
    "at lib.py:12, in price: raise KeyError(\"price\") from error",
    "caused by JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    "  at lib.py:10, in price: return read(text)",
    "  at lib.py:5, in read: return json.loads(text)",
]  # fmt: skip


def test_run_show_and_show_step_name_the_class_the_lines_and_the_cause(shop: Any) -> None:
    told = shop.run("run", "shop", "-q").stderr.splitlines()
    assert told[0] == "error[AF-PYTHON-RAISED]: step \"a\": KeyError: 'price'"
    shown = shop.run("runs", "show", "@last").stdout.splitlines()
    assert shown[1] == "cause: a: KeyError: 'price' (lib.py:12)  [AF-PYTHON-RAISED]"
    assert any(line.startswith("✘ a ") and line.endswith("KeyError: 'price' (lib.py:12)") for line in shown)
    step = shop.run("runs", "show", "@last", "--step", "a").stdout.splitlines()
    for lines in (told, shown, step):
        bare = [line.lstrip(" =") for line in lines]
        start = bare.index(EXPECTED[0])
        assert bare[start : start + 4] == [line.lstrip() for line in EXPECTED]
        assert "decoder.py:" in bare[start + 4]
        assert "in raw_decode: " in bare[start + 4]


def test_the_list_of_runs_names_the_class_and_the_line(shop: Any) -> None:
    shop.run("run", "shop", "-q")
    assert "a: KeyError: 'price' (lib.py:12)" in shop.run("runs", "list").stdout


def test_a_long_message_is_cut_and_its_place_is_not() -> None:
    failure = Failure("AF-PYTHON-RAISED", "ValueError: " + "x" * 500, data={"at": "lib.py:7"})
    assert sentence(failure, 60) == "ValueError: " + "x" * 36 + "… (lib.py:7)"
    assert len(cause(failure)) == 60
    deep = Failure("AF-PYTHON-RAISED", "ValueError: " + "x" * 500, data={"at": "d/" * 60 + "lib.py:7"})
    assert sentence(deep, 60).endswith("lib.py:7)")
    assert sentence(deep, 60).startswith("ValueError: xxx")


def test_an_answer_of_a_service_is_told_by_its_status() -> None:
    assert cause(Failure("AF-HTTP-STATUS", "GET … gave 503", data={"status": 503})) == "HTTP 503"


def test_more_lines_than_are_shown_are_counted() -> None:
    assert trace_lines({"traceback": ["a", "b", "c"]}, 2) == ["… 1 more", "at b", "at c"]


def test_a_failure_that_another_version_wrote_oddly_is_shown_all_the_same() -> None:
    assert trace_lines({"traceback": "x", "causes": [None, {"how": "caused by", "exception": "E"}]}) == ["caused by E"]


def test_a_recursion_of_workflows_is_told_once(project: Any) -> None:
    (project.folder / "agentflow.yaml").write_text(
        "workflows:\n  dyn:\n    input: {w: {type: string, default: dyn}}\n    steps:\n"
        '      - {id: r, type: workflow, workflow: "{input.w}", input: {w: "{input.w}"}}\n',
        encoding="utf-8",
    )
    told = project.run("run", "dyn", "-q").stderr
    assert told.count("failed:") == 1
    assert 'error[AF-LIMIT-DEPTH]: step "r": the run of "dyn" failed: "dyn" starts itself more than 100 levels' in told
    assert '= in "dyn", step r > "dyn", step r > "dyn", step r > "dyn", step r > … 92 more … > "dyn", step r' in told
    shown = project.run("runs", "show", "@last").stdout
    assert '100 levels deep  [AF-LIMIT-DEPTH]\n  in "dyn", step r > ' in shown
    assert shown.count("failed:") <= 2  # the cause, and the row of the step


def test_an_error_that_nobody_catches_is_printed_with_why_and_hint() -> None:
    code = "from agentflow import StepError; raise StepError('no answer', why='limit: 3', hint='ask later')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-2:] == ["agentflow.errors.StepError: no answer: limit: 3", "  hint: ask later"]


def test_what_a_script_of_python_raised_is_told_without_its_frames() -> None:
    message = (
        "Exit code 1: Traceback (most recent call last):\n"
        '  File "/srv/shop/extract.py", line 12, in <module>\n    check(total)\n'
        '  File "/srv/shop/lib.py", line 3, in check\n    raise ValueError(total)\nValueError: no total in r1.json'
    )
    failure = Failure("AF-SCRIPT-EXIT", message)
    assert cause(failure, 80) == "Exit code 1: ValueError: no total in r1.json (lib.py:3)"
    assert cause(Failure("AF-SCRIPT-EXIT", "Exit code 2: one\ntwo"), 80) == "Exit code 2: one two"


def test_run_tells_the_last_line_of_a_traceback_and_show_step_all_of_it(project: Any) -> None:
    (project.folder / "bad.py").write_text("import nothing_here\n", encoding="utf-8")
    (project.folder / "agentflow.yaml").write_text(
        "skills: [native:shell]\nworkflows: {w: {steps: [{id: a, type: script, run: python3 bad.py}]}}\n",
        encoding="utf-8",
    )
    told = project.run("run", "w", "-q").stderr.splitlines()
    assert told[0] == (
        "error[AF-SCRIPT-EXIT]: step \"a\": Exit code 1: ModuleNotFoundError: No module named 'nothing_here' (bad.py:1)"
    )
    assert "    import nothing_here\n" in project.run("runs", "show", "@last", "--step", "a").stdout
