"""Processes that are killed while somebody signs in, or while they fetch tokens anew: the others go on."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from agentflow.config import load_config
from agentflow.engine import Engine
from agentflow.principal import LOCAL
from agentflow.requirements.connections.renewing import LEASE
from agentflow.vault import Spot
from tests.cli.forks import Forker
from tests.cli.project import Project
from tests.connections.people import Person, Provider, client
from tests.connections.test_cli import Desk, desk, ended, told
from tests.connections.test_flows import signed_in
from tests.connections.test_renewing import lapse
from tests.steps.http_server import Answer, Request, serve

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
__all__ = ("desk",)


class Relay:
    """A token endpoint that passes all on, or keeps who asks waiting."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.holds = False
        self.asked = anyio.Event()

    async def __call__(self, request: Request) -> Answer:
        if self.holds:
            self.asked.set()
            await anyio.sleep_forever()
        kept = {name: request.headers[name] for name in ("authorization", "content-type")}
        async with client() as browser:
            answer = await browser.post(f"{self.issuer}/token", content=request.body, headers=kept)
        return Answer(answer.status_code, answer.json())


async def test_who_is_killed_while_it_fetches_tokens_keeps_nobody_from_them(
    tmp_path: Path, forker: Forker, server: Provider, alice: Person
) -> None:
    relay = Relay(server.issuer)
    async with serve(relay) as served:
        there = Desk(Project(tmp_path, forker), server, token_url=f"{served.url}/token")
        async with Engine.open(config=load_config(tmp_path), host="none") as engine:
            await signed_in(engine.core.env.book, alice, LOCAL)
            await lapse(engine, time.time() - 1, Spot("desk", "", "local", "google"))
        before, relay.holds = server.counts().get("refresh_token", 0), True
        killed = there.start("run", "files")
        with anyio.fail_after(LEASE):
            await relay.asked.wait()
        killed.kill()
        killed.communicate()
        relay.holds = False
        with anyio.fail_after(LEASE / 2):  # its right to fetch ends with it
            code, out, err = await there.run("run", "files")
        assert (code, out.strip()) == (0, '"alice@example.com"'), err
        assert server.counts()["refresh_token"] == before + 1
        first = (await there.json("runs", "list"))["runs"][-1]["id"]
        assert (await there.json("runs", "watch", first))["output"] == "alice@example.com"


async def test_a_run_and_a_login_by_a_device_are_killed_and_the_next_login_lets_the_run_go_on(
    desk: Desk, alice: Person
) -> None:
    run = desk.start("run", "files", "--wait")
    await told(run, "waiting wait=")
    run.kill()
    run.communicate()
    gone = desk.start("connections", "login", "google:drive", "--device")
    await told(gone, r"enter the code: (\S+)")
    gone.kill()
    gone.communicate()
    login = desk.start("connections", "login", "google:drive", "--device")
    url = (await told(login, r"^  (http\S+)$"))[1]
    await alice.enters(url, (await told(login, r"enter the code: (\S+)"))[1])
    code, out, err = await ended(login)
    assert (code, "1 run waited for it and goes on" in out) == (0, True), err
    assert (await desk.json("runs", "watch", "@last"))["output"] == "alice@example.com"
