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


def typed(*chunks: bytes) -> LineEdit:
    keyboard, edit = Keyboard(), LineEdit()
    for chunk in chunks:
        for key, char in keyboard.feed(chunk):
            edit.apply(key, char)
    return edit


def test_a_line_is_corrected_in_its_middle() -> None:
    assert typed("中文x".encode(), b"\x1b[D", b"\x7f", "é".encode()).text == "中éx"
    assert typed(b"abc", b"\x1b[H", b"\x1b[3~", b"X").text == "Xbc"
    assert typed(b"abc", b"\x1bOH", b"\x1b[C", b"-", b"\x1b[F", b"!").text == "a-bc!"
    assert typed(b"two words", b"\x1b[D" * 2, b"\x17").text == "twods"
    assert typed(b"a", b"\x1b[D" * 3, b"\x1b[C" * 5, b"b").text == "ab"


def test_line_ends_of_a_pasted_text_are_no_enter_and_its_keys_do_nothing() -> None:
    assert kinds(b"\x1b[200~yes\rn\x03o\x1b[A\x15\tx\x1b[20", b"1~\r") == ["yes", "break", "no x", "enter"]
