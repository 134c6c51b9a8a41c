"""Colour, glyphs and streams follow the terminal and the environment."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios

import pytest

from agentflow.cli import shown
from agentflow.cli.console import Console, make_console
from agentflow.cli.writer import Output
from agentflow.redaction import NOTHING, Redactor


@pytest.mark.parametrize(
    ("environ", "colour"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "0"}, False),
    ],
)
def test_without_a_terminal_only_force_color_gives_colour(environ: dict[str, str], colour: bool) -> None:
    console = make_console(environ=environ)
    assert console.out_colour is colour
    assert not console.live


def test_the_size_is_that_of_the_terminal_even_where_descriptor_1_leads_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main, side = os.openpty()
    try:
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 50, 0, 0))
        monkeypatch.setattr("agentflow.cli.console.standard", lambda: (io.StringIO(), Output(side)))
        monkeypatch.setattr("sys.__stdout__", None)
        monkeypatch.delenv("COLUMNS", raising=False)
        monkeypatch.delenv("LINES", raising=False)
        console = make_console(environ={})
    finally:
        os.close(main)
        os.close(side)
    assert (console.width, console.height) == (50, 12)


def test_an_address_to_be_opened_is_whole_though_a_part_of_it_is_a_secret_of_the_config() -> None:
    err = io.StringIO()
    console = Console(io.StringIO(), err)
    shown.redact_by(Redactor({"CLIENT": "client-of-ours"}))
    try:
        console.address("https://id.example.com/?client_id=client-of-ours\x1b[2J")
    finally:
        shown.redact_by(NOTHING)
    assert err.getvalue() == "  https://id.example.com/?client_id=client-of-ours\\x1b[2J\n"


def test_quiet_drops_talk_and_keeps_errors_and_results() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(out, err, quiet=True)
    console.say("talk")
    console.tell("error")
    console.result("result")
    assert (out.getvalue(), err.getvalue()) == ("result\n", "error\n")


def test_a_terminal_without_utf_8_gets_ascii_glyphs_and_escaped_json() -> None:
    out = io.StringIO()
    console = Console(out, io.StringIO(), unicode=False)
    console.result("✔ done")
    console.data({"name": "Zoë"})
    assert out.getvalue() == '+ done\n{"name": "Zo\\u00eb"}\n'


def test_questions_need_a_terminal_on_both_sides() -> None:
    streams = (io.StringIO(), io.StringIO())
    assert Console(*streams, err_terminal=True, in_terminal=True).asks
    assert not Console(*streams, err_terminal=True).asks
    assert not Console(*streams, err_terminal=True, in_terminal=True, mode="json").asks
