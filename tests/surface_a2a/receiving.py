"""A receiver of push notifications, in the test's own loop: it keeps what came, and answers as the test says."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentflow.server.run import bound
from agentflow_a2a.told import TASKS

Answer = Callable[["Got"], Awaitable[Response | int]]


class Got(NamedTuple):
    """Something that came."""

    path: str
    headers: dict[str, str]
    body: Any

    @property
    def told(self) -> str:
        """What it says, short: a state, or the artifact's text."""
        if "statusUpdate" in self.body:
            return self.body["statusUpdate"]["status"]["state"].removeprefix("TASK_STATE_").lower()
        return "".join(part.get("text", "") for part in self.body["artifactUpdate"]["artifact"]["parts"])

    @property
    def task_id(self) -> str:
        """Whose change it is."""
        return self._content["taskId"]

    @property
    def generation(self) -> int | None:
        """Which change of the task it is; None: a part of one."""
        return self._content.get("metadata", {}).get(TASKS, {}).get("generation")

    @property
    def _content(self) -> dict[str, Any]:
        return self.body.get("statusUpdate") or self.body["artifactUpdate"]


class Receiver:
    """What came, and what is answered."""

    def __init__(self, port: int) -> None:
        """Answer everything with 200."""
        self.port = port
        self.got: list[Got] = []
        self.answer: Answer | None = None
        self._came = anyio.Event()

    def url(self, path: str = "/hook") -> str:
        """Return an address of it."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def take(self, request: Request) -> Response:
        """Keep a request and answer it."""
        got = Got(request.url.path, dict(request.headers), json.loads(await request.body()))
        answer: Response | int = 200 if self.answer is None else await self.answer(got)
        self.got.append(got)
        came, self._came = self._came, anyio.Event()
        came.set()
        return Response(status_code=answer) if isinstance(answer, int) else answer

    async def until(self, over: Callable[[list[Got]], bool]) -> list[Got]:
        """Return what came once it is enough."""
        while not over(self.got):
            await self._came.wait()
        return self.got

    async def last(self, word: str = "completed") -> list[Got]:
        """Return what came once something says this."""
        return await self.until(lambda got: any(each.told == word for each in got))


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncGenerator[Receiver]:
    """Give a receiver that listens."""
    with bound("127.0.0.1", port) as socket:
        receiver = Receiver(socket.getsockname()[1])
        app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST", "GET"])])
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [socket])
            try:
                yield receiver
            finally:
                server.should_exit = True
