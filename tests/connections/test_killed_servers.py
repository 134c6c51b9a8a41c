"""Each way of signing in, end to end: a run waits for it, its server is killed, another one lets it go on."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from agentflow.config import load_config
from agentflow.data import encode
from agentflow.engine import Engine
from tests.cli.forks import Forker
from tests.cli.project import Project
from tests.connections.people import Person, Provider
from tests.connections.test_cli import ended as command_ended
from tests.connections.test_cli import told
from tests.connections.test_flows import revoke_all
from tests.connections.test_renewing import lapse
from tests.connections.test_runs import Desk, a2a, config_of, desk, ended, signs_in, tells_nothing, until
from tests.surface_mcp.web import Web

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
AGAIN = "Connect google:drive (drive.readonly) again: it has expired"


@dataclass
class Scene:
    """A server with a run that waits, and those who are about it."""

    folder: Path
    server: Provider
    service: Desk
    forker: Forker
    alice: Person
    web: Web
    task: str = ""
    url: str = ""
    """Where the run sent its owner before its server was killed."""
    asks: str = ""
    said: list[Any] = field(default_factory=list[Any])

    async def parks(self) -> str:
        """Start a run, and return what it asks."""
        message = {"messageId": f"m{len(self.said)}", "role": "ROLE_USER", "parts": [{"text": "files"}]}
        task = (await a2a(self.web, "message:send", {"message": message}))["task"]
        self.task = task["id"]
        self.url, self.asks = self.asked(task)
        return self.asks

    async def parks_again(self, why: str) -> str:
        """Return what the run asks as soon as it says why it asks again."""
        task = await until(self.web, self.task, lambda status: why in str(status.get("message")))
        self.url, self.asks = self.asked(task)
        return self.asks

    def asked(self, task: Any) -> tuple[str, str]:
        """Return where a task sends its owner, and what it asks."""
        self.said.append(task)
        assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED", task
        text, data = task["status"]["message"]["parts"]
        url = data["data"]["wait"]["url"]
        return url, text["text"].removesuffix(f": {url}")

    async def is_killed(self) -> None:
        """Kill the server, and start another one at its address: the run waits there, and the address counts still."""
        port = self.web.url.rpartition(":")[2]
        self.web.kill()
        self.web = await to_thread.run_sync(lambda: Web(self.folder, "--port", port))
        assert self.asked(await a2a(self.web, f"tasks/{self.task}"))[1] == self.asks

    async def ends(self) -> str:
        """Return whom the service has known in the end, or why the run failed."""
        task = await ended(self.web, self.task)
        self.said.append(task)
        if task["status"]["state"] == "TASK_STATE_FAILED":
            return task["status"]["message"]["parts"][1]["data"]["error"]["code"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED", task
        return task["artifacts"][-1]["parts"][0]["data"]["email"]

    @asynccontextmanager
    async def beside(self) -> AsyncGenerator[Engine]:
        """Give an engine at the same store."""
        async with Engine.open(config=load_config(self.folder), host="none") as engine:
            yield engine


async def signs(scene: Scene) -> None:
    assert "The run that waited for it goes on" in await signs_in(scene.alice, scene.url)


async def enters_a_code(scene: Scene) -> None:
    login = Project(scene.folder, scene.forker).start(
        "connections", "login", "google:drive", "--device", "--owner", "alice"
    )
    try:
        url = (await told(login, r"^  (http\S+)$"))[1]
        await scene.alice.enters(url, (await told(login, r"enter the code: (\S+)"))[1])
        code, out, err = await command_ended(login)
    finally:
        if login.poll() is None:
            login.kill()
            login.communicate()
    assert (code, "1 run waited for it and goes on" in out) == (0, True), err


async def signs_and_gets_what_the_service_refuses(scene: Scene) -> None:
    before, scene.service.refuses = scene.server.counts().get("refresh_token", 0), 1
    await signs(scene)
    assert await scene.ends() == "alice@example.com"
    assert len(set(scene.service.tokens)) == 2
    assert scene.server.counts()["refresh_token"] == before + 1


async def refuses(scene: Scene) -> None:
    back = await scene.alice.consents(await scene.alice.goes_on(scene.url), refuses=True)
    assert (await scene.alice.browser.get(back)).status_code == 403


async def grants_less_and_then_the_boss_all(scene: Scene) -> None:
    assert "are missing: drive.write" in await signs_in(scene.alice, scene.url)
    asks = await scene.parks_again("it lacks permissions")
    assert asks == "Connect google:drive (drive.readonly, drive.write) again: it lacks permissions"
    await scene.is_killed()
    boss = Person("boss")
    assert "The run that waited for it goes on" in await signs_in(boss, scene.url)
    await boss.close()


async def has_expired(scene: Scene) -> None:
    await was_connected(scene)
    async with scene.beside() as engine:
        await lapse(engine, time.time() - 1)


async def is_revoked(scene: Scene) -> None:
    await was_connected(scene)
    async with scene.beside() as engine:
        await revoke_all(engine.core.env.book)


async def was_connected(scene: Scene) -> None:
    await scene.parks()
    await signs(scene)
    assert await scene.ends() == "alice@example.com"


Act = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Way:
    """One way of signing in."""

    then: Act
    """What is done when another server is up."""
    ends: str = "alice@example.com"
    before: Act | None = None
    """What has been before the run is started."""
    asks: str = "Connect google:drive (drive.readonly)"
    client: str = "desk"
    scopes: tuple[str, ...] = ("drive.readonly",)


WAYS = {
    "code and proof": Way(signs),
    "device code": Way(enters_a_code),
    "refresh": Way(signs_and_gets_what_the_service_refuses),
    "refused consent": Way(refuses, "AF-AUTH-DECLINED"),
    "expired token": Way(signs, before=has_expired, asks=AGAIN, client="unrenewed"),
    "revoked token": Way(signs, before=is_revoked, asks=AGAIN),
    "narrower scopes": Way(
        grants_less_and_then_the_boss_all, "boss@example.com", client="narrow",
        scopes=("drive.readonly", "drive.write"), asks="Connect google:drive (drive.readonly, drive.write)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_a_run_whose_server_was_killed_while_it_waited_ends_as_its_owner_authorises(
    tmp_path: Path, server: Provider, forker: Forker, alice: Person, way: Way
) -> None:
    async with desk(server) as (service, served):
        config = encode(config_of(server, served.url, way.client, *way.scopes)).decode()
        web = await to_thread.run_sync(lambda: Web(tmp_path, config=config))
        scene = Scene(tmp_path, server, service, forker, alice, web)
        try:
            if way.before is not None:
                await way.before(scene)
            assert await scene.parks() == way.asks
            await scene.is_killed()
            await way.then(scene)
            assert await scene.ends() == way.ends
        finally:
            scene.web.stop()
        tells_nothing(scene.said, tmp_path, service)
