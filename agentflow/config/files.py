"""The files of a config: reading them, following `include`, and the workflows in each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from agentflow.config.reading import Unreadable, find_file, find_files, read_file
from agentflow.config.reporting import inside
from agentflow.data import is_array, is_object
from agentflow.definition import distri, short
from agentflow.definition.config_file import ConfigFile, IncludedFile
from agentflow.definition.faults import Faults, below
from agentflow.definition.models import Model
from agentflow.definition.parse import Parsed, parse_workflow
from agentflow.definition.pointers import join
from agentflow.definition.source import Document, load_document
from agentflow.definition.tally import Tally
from agentflow.definition.types import TypeLookup
from agentflow.errors import DefinitionError, Place, Problem

if TYPE_CHECKING:
    from agentflow.steps.own import OwnTypes

_MOST_FILES = 1000
_TELLING = frozenset({"workflows", "steps", "include"})
"""Fields by which a file of workflows is known."""
_M = TypeVar("_M", bound=Model)


def shown_path(path: Path) -> str:
    """Return a path as people should see it: relative to the current folder, unless it is far away."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if relative.count("..") > 2 else relative.replace(os.sep, "/")


@dataclass(frozen=True, slots=True)
class _Named:
    """A file to load."""

    path: Path
    chain: tuple[Path, ...] = ()
    """The files that include it."""
    at: Place | None = None
    """Where it is included."""


@dataclass
class Files:
    """Everything read so far."""

    types: TypeLookup
    type_names: Callable[[], Iterable[str]]
    problems: list[Problem] = field(default_factory=list[Problem])
    tally: Tally = field(default_factory=Tally)
    documents: dict[str, Document] = field(default_factory=dict[str, Document])
    parsed: dict[str, Parsed] = field(default_factory=dict[str, Parsed])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    main: ConfigFile = field(default_factory=ConfigFile)
    agent: tuple[str | None, str | None] = (None, None)
    """Name and description that distri's agent file gives."""
    own: OwnTypes | None = None
    """Finds step types in the config's own modules too; None where the caller said what finds them."""
    folder: Path = field(default_factory=Path)
    """Folder of the main file."""
    heard: Callable[[dict[str, Any]], None] | None = None
    """Is given the data of the main file, whatever is wrong with it."""
    _full: bool = False
    _paths: dict[Path, str] = field(default_factory=dict[Path, str])

    def load(self, path: Path) -> None:
        """Load a file and what it includes.

        Args:
            path: the file, as `find_file` gives it.
        """
        self.folder = path.parent
        self._follow([_Named(path)])

    def load_text(self, text: str, file: str, path: Path) -> None:
        """Load a text as if it stood in a file, and what it includes."""
        self.folder = path.parent
        self._follow(self._take(text, file, _Named(path)))

    def _follow(self, files: list[_Named]) -> None:
        """Load files, each with what it includes before the next one: a chain of them may be long."""
        stack = files[::-1]
        while stack:
            stack += self._load(stack.pop())[::-1]

    def _load(self, named: _Named) -> list[_Named]:
        if named.path in self._paths or self._full:
            return []
        if len(self._paths) >= _MOST_FILES:
            self._full = True
            what = f"more than {_MOST_FILES:,} files are included"
            self.problems.append(Problem("AF-INCLUDE-LIMIT", what, place=named.at))
            return []
        file = self._paths[named.path] = shown_path(named.path)
        try:
            return self._take(read_file(named.path, file, named.at), file, named)
        except DefinitionError as error:
            self.problems.extend(error.problems)
            return []

    def _take(self, text: str, file: str, named: _Named) -> list[_Named]:
        """Take over what a text says, and return the files that it includes."""
        try:
            document = load_document(text, file)
        except DefinitionError as error:
            self.documents[file] = Document(None, file, text)
            self.problems.extend([self._foreign(file, named)] if self._is_foreign(named) else error.problems)
            return []
        if self._is_foreign(named) and not _has_workflows(document.data):
            self.problems.append(self._foreign(file, named))
            return []
        self.documents[file] = document
        faults = Faults(document.place, self.tally)
        data, included = document.data, list[_Named]()
        if self.heard is not None and not named.chain and is_object(data):
            self.heard(data)
        if data is None:
            faults.add("AF-CONFIG-INVALID", f'"{file}" is empty', "", hint="begin with `workflows:`")
        elif not is_object(data):
            kind = "a list" if is_array(data) else "a single value"
            faults.add("AF-FIELD-TYPE", f'"{file}" must be a mapping, not {kind}', "")
        elif distri.is_agent_file(data) or ("steps" in data and "workflows" not in data):
            self._single(data, document, named)
        else:
            included = self._config(data, document, named, faults)
        self.problems.extend(faults.problems)
        return included

    def _is_foreign(self, named: _Named) -> bool:
        """Tell whether an included file lies elsewhere: it may be none of ours, so nothing of it is shown."""
        return bool(named.chain) and not named.path.is_relative_to(self.folder)

    @staticmethod
    def _foreign(file: str, named: _Named) -> Problem:
        return Problem("AF-CONFIG-INVALID", f'"{file}" is no file of workflows', place=named.at)

    def _single(self, data: dict[str, Any], document: Document, named: _Named) -> None:
        name = None if isinstance(data.get("id"), str) and data["id"] else named.path.stem
        if distri.is_agent_file(data):
            name = None
            if not named.chain:
                self.agent = (_text(data.get("name")), _text(data.get("description")))
        self._add(self._parse(data, name, "", document), document)

    def _config(self, data: dict[str, Any], document: Document, named: _Named, faults: Faults) -> list[_Named]:
        model: type[Model] = IncludedFile if named.chain else ConfigFile
        owner = f'the included file "{document.file}"' if named.chain else "the config"
        read, wrong = validated(model, data, owner, faults)
        if isinstance(read, ConfigFile):
            self.main = read
            if self.own is not None:
                self.own.folder, self.own.modules = named.path.parent, read.python.modules
        includes: Any = getattr(read, "include", ())
        if "workflows" not in data and not includes and not wrong:
            faults.add("AF-FIELD-MISSING", f'{owner} needs a field "workflows"', "")
        for identifier, pointer, value in _workflows(data.get("workflows"), owner, faults):
            self._add(self._parse(value, identifier, pointer, document), document, identifier)
        listed = (includes,) if isinstance(includes, str) else tuple(includes)
        found: list[_Named] = []
        for number, pattern in enumerate(listed):
            pointer = "/include" if isinstance(data.get("include"), str) else f"/include/{number}"
            found += self._include(str(pattern), pointer, named, faults)
        return found

    def _include(self, pattern: str, pointer: str, named: _Named, faults: Faults) -> list[_Named]:
        here = (*named.chain, named.path)
        files: list[_Named] = []
        for path in self._matches(pattern, pointer, named.path, faults):
            if path in here:
                names = " -> ".join(shown_path(member) for member in (*here[here.index(path) :], path))
                faults.add("AF-INCLUDE-CYCLE", f"files include each other: {names}", pointer)
            else:
                place = faults.place(pointer) if faults.place else None
                files.append(_Named(path, here, place))
        return files

    @staticmethod
    def _matches(pattern: str, pointer: str, path: Path, faults: Faults) -> list[Path]:
        """Return the files that an include names, and report what is wrong with them."""
        looked = f"it is looked for in {shown_path(path.parent)}"
        if any(char in pattern for char in "*?["):
            found = [one for one in find_files(path.parent, pattern) if one != path]
            if not found:
                what = f'"{pattern}" matches no file'
                faults.add("AF-INCLUDE-MISSING", what, pointer, severity="warning", hint=looked)
            return found
        try:
            return [find_file(path.parent / pattern, pattern)]
        except Unreadable as wrong:
            code = "AF-INCLUDE-MISSING" if wrong.missing else "AF-CONFIG-UNREADABLE"
            faults.add(code, wrong.what, pointer, hint=wrong.hint or looked)
            return []

    def _parse(self, data: Any, name: str | None, pointer: str, document: Document) -> Parsed:
        return parse_workflow(
            data,
            self.types,
            id=name,
            pointer=pointer,
            place=document.place,
            type_names=self.type_names,
            tally=self.tally,
        )

    def _add(self, parsed: Parsed, document: Document, named: str | None = None) -> None:
        workflow = parsed.workflow
        name = workflow.id if workflow is not None else named
        self.problems.extend(parsed.problems if name is None else inside(name, parsed.problems))
        if workflow is None:
            return
        before = self.sources.get(workflow.id)
        if before is not None:
            place = self.documents[before].place(self.parsed[workflow.id].pointers.get("", ""), key=True)
            where = f"{place.file}:{place.line}:{place.column}" if place else before
            faults = Faults(document.place, self.tally)
            faults.add(
                "AF-WORKFLOW-DUPLICATE",
                f'two workflows have the id "{workflow.id}"',
                parsed.pointer(""),
                key=True,
                label=f"the first one is at {where}",
            )
            self.problems.extend(faults.problems)
            return
        self.parsed[workflow.id] = parsed
        self.sources[workflow.id] = document.file


def _has_workflows(data: Any) -> bool:
    """Tell whether a file's data has a field that only files of workflows have."""
    return is_object(data) and (distri.is_agent_file(data) or not _TELLING.isdisjoint(data))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def validated(model: type[_M], given: Mapping[str, Any], owner: str, faults: Faults) -> tuple[_M, set[str]]:
    """Return the model without what is wrong, and the names of that."""
    fields = dict(given)
    defaults = fields.get("defaults")
    if is_object(defaults) and "retry" in defaults:
        fields["defaults"] = {**defaults, "retry": short.retry(defaults["retry"])}
    wrong: set[str] = set()
    while True:
        kept = {name: value for name, value in fields.items() if name not in wrong}
        try:
            return model.model_validate(kept), wrong
        except ValidationError as error:
            found = faults.of_model(error, kept, owner, model, below(""))
            if not found - wrong:
                return model(), wrong
            wrong |= found


def _workflows(data: Any, owner: str, faults: Faults) -> Iterator[tuple[str | None, str, Any]]:
    """Yield id, pointer and data of each workflow."""
    if is_object(data):
        for name, value in data.items():
            yield name, join("/workflows", name), value
    elif is_array(data):
        for number, value in enumerate(data):
            yield None, f"/workflows/{number}", value
    elif data is not None:
        faults.wrong_type(f'"workflows" of {owner}', "a mapping of ids to workflows", data, "/workflows")
