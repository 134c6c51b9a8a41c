"""A small client of the Language Server Protocol: what an editor asks a YAML language server for."""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from agentflow.data import is_object

TOO_LONG = 30.0
_PROPERTY = 10
"""The kind of completions that are names of fields."""
SETTINGS: Mapping[str, Any] = {
    "yaml": {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}},
}
"""What an editor would have in its settings; no schema is looked for anywhere else than where the file says."""


class Mark(NamedTuple):
    """A place that is marked as wrong, counted from 1 as people count."""

    line: int
    column: int
    message: str


class Offered(NamedTuple):
    """What is offered at a place."""

    field: bool
    """Whether it is the name of a field; else it is a value, or several fields at once."""
    said: str
    text: str
    """What is written when it is chosen."""


class LanguageServer:
    """A running server, driven over stdio."""

    def __init__(self, command: list[str]) -> None:
        """Start it."""
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._ids = itertools.count(1)
        self._replies: queue.Queue[dict[str, Any]] = queue.Queue()
        self._marks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._writing = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        text = {"completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}}}
        capabilities = {"textDocument": text, "workspace": {"configuration": True}}
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": capabilities})
        self.tell("initialized", {})

    def __enter__(self) -> LanguageServer:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(TOO_LONG)
        self._reader.join(TOO_LONG)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def open(self, file: Path, text: str) -> list[Mark]:
        """Open a text as a file, and return what is marked in it."""
        uri = file.as_uri()
        item = {"uri": uri, "languageId": "yaml", "version": next(self._ids), "text": text}
        self.tell("textDocument/didOpen", {"textDocument": item})
        while True:
            told = self._marks.get(timeout=TOO_LONG)
            if told["uri"] == uri:
                break
        marks = [(each["range"]["start"], each["message"]) for each in told["diagnostics"]]
        return sorted(Mark(at["line"] + 1, at["character"] + 1, message) for at, message in marks)

    def close(self, file: Path) -> None:
        """Close a file."""
        self.tell("textDocument/didClose", {"textDocument": {"uri": file.as_uri()}})

    def completions(self, file: Path, line: int, column: int) -> dict[str, Offered]:
        """Return what is offered at a place, counted from 1, by its label."""
        reply = self.ask("textDocument/completion", _at(file, line, column))
        items: list[dict[str, Any]] = reply["items"] if is_object(reply) else reply
        return {
            item["label"]: Offered(
                item.get("kind") == _PROPERTY, _text(item.get("documentation")), item.get("insertText", "")
            )
            for item in items
        }

    def hover(self, file: Path, line: int, column: int) -> str:
        """Return what is said of what stands at a place."""
        reply = self.ask("textDocument/hover", _at(file, line, column))
        return _text(reply["contents"]) if reply else ""

    def ask(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and return its result."""
        number = next(self._ids)
        self._send({"id": number, "method": method, "params": params})
        while True:
            reply = self._replies.get(timeout=TOO_LONG)
            if reply["id"] == number:
                assert "error" not in reply, reply
                return reply["result"]

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self._process.stdin.flush()

    def _read(self) -> None:
        out = self._process.stdout
        assert out is not None
        while True:
            length = 0
            while line := out.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                return
            self._take(json.loads(out.read(length)))

    def _take(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is None:
            self._replies.put(message)
        elif method == "textDocument/publishDiagnostics":
            self._marks.put(message["params"])
        elif "id" in message:
            wanted = None
            if method == "workspace/configuration":
                asked: list[dict[str, str]] = message["params"]["items"]
                wanted = [SETTINGS.get(item.get("section", ""), {}) for item in asked]
            self._send({"id": message["id"], "result": wanted})


def _at(file: Path, line: int, column: int) -> dict[str, Any]:
    place = {"line": line - 1, "character": column - 1}
    return {"textDocument": {"uri": file.as_uri()}, "position": place}


def _text(said: Any) -> str:
    return str(said["value"]) if is_object(said) else str(said or "")
