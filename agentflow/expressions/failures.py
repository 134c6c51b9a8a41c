"""What goes wrong in expressions: when they are compiled, and when a value is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from agentflow.definition.suggest import nearest
from agentflow.errors import StepError
from agentflow.expressions.view import Path, Reference
from agentflow.redaction import current

CHOICES = 5
"""Messages show at most this many names to choose from."""
NAME_LENGTH = 60
"""Longer names of data are cut in messages."""


class ExpressionError(StepError):
    """A template or a condition can't be compiled. `offset` and `length` mark the place inside its string."""

    default_code = "AF-TEMPLATE-SYNTAX"

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        offset: int = 0,
        length: int = 1,
        value_path: Path = (),
        label: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Make an error.

        Args:
            what: what is wrong, one sentence.
            code: a code of `codes.CODES`.
            offset: where the wrong part begins inside its string.
            length: how long the wrong part is.
            value_path: where the string stands in the nested value.
            label: short text for beside the caret.
            hint: an edit that helps.
        """
        super().__init__(what, code=code, kind="invalid", retryable=False, why=label, hint=hint)
        self.offset = offset
        self.length = length
        self.value_path = value_path
        self.label = label


class ReferenceMissing(StepError):
    """A reference has no value, and nobody declared that it may lack one."""

    default_code = "AF-REF-MISSING"

    def __init__(self, reference: Reference, what: str, hint: str | None = None) -> None:
        """Make an error of a whole sentence that names the reference."""
        data = {"reference": reference.text}
        super().__init__(what, kind="reference", retryable=False, hint=hint, data=data)
        self.reference = reference


class Absent(Exception):
    """A path leads nowhere: `depth` parts were followed, and `holder` doesn't have the next one."""

    def __init__(self, depth: int, holder: object) -> None:
        """Make a signal.

        Args:
            depth: how many parts were followed; -1: the beginning isn't there.
            holder: what lacks the part; of the beginning the reason, or the names that are there.
        """
        super().__init__()
        self.depth = depth
        self.holder = holder


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is read like an object."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Tell whether a value is read like an array."""
    return isinstance(value, (list, tuple))


def cut(text: str, length: int = NAME_LENGTH) -> str:
    """Shorten a text for a message."""
    return current().head(text, length)


def kind_of(value: object) -> str:
    """Name the kind of a JSON value, without showing it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (int, float)):
        return "a number"
    if is_list(value):
        return f"a list of {len(value)} item{'' if len(value) == 1 else 's'}"
    return "an object" if is_mapping(value) else "something else"


def choices(name: str, names: Iterable[str]) -> str:
    """List names for a message: all in their order, or the nearest when they are many."""
    known = [str(n) for n in names]
    shown = known
    if len(known) > CHOICES:
        near = nearest(name, known, CHOICES)
        shown = [*near, *(n for n in known if n not in near)][:CHOICES]
    rest = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return ", ".join(cut(n) for n in shown) + rest


def missing(reference: Reference, absent: Absent) -> ReferenceMissing:
    """Make the error of a reference that leads nowhere."""
    why = _why(reference, absent)
    return ReferenceMissing(reference, f'"{_shown(reference)}" has no value: {why}', _hint(reference, absent))


def _shown(reference: Reference) -> str:
    return cut(reference.text, 120)


def _why(reference: Reference, absent: Absent) -> str:
    depth, holder = absent.depth, absent.holder
    if depth < 0:
        return _no_beginning(reference, holder)
    if reference.namespace == "env" and depth == 0 and absent.holder == {}:
        return "the config's `env` gives none"
    subject = _subject(reference, depth)
    key = str(reference.path[depth])
    if is_mapping(holder):
        return f"{subject} has {_keys(key, holder)}"
    if is_list(holder) and isinstance(reference.path[depth], int):
        return f"{subject} has {len(holder)} item{'' if len(holder) == 1 else 's'}"
    return f"{subject} is {kind_of(holder)}"


def _keys(key: str, holder: Mapping[str, Any]) -> str:
    if not holder:
        return "no keys"
    return f"{'key' if len(holder) == 1 else 'keys'} {choices(key, holder)}"


def _no_beginning(reference: Reference, there: object) -> str:
    if isinstance(there, str) and " " in there:
        return there
    if reference.namespace == "steps":
        step = reference.step_id or ""
        known = [str(name) for name in there] if is_list(there) else []
        listed = f"; steps with a result: {choices(step, known)}" if known else ""
        return f'step "{step}" has no result here{listed}'
    if reference.namespace == "context" and reference.path:
        return f'"{reference.path[0]}" is in none of input, steps, env and context'
    return f'there is no "{reference.namespace}" here'


_SUBJECTS = {
    "input": "the input",
    "env": "the environment",
    "with": 'the step\'s "with"',
    "run": "the run",
    "context": "the shared keys",
}


def _subject(reference: Reference, depth: int) -> str:
    if reference.namespace == "steps":
        root, inner = f'the result of "{reference.step_id}"', reference.path[1:depth]
    else:
        root, inner = _SUBJECTS.get(reference.namespace, f'"{reference.namespace}"'), reference.path[:depth]
    return f'"{written(inner)}" of {root}' if inner else root


def _hint(reference: Reference, absent: Absent) -> str:
    body = reference.bare
    optional = "{" + body + "?} if it may be missing"
    depth = absent.depth
    if depth >= 0 and is_mapping(absent.holder) and not reference.jsonpath:
        near = nearest(str(reference.path[depth]), [str(k) for k in absent.holder])
        if near:
            path = (*reference.path[:depth], near[0], *reference.path[depth + 1 :])
            return f"{{{written((reference.namespace, *path))}}}, or {optional}"
    if reference.namespace == "env" and depth == 0:
        name = reference.path[0]
        listed = "" if absent.holder else f", and list it in the config, `env: [{name}]`"
        return f"set {name} in the environment or in .env{listed}; {optional}"
    return optional


def written(path: Path) -> str:
    """Write a path as a reference has it."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
        elif part.replace("-", "_").isidentifier():
            parts.append(f".{part}" if parts else part)
        else:
            parts.append(f'["{cut(part)}"]')
    return "".join(parts)
