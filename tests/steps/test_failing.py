"""What is told of an exception of user code: its class, its message, the user's lines, and what led to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import Failure, StepError
from agentflow.steps.failing import MAX_CAUSES, MAX_FRAMES, MAX_MESSAGE, step_error
from agentflow.steps.modules import ModuleLoader


def failure_of(act: Callable[[], object]) -> StepError:
    """Return the failure that an exception becomes."""
    try:
        act()
    except BaseException as error:
        return step_error(error)
    raise AssertionError("nothing was raised")


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


def names(frames: Any) -> list[str]:
    """Return file and function of frames: `test_failing.py act`."""
    return [f"{Path(frame.partition(':')[0]).name} {frame.partition(', in ')[2].partition(':')[0]}" for frame in frames]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no number"), "ValueError: no number"),
        (KeyError("total"), "KeyError: 'total'"),
        (AssertionError(), "AssertionError"),
        (ValueError("  "), "ValueError"),
        (Exception(3), "Exception: 3"),
        (ModuleNotFoundError("No module named 'pandas'"), "ModuleNotFoundError: No module named 'pandas'"),
        (OSError(2, "No such file", "a.txt"), "FileNotFoundError: [Errno 2] No such file: 'a.txt'"),
        (ValueError("ValueError: twice"), "ValueError: twice"),
    ],
    ids=repr,
)
def test_a_message_begins_with_the_exceptions_class(error: BaseException, message: str) -> None:
    failure = failure_of(raising(error))
    assert failure.what == message
    assert failure.data["exception"] == type(error).__name__


def test_the_place_is_the_users_last_line_and_a_librarys_last_line_follows_the_users() -> None:
    failure = failure_of(lambda: json.loads("{"))
    assert names(failure.data["traceback"]) == [
        "test_failing.py failure_of",
        "test_failing.py <lambda>",
        "decoder.py raw_decode",
    ]
    assert str(failure.data["at"]).partition(":")[0].endswith("test_failing.py")
    assert (
        failure.what == "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )


def test_an_exception_without_a_line_of_the_user_tells_the_librarys() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    trace = caught.value.__traceback__
    failure = step_error(caught.value.with_traceback(trace.tb_next if trace else None))
    assert names(failure.data["traceback"])[-1] == "decoder.py raw_decode"
    assert "decoder.py:" in str(failure.data["at"])


def test_what_led_to_an_exception_is_told_nearest_first() -> None:
    def act() -> None:
        try:
            try:
                raise KeyError("a")
            except KeyError:
                int("x")
        except ValueError as error:
            raise RuntimeError("no price") from error

    causes: Any = failure_of(act).data["causes"]
    assert [(each["how"], each["message"]) for each in causes] == [
        ("caused by", "ValueError: invalid literal for int() with base 10: 'x'"),
        ("while handling", "KeyError: 'a'"),
    ]
    assert all(names(each["traceback"]) == ["test_failing.py act"] for each in causes)


def test_a_suppressed_context_is_not_told() -> None:
    def act() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise ValueError("b") from None

    assert "causes" not in failure_of(act).data


def test_a_ring_of_causes_ends() -> None:
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    causes: Any = failure_of(raising(first)).data["causes"]
    assert [each["message"] for each in causes] == ["ValueError: 2"]


def test_a_group_names_what_is_in_it_with_the_lines_of_each() -> None:
    def act() -> None:
        found: list[Exception] = []
        for text in "xyz":
            try:
                int(text)
            except ValueError as error:
                found.append(error)
        raise ExceptionGroup("many", found)

    failure = failure_of(act)
    assert failure.what.startswith("ExceptionGroup: many (3 sub-exceptions); ValueError: invalid literal")
    causes: Any = failure.data["causes"]
    assert [each["how"] for each in causes] == ["inside"] * 3
    assert all(names(each["traceback"]) == ["test_failing.py act"] for each in causes)


def test_a_large_group_and_a_long_chain_are_cut() -> None:
    error = ValueError("0")
    current: BaseException = error
    for number in range(1, 40):
        current.__cause__ = ValueError(str(number))
        current = current.__cause__
    assert len(failure_of(raising(error)).data["causes"]) == MAX_CAUSES
    group = ExceptionGroup("many", [ValueError(str(n)) for n in range(1000)])
    assert len(failure_of(raising(group)).data["causes"]) == MAX_CAUSES


def test_notes_are_told() -> None:
    error = ValueError("no")
    error.add_note("row 7 of prices.csv")
    assert failure_of(raising(error)).why == "row 7 of prices.csv"


def test_texts_that_fail_are_odd_or_are_long_harm_nobody() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    assert failure_of(raising(Broken())).what == "Broken"
    assert failure_of(raising(type("N" * 5000, (Exception,), {})("x"))).what.startswith("NNNN")
    assert len(failure_of(raising(ValueError("x" * 100_000))).what) <= MAX_MESSAGE
    assert failure_of(raising(ValueError("\ud800"))).what == "ValueError: ?"


def test_a_deep_recursion_shows_the_last_lines_only() -> None:
    def endless() -> None:
        endless()

    failure = failure_of(endless)
    assert failure.what.startswith("RecursionError: maximum recursion depth exceeded")
    assert len(failure.data["traceback"]) == MAX_FRAMES


def test_a_deleted_working_directory_costs_the_lines_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert failure_of(raising(ValueError("boom"))).what == "ValueError: boom"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("x = 1\ndef f(:\n    pass\n", "SyntaxError: invalid syntax", 2),
        ("def f():\nreturn 1\n", "IndentationError: expected an indented block after function definition on line 1", 2),
        ("\nimport nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'", 2),
        ("from json import nothing\n", "ImportError: cannot import name 'nothing' from 'json'", 1),
        ("A = {}\nB = A['b']\n", "KeyError: 'b'", 2),
    ],
)
def test_a_module_that_cannot_be_imported_names_its_line(text: str, message: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text(text, encoding="utf-8")
    loader = ModuleLoader(tmp_path, ["broken_module"])
    try:
        with pytest.raises(StepError) as caught:
            loader.load("broken_module:f")
    finally:
        loader.close()
        sys.modules.pop("broken_module", None)
    error = caught.value
    assert error.code == "AF-PYTHON-IMPORT"
    assert error.what.startswith(f'module "broken_module" can\'t be imported: {message}')
    assert str(error.data["at"]).endswith(f"broken_module.py:{line}")
    assert str(error.data["traceback"][-1]).endswith(text.splitlines()[line - 1].strip())


def test_a_syntax_error_in_a_text_that_is_no_file_names_the_users_line() -> None:
    failure = failure_of(lambda: compile("1 +", "<formula>", "eval"))
    assert failure.what == "SyntaxError: invalid syntax (<formula>, line 1)"
    assert "test_failing.py:" in str(failure.data["at"])


def test_a_failures_sentence_ends_with_the_place() -> None:
    assert Failure("AF-PYTHON-RAISED", "ValueError: no", data={"at": "lib.py:3"}).told == "ValueError: no (lib.py:3)"
    assert Failure("AF-TIMEOUT", "too slow").told == "too slow"
