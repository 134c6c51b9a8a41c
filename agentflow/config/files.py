"""The files of a config: reading them, following `include`, and the workflows in each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agentflow.data import is_array, is_object
from agentflow.definition import distri, short
from agentflow.definition.config_file import ConfigFile, IncludedFile
from agentflow.definition.faults import Faults, below
from agentflow.definition.models import Model
from agentflow.definition.parse import Parsed, parse_workflow
from agentflow.definition.places import MAX_BYTES
from agentflow.definition.pointers import join
from agentflow.definition.source import Document, load_document
from agentflow.definition.types import TypeLookup
from agentflow.errors import DefinitionError, Place, Problem

if TYPE_CHECKING:
    from agentflow.steps.own import OwnTypes

_MOST_FILES = 1000


def shown_path(path: Path) -> str:
    """Return a path as people should see it: relative to the current folder, unless it is far away."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if relative.count("..") > 2 else relative.replace(os.sep, "/")


@dataclass
class Files:
    """Everything read so far."""

    types: TypeLookup
    type_names: Callable[[], Iterable[str]]
    problems: list[Problem] = field(default_factory=list[Problem])
    documents: dict[str, Document] = field(default_factory=dict[str, Document])
    parsed: dict[str, Parsed] = field(default_factory=dict[str, Parsed])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    main: ConfigFile = field(default_factory=ConfigFile)
    agent: tuple[str | None, str | None] = (None, None)
    """Name and description that distri's agent file gives."""
    own: OwnTypes | None = None
    """Finds step types in the config's own modules too; None where the caller said what finds them."""
    _paths: dict[Path, str] = field(default_factory=dict[Path, str])

    def load(self, path: Path, *, chain: tuple[Path, ...] = (), at: Place | None = None) -> None:
        """Load a file and what it includes.

        Args:
            path: the file, absolute.
            chain: the files that include it.
            at: where it is included.
        """
        if path in self._paths:
            return
        self._paths[path] = shown_path(path)
        try:
            text = _read(path, shown_path(path), at)
        except DefinitionError as error:
            self.problems.extend(error.problems)
            return
        self.load_text(text, shown_path(path), path, chain=chain)

    def load_text(self, text: str, file: str, path: Path, *, chain: tuple[Path, ...] = ()) -> None:
        """Load a text as if it stood in a file."""
        try:
            document = load_document(text, file)
        except DefinitionError as error:
            self.documents[file] = Document(None, file, text)
            self.problems.extend(error.problems)
            return
        self.documents[file] = document
        faults = Faults(document.place)
        data = document.data
        if data is None:
            faults.add("AF-CONFIG-INVALID", f'"{file}" is empty', "", hint="begin with `workflows:`")
        elif not is_object(data):
            faults.wrong_type(f'"{file}"', "a mapping", data, "")
        elif distri.is_agent_file(data) or ("steps" in data and "workflows" not in data):
            self._single(data, document, path, chain)
        else:
            self._config(data, document, path, chain, faults)
        self.problems.extend(faults.problems)

    def _single(self, data: dict[str, Any], document: Document, path: Path, chain: tuple[Path, ...]) -> None:
        name = None if isinstance(data.get("id"), str) and data["id"] else path.stem
        if distri.is_agent_file(data):
            name = None
            if not chain:
                self.agent = (_text(data.get("name")), _text(data.get("description")))
        self._add(parse_workflow(data, self.types, id=name, place=document.place, type_names=self.type_names), document)

    def _config(
        self, data: dict[str, Any], document: Document, path: Path, chain: tuple[Path, ...], faults: Faults
    ) -> None:
        given = dict(data)
        defaults = given.get("defaults")
        if is_object(defaults) and "retry" in defaults:
            given["defaults"] = {**defaults, "retry": short.retry(defaults["retry"])}
        model: type[Model] = IncludedFile if chain else ConfigFile
        owner = f'the included file "{document.file}"' if chain else "the config"
        read, wrong = _validate(model, given, owner, faults)
        if isinstance(read, ConfigFile):
            self.main = read
            if self.own is not None:
                self.own.folder, self.own.modules = path.parent, read.python.modules
        includes: Any = getattr(read, "include", ())
        if "workflows" not in data and not includes and not wrong:
            faults.add("AF-FIELD-MISSING", f'{owner} needs a field "workflows"', "")
        for identifier, pointer, value in _workflows(data.get("workflows"), owner, faults):
            self._add(
                parse_workflow(
                    value,
                    self.types,
                    id=identifier,
                    pointer=pointer,
                    place=document.place,
                    type_names=self.type_names,
                ),
                document,
            )
        listed = (includes,) if isinstance(includes, str) else tuple(includes)
        for number, pattern in enumerate(listed):
            pointer = "/include" if isinstance(data.get("include"), str) else f"/include/{number}"
            self._include(str(pattern), pointer, path, chain, faults)

    def _include(self, pattern: str, pointer: str, path: Path, chain: tuple[Path, ...], faults: Faults) -> None:
        wild = any(char in pattern for char in "*?[")
        here = (*chain, path)
        try:
            found = sorted(_glob(path.parent, pattern)) if wild else [(path.parent / pattern).resolve()]
            found = [one for one in found if one.is_file() and not (wild and one == path)]
        except (OSError, ValueError):  # no name that a file can have
            found = []
        if not found:
            faults.add(
                "AF-INCLUDE-MISSING",
                f'"{pattern}" matches no file' if wild else f'there is no file "{pattern}"',
                pointer,
                severity="warning" if wild else "error",
                hint=f"it is looked for in {shown_path(path.parent)}",
            )
        for one in found:
            if one in here:
                way = [*here[here.index(one) :], one]
                names = " -> ".join(shown_path(member) for member in way)
                faults.add("AF-INCLUDE-CYCLE", f"files include each other: {names}", pointer)
            elif len(self._paths) >= _MOST_FILES:
                faults.add("AF-INCLUDE-CYCLE", f"more than {_MOST_FILES} files are included", pointer)
                return
            else:
                place = faults.place(pointer) if faults.place else None
                self.load(one, chain=here, at=place)

    def _add(self, parsed: Parsed, document: Document) -> None:
        self.problems.extend(parsed.problems)
        workflow = parsed.workflow
        if workflow is None:
            return
        before = self.sources.get(workflow.id)
        if before is not None:
            place = self.documents[before].place(self.parsed[workflow.id].pointers.get("", ""), key=True)
            where = f"{place.file}:{place.line}:{place.column}" if place else before
            at = parsed.pointer("")
            self.problems.append(
                Problem(
                    "AF-WORKFLOW-DUPLICATE",
                    f'two workflows have the id "{workflow.id}"',
                    at,
                    document.place(at, key=True),
                    label=f"the first one is at {where}",
                )
            )
            return
        self.parsed[workflow.id] = parsed
        self.sources[workflow.id] = document.file


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _read(path: Path, file: str, at: Place | None) -> str:
    place = at or Place(file, 1, 1)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DefinitionError(
                [
                    Problem(
                        "AF-DEFINITION-SIZE",
                        f'"{file}" is larger than 16 MiB',
                        place=place,
                        hint="split it and use `include:`",
                    )
                ]
            )
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        what = f'"{file}" isn\'t UTF-8: byte 0x{error.object[error.start]:02x} in line {line}'
        raise DefinitionError([Problem("AF-CONFIG-UNREADABLE", what, hint="save it as UTF-8")]) from None
    except OSError as error:
        what = f'"{file}" can\'t be read: {(error.strerror or "unknown reason").lower()}'
        raise DefinitionError([Problem("AF-CONFIG-UNREADABLE", what)]) from None


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    try:
        absolute = Path(pattern).is_absolute()
        found = Path(Path(pattern).anchor).glob(pattern.lstrip("/\\")) if absolute else folder.glob(pattern)
        for path in found:
            yield path.resolve()
    except (ValueError, NotImplementedError, OSError):
        return


def _validate(model: type[Model], given: dict[str, Any], owner: str, faults: Faults) -> tuple[Model, set[str]]:
    """Return the model without what is wrong, and the names of that."""
    wrong: set[str] = set()
    while True:
        kept = {name: value for name, value in given.items() if name not in wrong}
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
