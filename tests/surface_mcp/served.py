"""A folder with workflows, and the real `agentflow mcp` with the SDK's own client at its streams."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.extension import ClientExtension
from mcp.client.session import ElicitationFnT
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, TextContent

from tests.cli.forks import COMMAND, Forker
from tests.cli.project import clean_environ
from tests.servers import relayed

LIMIT = 60

CONFIG = """\
name: shop
python: {modules: [shop]}
workflows:
  approval:
    description: Asks whether an amount is approved.
    input: {amount: {type: integer, default: 20}}
    steps:
      - {id: note, type: python, function: "shop:note"}
      - id: review
        type: wait_for_input
        message: "Approve {input.amount} EUR?"
        schema:
          type: object
          required: [decision]
          properties:
            decision: {enum: [approve, reject]}
            note: {type: string, maxLength: 5}
      - {id: book, type: set, values: {booked: "{steps.review.decision}"}}
    output: {decision: "{steps.review.decision}", amount: "{input.amount}"}
  failing:
    steps:
      - {id: boom, type: python, function: "shop:boom"}
  greet:
    label: Greeting
    mcp: {expose: true}
    description: Greets somebody.
    input_schema:
      type: object
      properties: {name: {$ref: "#/$defs/name"}}
      required: [name]
      $defs: {name: {type: string, maxLength: 20}}
    output_schema: {type: object, properties: {text: {type: string}}, required: [text]}
    entry_points:
      - id: again
        starts_at: greet
        required_inputs: [name]
        triggers: [{type: tool, name: greet.again, description: Greets once more.}]
    triggers:
      - type: tool
        name: greet_all
        description: Greets all.
        input_schema: {type: object, properties: {name: {const: all}}, required: [name]}
    steps:
      - {id: look, type: set, values: {seen: true}}
      - {id: greet, type: set, values: {text: "hello {input.name}"}}
    output: {text: "{steps.greet.text}"}
  noisy:
    steps:
      - {id: noise, type: python, function: "shop:noise"}
    output: "{steps.noise}"
  paid:
    steps:
      - {id: pay, type: wait_for_event, topic: payments, message: Waits for the payment}
    output: "{steps.pay.sum}"
  slow:
    output_schema: {type: integer}
    steps:
      - {id: hang, type: python, function: "shop:hang"}
    output: "{steps.hang}"
"""
MODULE = """\
import asyncio
import os
import subprocess
import sys
from pathlib import Path


def note(ctx):
    ctx.usage(model="m", input_tokens=5, cost="0.5")
    with Path("notes").open("a") as file:
        file.write("noted\\n")
    return os.getpid()


def boom():
    raise RuntimeError("upstream down")


def noise():
    print("printed", flush=True)
    os.write(1, b"written\\n")
    sys.__stdout__.write("original\\n")
    sys.__stdout__.flush()
    asked = subprocess.run(["cat"], check=True).returncode
    return {"asked": asked, "read": sys.stdin.read()}


async def hang():
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    return 7
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """The folder."""

    folder: Path
    forker: Forker

    @property
    def environ(self) -> dict[str, str]:
        """Return an environment without settings of whoever runs the tests."""
        return {name: value for name, value in clean_environ().items() if not name.startswith("AGENTFLOW_")}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of agentflow there, forked where that does the same as starting it."""
        if sys.platform == "linux" and self.forker.fits(self.environ):
            return self.forker.run(arguments, cwd=self.folder, environ=self.environ, limit=LIMIT)
        return subprocess.run(
            [COMMAND, *arguments], cwd=self.folder, env=self.environ, input="", capture_output=True, text=True,
            timeout=LIMIT, check=False,
        )  # fmt: skip

    @asynccontextmanager
    async def client(
        self,
        *arguments: str,
        mode: Any = "auto",
        elicitation: ElicitationFnT | None = None,
        extensions: Sequence[ClientExtension] = (),
    ) -> AsyncGenerator[Client]:
        """Start a server, and a client at it."""
        command, *words = relayed([COMMAND, "mcp", *arguments], self.environ)
        server = StdioServerParameters(command=command, args=words, cwd=str(self.folder), env=self.environ)
        with (self.folder / "stderr").open("a", encoding="utf-8") as log:
            transport = stdio_client(server, errlog=log)
            async with Client(
                transport,
                mode=mode,
                elicitation_callback=elicitation,
                extensions=extensions,
                read_timeout_seconds=LIMIT,
            ) as client:
                yield client

    @property
    def stderr(self) -> str:
        """What servers have written to stderr."""
        return (self.folder / "stderr").read_text(encoding="utf-8")


def make(folder: Path, forker: Forker) -> Shop:
    """Write the workflows into a folder."""
    (folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "shop.py").write_text(MODULE, encoding="utf-8")
    return Shop(folder, forker)


def text_of(result: CallToolResult) -> str:
    """Return what the model reads."""
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def call(client: Client, tool: str, /, **arguments: Any) -> CallToolResult:
    """Call a tool."""
    with anyio.fail_after(LIMIT):
        return await client.call_tool(tool, arguments)
