"""Keys become edits, also when their bytes arrive in pieces."""

from __future__ import annotations

from agentflow.cli.keys import Keyboard, LineEdit


def kinds(*chunks: bytes) -> list[str]:
    keyboard = Keyboard()
    found = [char or kind for chunk in chunks for kind, char in keyboard.feed(chunk)]
    return found + [kind for kind, _ in keyboard.flush()]


def test_text_comes_through_also_in_halves_of_a_character() -> None:
    assert kinds(b"a\xc3", b"\xa9\r") == ["a", "é", "enter"]


def test_an_arrow_is_not_the_escape_key() -> None:
    assert kinds(b"\x1b[A", b"\x1b", b"[B", b"\x1bOA") == ["up", "down", "up"]
    assert kinds(b"\x1b") == ["escape"]
    assert kinds(b"\x1b[1;5C") == []


def test_a_line_is_edited_and_left() -> None:
    edit = LineEdit()
    for key, char in Keyboard().feed("ab cé".encode()):
        assert edit.apply(key, char) is None
    edit.apply("back", "")
    assert edit.text == "ab c"
    edit.apply("word", "")
    assert edit.text == "ab"
    edit.apply("clear", "")
    assert edit.apply("end", "") == "leave"
    assert edit.apply("enter", "") == "enter"


def test_the_end_of_input_leaves_only_an_empty_line() -> None:
    edit = LineEdit("text")
    assert edit.apply("end", "") is None
    assert edit.apply("escape", "") == "leave"
