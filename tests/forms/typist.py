"""Shows the forms of all schemas one after another on a terminal, and writes what was answered to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from agentflow.cli.ask import Form, Left
from agentflow.cli.console import make_console
from agentflow.cli.widgets import raw_terminal, typed_keys
from agentflow.data import is_object


async def main() -> None:
    """Show the forms of the schemas in a file of JSON lines."""
    schemas, answers = (Path(name) for name in sys.argv[1:])
    console = make_console()
    with raw_terminal(), answers.open("w", encoding="utf-8") as file:
        keys = typed_keys()
        for line in schemas.read_text(encoding="utf-8").splitlines():
            console.tell("READY")
            schema = json.loads(line)
            try:
                answer = {"answer": await Form(console, schema if is_object(schema) else {}, keys=keys).fill()}
                async for key, _ in keys:  # whoever types ends each form with Esc, whatever has become of it
                    if key == "escape":
                        break
            except Left:
                answer = {}
            file.write(json.dumps(answer) + "\n")
            file.flush()
            console.tell(f"OVER {json.dumps(answer)}")


if __name__ == "__main__":
    anyio.run(main)
