"""What is wrong with YAML text, in words that help: the parser's own speak of tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agentflow.definition.places import spot
from agentflow.errors import Place, Problem

_TEMPLATE = re.compile(r"(input|steps|env|item|index|with|run|context)\b|\$\.")
_COLON = "a colon starts a second value"
_SCRIPT = re.compile(r"\s*(?:- )?(run):\s+\S")
"""A text of a shell, in which quotes stand for the shell."""
_UNSPACED = re.compile(r"^ *(-)([A-Za-z_]\w*:)(?= |$)(?![\s\S]*^ *- )", re.MULTILINE)
"""An item whose dash has grown together with its key, and no good item after it."""
_HINTS = (
    ("mapping values are not allowed", _COLON, "quote a text that contains `: `"),
    ("cannot start any token", "this character can't start a value", "quote the text, and indent with spaces only"),
    ("could not find expected ':'", "a key without a colon", "write `key: value`; quote texts over several lines"),
    ("found unexpected end of stream", "a quote isn't closed", "close it, or double a quote inside the text"),
    ("did not find expected key", "a key or the end of the mapping was expected", None),
    (
        "did not find expected '-' indicator",
        "a list item (`- `) was expected",
        "fields of one item begin in the same column: indent this line like those above it",
    ),
    ("did not find expected ',' or", "the list or mapping in brackets isn't closed", None),
    ("did not find expected node content", "a value was expected", None),
    ("found undefined alias", "an alias without an anchor before it", None),
    ("found undefined tag handle", "tags aren't supported", None),
    (
        "found unknown escape character",
        "an unknown escape in a text in double quotes",
        "write \\\\ or use single quotes",
    ),
    ("found incompatible YAML document", "only YAML 1.1 and 1.2 are supported", None),
)


def template_mapping(data: Mapping[str, Any]) -> str | None:
    """Return the template that an unquoted `{input.x}` was meant to be; None when the mapping isn't one."""
    if len(data) == 1:
        key, value = next(iter(data.items()))
        if value is None and _TEMPLATE.match(key):
            return f"{{{key}}}"
    return None


def quoting(text: str, start: int, end: int) -> str:
    """Return how to write a template that isn't quoted, with what stands behind it on its line.

    Args:
        text: the whole document.
        start: where the template begins.
        end: behind its end.
    """
    line_start = text.rfind("\n", 0, start) + 1
    rest = re.split(r"\s#", text[end:].partition("\n")[0], maxsplit=1)[0].rstrip()
    alone = re.fullmatch(r"\s*(?:- +)?[\w.-]+:\s+|\s*- +", text[line_start:start])
    whole = text[start:end] + (rest if alone is not None else "")
    return f"write {chr(39)}{whole}{chr(39)}" if '"' in whole else f'write "{whole}"'


def syntax_problem(error: Exception, text: str, file: str) -> Problem:
    """Turn the parser's error into a problem with a place and, for the usual mistakes, a hint."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return _unreadable(error, text, file)
    raw = str(getattr(error, "problem", None) or "the text can't be read")
    what, hint = raw, None
    for start, words, advice in _HINTS:
        if start in raw:
            what, hint = words, advice
            break
    index = min(mark.index, max(len(text) - 1, 0))
    line_start = text.rfind("\n", 0, index) + 1
    line = text[line_start:].partition("\n")[0]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        what, hint = "a tab in the indentation", "indent with spaces"
        index = line_start + line.index("\t")
    elif what == _COLON and (key := _SCRIPT.match(line)) is not None:
        hint = f"write `{key[1]}: |`, and the text on the lines below it"
    elif (dash := _UNSPACED.search(text[max(line_start - 400, 0) : line_start + len(line)])) is not None:
        index = max(line_start - 400, 0) + dash.start(1)
        what, hint = "no space after the dash of a list item", f"write `- {dash[2]}`"
    elif re.search(r"[:\-]\s+\{+(input|steps|env|item|index|with|run|context|\$)\b", line):
        hint = "quote a text that begins with a template"
    return Problem("AF-YAML-SYNTAX", f"not valid YAML: {what}", place=spot(file, text, index, index + 1), hint=hint)


def _unreadable(error: Exception, text: str, file: str) -> Problem:
    position = getattr(error, "position", None)
    place = Place(file, 1, 1)
    what = "the text can't be read"
    for number, char in enumerate(text):
        if (ord(char) < 32 and char not in "\t\n\r") or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000:
            place, what = spot(file, text, number, number + 1), f"the character U+{ord(char):04X} isn't allowed"
            break
    else:
        if isinstance(position, int) and 0 <= position < len(text):
            place = spot(file, text, position, position + 1)
    return Problem("AF-YAML-SYNTAX", f"not valid YAML: {what}", place=place)
