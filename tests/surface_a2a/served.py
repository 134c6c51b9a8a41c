"""A real server process, and official clients for it."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import anyio
import grpc.aio
import httpx
from a2a.client import (
    AuthInterceptor,
    Client,
    ClientCallContext,
    ClientCallInterceptor,
    ClientConfig,
    ClientFactory,
    CredentialService,
)
from a2a.client.card_resolver import A2ACardResolver
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

from agentflow.data import is_object
from agentflow_a2a.told import TASKS
from tests.cli.project import clean_environ
from tests.servers import start

WORKFLOWS = """
name: desk
description: A help desk.
python: {modules: [slowly]}
agents: {helper: {python: "slowly:helper"}}
workflows:
  echo:
    description: Says it again.
    input: {text: string}
    steps: [{id: say, type: set, values: {text: "{input.text}"}}]
  review:
    description: Asks for a decision.
    input: {text: string}
    steps:
      - {id: draft, type: artifact, text: "Draft: {input.text}"}
      - id: decide
        type: wait_for_input
        message: "Publish {input.text}?"
        schema: {type: object, properties: {decision: {enum: [approve, reject]}}, required: [decision]}
    output: "{steps.decide.decision}"
  twice:
    input: {text: string}
    steps:
      - {id: first, type: wait_for_input, message: "First?", schema: {type: string}}
      - {id: second, type: wait_for_input, message: "Second?", schema: {type: string}}
    output: "{steps.first}, {steps.second}"
  side_by_side:
    steps:
      - id: both
        type: parallel
        steps:
          - {id: left, type: wait_for_input, message: "Left?", schema: {type: integer}}
          - {id: right, type: wait_for_input, message: "Right?", schema: {type: integer}}
    output: "{steps.both}"
  each:
    input: {names: {type: array, items: {type: string}}}
    steps:
      - id: all
        type: for_each
        in: "{input.names}"
        steps: [{id: ask, type: wait_for_input, message: "And {item}?", schema: {type: string}}]
    output: "{steps.all}"
  nested:
    steps: [{id: inner, type: workflow, workflow: review, input: {text: "inside"}}]
    output: "{steps.inner}"
  event:
    steps: [{id: paid, type: wait_for_event, topic: paid}]
  long:
    steps: [{id: sleep, type: delay, for: 1h}]
  gone:
    steps: [{id: fail, type: python, function: "slowly:fail"}]
  chunks:
    input: {count: {type: integer, default: 5}}
    steps: [{id: write, type: python, function: "slowly:write", with: {count: "{input.count}"}}]
    output: "done"
  refuses:
    steps: [{id: no, type: end, state: rejected, message: "Not for you"}]
  heard:
    steps: [{id: hear, type: set, value: "{run.message.parts[0].text}, {run.message.metadata.skillId}"}]
  consult:
    steps: [{id: ask, type: agent_run, agent: helper, prompt: "Report"}]
    output: "{steps.ask.output}"
  assigned:
    steps:
      - {id: ask, type: wait_for_input, message: "Legal?", schema: {type: string}, assignees: ["group:law"]}
      - {id: after, type: wait_for_input, message: "Sure?", schema: {type: string}}
    output: "{steps.ask}, {steps.after}"
  chat:
    direct_reply: true
    steps:
      - id: which
        type: condition
        expression: "{run.message.parts[0].text} == 'ask'"
        if_true: {id: question, type: wait_for_input, message: "What?"}
      - {id: say, type: reply, text: "hello to you"}
  filed:
    input: {note: string, doc: file}
    steps:
      - id: copy
        type: artifact
        bytes: "{input.doc.raw}"
        media_type: "{input.doc.mediaType}"
        filename: "{input.doc.filename}"
      - {id: link, type: artifact, url: "{run.message.parts[1].url}", media_type: text/html, filename: index.html}
      - {id: told, type: artifact, data: {note: "{input.note}"}, name: note}
      - {id: one, type: artifact, artifact_id: log, text: "a", last_chunk: false}
      - {id: two, type: artifact, artifact_id: log, text: "b", append: true}
      - id: proof
        type: wait_for_input
        message: "A proof?"
        schema:
          type: object
          properties: {ok: {type: boolean}, proof: {type: object, format: file}}
          required: [ok, proof]
    output: "{steps.proof.proof.raw}"
  counted:
    steps: [{id: count, type: python, function: "slowly:count"}]
    output: "counted"
  held:
    steps: [{id: hold, type: python, function: "slowly:hold"}]
    output: "held"
"""
PYTHON = """
import anyio
from pathlib import Path
from agentflow import Context
from agentflow.steps.contract import AgentAsks, Artifact, Wait


def fail():
    raise ValueError("no luck")


async def write(count, ctx: Context):
    for n in range(count):
        part = {"text": f"page {n} "}
        await ctx.artifact(Artifact("book", parts=(part,), append=n > 0, last_chunk=n == count - 1))


async def helper(prompt, ctx: Context, answer=None):
    if answer is None:
        return AgentAsks(Wait("input", "Which year?", {"type": "integer"}), None)
    await ctx.artifact(Artifact("draft", parts=({"text": f"draft of {answer}"},)))
    return f"{prompt} of {answer}"


async def count(ctx: Context):
    ctx.progress(0.5, "half way")
    ctx.progress(0.75)
    ctx.usage(model="m", input_tokens=40, cost="0.25")
    (Path(__file__).parent / "counting").touch()
    while not (Path(__file__).parent / "counted").exists():
        await anyio.sleep(0.01)


async def guard(prompt, ctx: Context, answer=None):
    if answer is None:
        return AgentAsks(Wait("auth", "Sign in at https://login.example.com"), None)
    return "in"


async def hold(ctx: Context):
    folder = Path(__file__).parent
    (folder / "holding").touch()
    while not (folder / "go").exists():
        await anyio.sleep(0.01)
"""


class Server:
    """`agentflow serve` in a folder of its own."""

    def __init__(self, folder: Path, *words: str, config: str = WORKFLOWS, env: dict[str, str] | None = None) -> None:
        """Start it, and return when it takes requests."""
        self.folder = folder
        if not (folder / "agentflow.yaml").exists():
            (folder / "agentflow.yaml").write_text(config, encoding="utf-8")
            (folder / "slowly.py").write_text(PYTHON, encoding="utf-8")
        command = ["serve", "--port", "0", "--grpc-port", "0", "--json", "--grace", "1", *words]
        self.errors = (folder / "errors.txt").open("w+", encoding="utf-8")
        self.process, self._printed = start(
            command, cwd=folder, env={**clean_environ(), **(env or {})}, stderr=self.errors
        )
        line = self._printed.readline()
        if not line:
            self.stop()
            self.errors.seek(0)
            why = self.errors.read()
            self.errors.close()
            raise AssertionError(why)
        self.told: dict[str, Any] = json.loads(line)
        self.url: str = self.told["url"]

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self._over()

    def stop(self) -> int:
        """End it in good order; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._over()

    def _over(self) -> int:
        code = self.process.wait(60)
        self._printed.close()
        return code

    def end(self) -> None:
        """End it, if it is still there."""
        if self.process.poll() is None:
            self.stop()
        self.errors.close()


class Mode(NamedTuple):
    """A transport of the official client, and a version of the protocol."""

    binding: str
    version: str


MODES = [Mode(binding, version) for version in ("1.0", "0.3") for binding in ("JSONRPC", "HTTP+JSON")] + [
    Mode("GRPC", "1.0"),
    Mode("GRPC", "0.3"),
]


@dataclass
class _Token(CredentialService):
    token: str

    async def get_credentials(self, security_scheme_name: str, context: ClientCallContext | None) -> str | None:
        return self.token


@asynccontextmanager
async def official(
    url: str, mode: Mode = MODES[0], *, streaming: bool = False, token: str | None = None
) -> AsyncGenerator[Client]:
    """Give an official client that speaks in a mode."""
    async with httpx.AsyncClient(timeout=60) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        kept = [
            each
            for each in card.supported_interfaces
            if (each.protocol_binding, each.protocol_version) == (mode.binding, mode.version)
        ]
        assert kept
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(kept)
        config = ClientConfig(
            streaming=streaming,
            httpx_client=http,
            grpc_channel_factory=grpc.aio.insecure_channel,
            supported_protocol_bindings=[mode.binding],
        )
        brings: list[ClientCallInterceptor] = [AuthInterceptor(_Token(token))] if token else []
        async with ClientFactory(config).create(card, brings) as client:
            yield client


def request(
    *parts: object, skill: str | None = None, message_id: str | None = None, returns: bool = False, **ids: str
) -> pb.SendMessageRequest:
    """Return a message: texts as they are, everything else as data; `ids`: taskId, contextId."""
    message: dict[str, Any] = {
        "messageId": message_id or uuid4().hex,
        "role": "ROLE_USER",
        "parts": [{"text": part} if isinstance(part, str) else {"data": part} for part in parts],
        **ids,
    }
    if skill is not None:
        message["metadata"] = {"skillId": skill}
    asked = {"message": message, "configuration": {"returnImmediately": returns}}
    return ParseDict(asked, pb.SendMessageRequest())


async def send(client: Client, asked: pb.SendMessageRequest) -> pb.Task:
    """Send a message and return the last task that is told."""
    found: pb.Task | None = None
    async for event in client.send_message(asked):
        assert event.HasField("task")
        found = event.task
    assert found is not None
    return found


async def until_held(server: Server) -> None:
    """Return when the step of a run `held` executes."""
    while not (server.folder / "holding").exists():  # noqa: ASYNC110  another process makes the file
        await anyio.sleep(0.01)


def plain(message: Any) -> Any:
    """Return what came as JSON."""
    return MessageToDict(message)


def state(task: pb.Task) -> str:
    """Return a task's state, short."""
    return pb.TaskState.Name(task.status.state).removeprefix("TASK_STATE_").lower().replace("_", "-")


def waits(task: pb.Task) -> list[dict[str, Any]]:
    """Return the waits that a task's status lists."""
    parts: Sequence[dict[str, Any]] = plain(task)["status"].get("message", {}).get("parts", [])
    return [part["data"]["wait"] for part in parts if "data" in part and "wait" in part["data"]]


def text(task: pb.Task) -> str:
    """Return what a task's status says."""
    return "\n".join(part.text for part in task.status.message.parts if part.text)


def output(task: pb.Task) -> Any:
    """Return a run's result."""
    part = next(plain(each)["parts"][0] for each in task.artifacts if each.artifact_id == "@output")
    return part.get("text", part.get("data"))


def place(task: pb.Task) -> dict[str, Any]:
    """Return what a task tells of its place in the tree of tasks."""
    return plain(task)["metadata"][TASKS]


def generation(told: Any) -> int:
    """Return the generation of a task or of an event."""
    content: dict[str, Any] = told if is_object(told) else plain(told)
    return int(content["metadata"][TASKS]["generation"])
