"""An MCP server that no SDK would make: it writes its lines itself. Its tools are ways to misbehave."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

ENDLESS = {"type": "object", "properties": {"text": {"type": "string", "pattern": "^(a+)+$"}}}
TOOLS: list[dict[str, Any]] = [
    {"name": "pattern", "inputSchema": {"type": "object"}, "outputSchema": ENDLESS},
    *({"name": name, "inputSchema": {"type": "object"}} for name in ("refuse", "half", "number", "shape", "new", "me")),
]
GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {"listChanged": True}},
    "serverInfo": {"name": "rude", "version": "1"},
}


def write(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say(number: Any, **said: Any) -> None:
    """Answer a request."""
    write(json.dumps({"result": said, "jsonrpc": "2.0", "id": number}))


def refuse(number: Any, code: int, message: str) -> None:
    """Answer a request with an error."""
    write(json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}))


def call(number: Any, tool: str) -> None:
    """Do what a tool does."""
    if tool == "pattern":
        say(number, content=[], structuredContent={"text": "a" * 24 + "!"})
    elif tool == "refuse":
        refuse(number, -32000, "no more paper")
    elif tool == "half":
        say(number, content=[{"type": "text", "text": "\ud800"}])
    elif tool == "number":
        write(f'{{"result": {{"content": [], "structuredContent": {"9" * 5000}}}, "jsonrpc": "2.0", "id": {number}}}')
    elif tool == "shape":
        write(json.dumps({"jsonrpc": "2.0", "id": number, "result": "done"}))
    elif tool == "new":
        write(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
        say(number, content=[{"type": "text", "text": "ok"}])
    else:
        say(number, content=[{"type": "text", "text": str(os.getpid())}])


def main() -> None:
    """Answer requests. The tools are listed once, and never again."""
    listed = False
    for line in sys.stdin:
        message: Any = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            say(number, **GREETING)
        elif method == "tools/list":
            if not listed:
                say(number, tools=TOOLS)
            listed = True
        elif method == "tools/call":
            call(number, message["params"]["name"])
        elif number is not None:
            refuse(number, -32601, "Method not found")


if __name__ == "__main__":
    main()
