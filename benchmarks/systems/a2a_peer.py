"""What A2A costs without us: the SDK's default handler, or a handler written by hand behind its transports.

    python benchmarks/systems/a2a_peer.py default|bare --port N --folder DIR

Both give back what a message says as an artifact, and keep the task in SQLite: write-ahead log, synchronous=FULL. A
message "chunks N" gets an artifact of N chunks instead.

`default`: the SDK's handler over its DatabaseTaskStore, which stores the whole task with each event: three commits.
`bare`: three commits of just what happened (the task with its message, the artifact, the end), written out here; no
leases, owners, queries, streams or retries.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvicorn
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.context import ServerCallContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler, RequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import TaskUpdater
from a2a.types import a2a_pb2 as pb
from protocol import load
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

PAGES = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
TABLES = """
CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, context TEXT, state INTEGER, changed REAL, message BLOB);
CREATE TABLE IF NOT EXISTS events (task TEXT, generation INTEGER, data BLOB, PRIMARY KEY (task, generation));
"""


def said(message: pb.Message) -> str:
    """Return a message's text."""
    return "".join(part.text for part in message.parts)


def card(port: int) -> pb.AgentCard:
    """Return a card with as little as the SDK wants."""
    made = pb.AgentCard(name="echo", description="Says it again.", version="1")
    made.capabilities.streaming = True
    made.supported_interfaces.add(
        url=f"http://127.0.0.1:{port}/a2a", protocol_binding="JSONRPC", protocol_version="1.0"
    )
    made.default_input_modes.append("text/plain")
    made.default_output_modes.append("text/plain")
    made.skills.add(id="echo", name="echo", description="Says it again.", tags=["echo"])
    return made


class Echo(AgentExecutor):
    """An agent for the SDK's handler."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Give back what was said."""
        message, task_id, context_id = context.message, context.task_id, context.context_id
        if message is None or task_id is None or context_id is None:
            raise ValueError("a message is needed")
        task = pb.Task(id=task_id, context_id=context_id, history=[message])
        task.status.state = pb.TASK_STATE_SUBMITTED
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task_id, context_id)
        word, _, count = said(message).partition(" ")
        if word == "chunks":
            for n in range(int(count)):
                part = pb.Part(text=f"chunk {n:5}")
                await updater.add_artifact([part], "book", append=n > 0, last_chunk=n + 1 == int(count))
        else:
            await updater.add_artifact([pb.Part(text=said(message))], "echo")
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Nothing lasts so long."""


def default(folder: Path, port: int) -> RequestHandler:
    """Return the SDK's own handler over its SQL store."""
    sql: Any = load("sqlalchemy")
    alchemy: Any = load("sqlalchemy.ext.asyncio")
    tasks: Any = load("a2a.server.tasks")
    engine = alchemy.create_async_engine(f"sqlite+aiosqlite:///{folder / 'tasks.db'}")

    def settings(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in PAGES:
            cursor.execute(pragma)
        cursor.close()

    sql.event.listen(engine.sync_engine, "connect", settings)
    return DefaultRequestHandler(Echo(), tasks.DatabaseTaskStore(engine), card(port))


class Bare:
    """A handler that does what an echo needs, and nothing more."""

    def __init__(self, folder: Path) -> None:
        """Open the database."""
        self._db = sqlite3.connect(folder / "tasks.db", isolation_level=None)
        for pragma in PAGES:
            self._db.execute(pragma)
        self._db.executescript(TABLES)

    def _commit(self, task: pb.Task, generation: int, event: bytes, message: bytes | None = None) -> None:
        run, now = self._db.execute, time.time()
        run("BEGIN IMMEDIATE")
        if message is not None:
            run("INSERT INTO tasks VALUES (?, ?, ?, ?, ?)", (task.id, task.context_id, 1, now, message))
        else:
            run("UPDATE tasks SET state = ?, changed = ? WHERE id = ?", (task.status.state, now, task.id))
        run("INSERT INTO events VALUES (?, ?, ?)", (task.id, generation, event))
        run("COMMIT")

    async def on_message_send(self, params: pb.SendMessageRequest, context: ServerCallContext) -> pb.Task:
        """Give back what was said."""
        message = params.message
        task = pb.Task(id=str(uuid4()), context_id=message.context_id or str(uuid4()), history=[message])
        task.status.state = pb.TASK_STATE_WORKING
        task.status.timestamp.GetCurrentTime()
        self._commit(task, 1, task.status.SerializeToString(), message.SerializeToString())
        artifact = task.artifacts.add(artifact_id="echo", parts=[pb.Part(text=said(message))])
        self._commit(task, 2, artifact.SerializeToString())
        task.status.state = pb.TASK_STATE_COMPLETED
        task.status.timestamp.GetCurrentTime()
        self._commit(task, 3, task.status.SerializeToString())
        return task


async def health(_: Request) -> PlainTextResponse:
    """Tell that it is up."""
    return PlainTextResponse("ok")


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("handler", choices=("default", "bare"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    made = default(given.folder, given.port) if given.handler == "default" else Bare(given.folder)
    routes = [
        *create_jsonrpc_routes(cast("RequestHandler", made), "/a2a"),
        Route("/healthz", health),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
