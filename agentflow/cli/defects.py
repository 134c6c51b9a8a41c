"""A fault of agentflow itself: what a person reads of it, and the report that can be given to others.

The trace goes into a file. Nothing that somebody typed or set, and nobody else should read, goes with it: not the
config's secrets, not the values of the command line, not the environment's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from agentflow.cli.shown import redacted
from agentflow.data import is_array, is_object, parse
from agentflow.errors import Defect
from agentflow.redaction import Redactor
from agentflow.reports import report

_PRIVATE = re.compile(r"KEY|TOKEN|SECRET|PASS|AUTH|CREDENTIAL|COOKIE|DSN|_URL$|_URI$", re.IGNORECASE)
"""Names of variables whose values are nobody's business, whether a config names them or not."""
_SHORTEST = 6
"""Characters of a value that is looked for; of shorter ones every text is full."""
_LISTED = 3
"""Words of a command line that may be told: its commands."""


def as_defect(error: BaseException, arguments: Sequence[str] = ()) -> Defect:
    """Turn a fault into the error that a person reads; its trace goes into a file.

    Args:
        error: what nobody expected.
        arguments: the command line.
    """
    found = dict(_typed(arguments)) | dict(_set(os.environ))
    private = Redactor({f"{name} ({n})": value for n, (value, name) in enumerate(found.items())})
    path = report(error, lambda text: private.text(redacted(text)), f"command: {_command(arguments)}")
    what = error.what if isinstance(error, Defect) else f"agentflow itself failed ({type(error).__name__})"
    why = f"the details are in {path}; please report them with the steps that led here" if path else None
    data = {"report": path} if path else {}
    return Defect(what, why=why, hint="AGENTFLOW_DEBUG=1 shows the trace here", data=data)


def _command(arguments: Sequence[str]) -> str:
    """Return a command line without what was given to it: its commands and the names of its options."""
    words: list[str] = []
    for argument in arguments:
        if argument.startswith("-") or not argument.isidentifier() or len(words) == _LISTED:
            break
        words.append(argument)
    options = [each.partition("=")[0] for each in arguments[len(words) :] if each.startswith("-")]
    return " ".join(["agentflow", *words, *options])


def _typed(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the values that a command line gives, with what they are told as."""
    for argument in arguments:
        _, named, value = argument.partition("=")
        if not named and not argument.startswith(("{", "[", '"')):
            continue
        given = value if named else argument
        for text in (given, *_texts(given)):
            if len(text) >= _SHORTEST:
                yield text, "typed"


def _texts(given: str) -> Iterator[str]:
    """Yield the texts of a value that is JSON."""
    try:
        stack = [parse(given)]
    except ValueError:
        return
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif is_object(value):
            stack += value.values()
        elif is_array(value):
            stack += value


def _set(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the values of variables that look private."""
    for name, value in environ.items():
        if len(value) >= _SHORTEST and _PRIVATE.search(name):
            yield value, name
