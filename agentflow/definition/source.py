"""Documents: loaded YAML or JSON that still knows where each value stands in its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agentflow.definition.nodes import Node, locate_offset
from agentflow.definition.places import MAX_BYTES, spot
from agentflow.definition.pointers import split
from agentflow.errors import DefinitionError, Place, Problem


@dataclass
class Document:
    """One loaded file. Where things stand is worked out when it is first asked for: only errors ask."""

    data: Any
    """The plain JSON data."""
    file: str
    """Name as shown to people."""
    text: str
    """The source."""
    json: bool = False
    """Whether it is JSON; else YAML."""
    _lines: list[int] = field(default_factory=list[int], repr=False)

    @cached_property
    def _root(self) -> Node:
        if self.json:
            from agentflow.definition.json_loader import json_nodes  # noqa: PLC0415  only errors need it

            return json_nodes(self.text)
        from agentflow.definition.yaml_loader import yaml_nodes  # noqa: PLC0415  costs the YAML library's import

        return yaml_nodes(self.text)

    def place(self, pointer: str, *, key: bool = False, offset: int = 0, length: int | None = None) -> Place | None:
        """Return where the value at a JSON pointer stands; where there is none, its nearest parent.

        Args:
            pointer: JSON pointer from the document's root.
            key: the place of the value's key instead.
            offset: first character of interest inside a text value.
            length: how many characters of the text value are of interest; default: the rest of it.
        """
        found = self._root.find(split(pointer))
        node = found.node
        if key and found.key is not None:
            return self._spot(found.key.start, found.key.end)
        if not found.exact or node.children is not None:
            return self._spot(node.start, node.shown_end(self.text))
        if offset == 0 and length is None:
            return self._spot(node.start, node.end)
        if not isinstance(node.value, str):
            return self._spot(node.start, node.end)
        start = locate_offset(self.text, node, node.value, offset)
        end = locate_offset(self.text, node, node.value, offset + max(length or 1, 1) - 1) + 1
        return self._spot(start, end)

    def _spot(self, start: int, end: int) -> Place:
        return spot(self.file, self.text, start, end, self._lines)


def load_document(text: str, file: str, *, json: bool | None = None) -> Document:
    """Load YAML or JSON.

    Args:
        text: the source.
        file: its name, as shown in errors.
        json: whether it is JSON; default: by the file's suffix, else by the first character.

    Raises:
        DefinitionError: it isn't valid: syntax, duplicate keys, aliases without end, tags, `<<`, a second document,
            nested deeper than 100, larger than 16 MiB.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise DefinitionError(
            [
                Problem(
                    "AF-DEFINITION-SIZE",
                    f'"{file}" is larger than 16 MiB',
                    place=Place(file, 1, 1),
                    hint="split it and use `include:`, or keep large data in files that steps read",
                )
            ]
        )
    if json is None:
        suffix = file.rpartition(".")[2].lower()
        json = suffix == "json" or (suffix not in ("yaml", "yml") and text.lstrip()[:1] in ("{", "["))
    if json:
        from agentflow.definition.json_loader import load_json  # noqa: PLC0415  only where it is needed

        return Document(load_json(text, file), file, text, json=True)
    from agentflow.definition.yaml_loader import load_yaml  # noqa: PLC0415  costs the YAML library's import

    return Document(load_yaml(text, file), file, text)
