"""What an evaluation reads, and what a compiled expression tells about itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

NAMESPACES: Final = frozenset({"input", "steps", "env", "item", "index", "with", "run", "context"})
"""Names that references begin with, unless a loop gives its item another name."""

Dialect: TypeAlias = Literal["agentflow", "distri"]
"""`distri`: `{context.x}` is searched in input, steps, env and root, and literals of conditions may lack quotes."""
Path: TypeAlias = tuple[str | int, ...]


class _Nulled:
    """Stands for the result of a step that gave none and was allowed to."""

    def __repr__(self) -> str:
        return "NULLED"


NULLED: Final = _Nulled()
"""The result of a skipped or tolerated step: it and everything below it is null."""


class Parts(Mapping[str, Any]):
    """A mapping whose values are made when somebody reads them: of a large one, a reference names few."""

    __slots__ = ()

    @abstractmethod
    def __getitem__(self, name: str) -> Any:
        """Make one value; it may be Parts again."""

    def __len__(self) -> int:
        """Count the names."""
        return sum(1 for _ in self)

    def plain(self) -> dict[str, Any]:
        """Make all values."""
        return {name: value.plain() if isinstance(value, Parts) else value for name, value in self.items()}

    def fill(self, into: dict[str, Any], path: Path) -> None:
        """Put into a dict the value that a path names, and no more."""
        if not path:
            into.update(self.plain())
            return
        name = str(path[0])
        if name in self:
            value = self[name]
            if isinstance(value, Parts):
                value.fill(into.setdefault(name, {}), path[1:])
            else:
                into[name] = value


class View(Protocol):
    """What an evaluation may read of a run."""

    def get(self, namespace: str) -> object:
        """Return the value of a namespace other than `steps`, or of an item's name; Parts, if it is large.

        Raises:
            KeyError: the name isn't bound here.
        """
        ...

    def step(self, step_id: str) -> object:
        """Return a step's result; NULLED when it and all below it is null.

        Raises:
            KeyError: it has none. Its argument may be the reason, as a sentence, or a list of the steps that have one.
        """
        ...

    def optional(self, namespace: str, path: Path) -> bool:
        """Tell whether a schema declares a missing value as optional. A path in `steps` begins with the step's id."""
        ...

    def search(self, name: str) -> object:
        """Return the first value of that name in input, steps, env and root, as distri's `{context.x}` means it.

        Raises:
            KeyError: it is in none of them.
        """
        ...


class NamedValues:
    """A view of some values by name, without any steps."""

    __slots__ = ("_lenient", "_values")

    def __init__(self, values: Mapping[str, object], *, lenient: bool = False) -> None:
        """Make a view; a `lenient` one takes whatever is missing for null."""
        self._values = values
        self._lenient = lenient

    def get(self, namespace: str) -> object:
        """Return a value by its name."""
        return self._values[namespace]

    def step(self, step_id: str) -> object:
        """Know no step."""
        raise KeyError(step_id)

    def optional(self, namespace: str, path: Path) -> bool:
        """Tell whether a missing value is null."""
        return self._lenient

    def search(self, name: str) -> object:
        """Find nothing."""
        raise KeyError(name)


class Reference(NamedTuple):
    """One reference in a template or a condition."""

    text: str
    """As written, braces included."""
    namespace: str
    """The name that it begins with."""
    path: Path
    """What follows; of a JSONPath the definite beginning. In `steps` the first part is the step's id."""
    offset: int
    """Where it begins inside its string."""
    length: int
    """How long it is, braces included."""
    optional: bool = False
    """Written with `?`: a missing value is null."""
    jsonpath: bool = False
    """Written as a JSONPath."""
    value_path: Path = ()
    """Where its string stands in the nested value of a template."""

    @property
    def bare(self) -> str:
        """The text without braces."""
        return self.text[1:-1] if self.text.startswith("{") else self.text

    @property
    def step_id(self) -> str | None:
        """The id of the step that it reads, if it reads one."""
        return str(self.path[0]) if self.namespace == "steps" else None


class Escape(NamedTuple):
    """A `{{` that stands for a brace. Templates use single braces, so it may be a mistake."""

    text: str
    offset: int
    length: int
    value_path: Path = ()
