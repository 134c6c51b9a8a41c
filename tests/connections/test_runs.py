"""Whole ways of a run: it waits for its owner to sign in, the server dies, the owner signs in, the run goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import types

from agentflow.config.load import load_text
from agentflow.data import encode
from agentflow.engine import Engine, Run
from agentflow.principal import LOCAL
from tests.connections.people import CLIENT_SECRET, Person, Provider, query_of
from tests.spelled import leaks, spelled
from tests.steps.http_server import Answer, Request, Server, serve
from tests.surface_mcp.served import LIMIT
from tests.surface_mcp.web import Web

pytestmark = pytest.mark.anyio
BACK = "http://127.0.0.1:49152/callback"


def config_of(server: Provider, service: str, client: str = "desk", *scopes: str) -> dict[str, Any]:
    tokens = [
        {"name": name, "sha256": hashlib.sha256(f"key-of-{name}".encode()).hexdigest()} for name in ("alice", "bob")
    ]
    need = {"skill": "google:drive", "permissions": list(scopes or ("drive.readonly",))}
    step = {"id": "files", "type": "api_call", "url": service, "connection": "google:drive", "requires": [need]}
    return {
        "name": "desk", "skills": {"native:network": {"private": True}},
        "connections": {"google": server.connection(client)},
        "workflows": {"files": {"steps": [step], "output": "{steps.files.body}"}}, "auth": {"tokens": tokens},
    }  # fmt: skip


class Desk:
    """A service that says whom a token is of, and, though it shouldn't, the token, in whatever spelling."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.tokens: list[str] = []
        self.refused: set[str] = set()
        self.refuses = 0
        """So many requests more, whatever token they bring."""

    async def __call__(self, request: Request) -> Answer:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.tokens.append(token)
        async with httpx2.AsyncClient(trust_env=False) as client:
            told = await client.get(f"{self.issuer}/me", headers={"Authorization": f"Bearer {token}"})
        self.refuses -= (refuses := self.refuses > 0)
        if told.status_code != 200 or token in self.refused or refuses:
            return Answer(401, {"you_sent": spelled(token)})
        return Answer(body={"email": told.json()["email"], "you_sent": spelled(token)})


@asynccontextmanager
async def desk(server: Provider) -> AsyncGenerator[tuple[Desk, Server]]:
    made = Desk(server.issuer)
    async with serve(made) as served:
        yield made, served


async def a2a(web: Web, path: str, body: Any = None) -> Any:
    headers = {"Authorization": "Bearer key-of-alice", "A2A-Version": "1.0"}
    async with httpx2.AsyncClient(trust_env=False, timeout=LIMIT, headers=headers) as client:
        at = f"{web.url}/a2a/rest/{path}"
        answer = await (client.get(at) if body is None else client.post(at, json=body))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def signs_in(person: Person, url: str) -> str:
    """Open a page, go on to the service, consent, and come back; returns what the last page says."""
    assert "asks you to connect google:drive" in (await person.browser.get(url)).text
    back = await person.consents(await person.goes_on(url))
    return (await person.browser.get(back)).text


async def test_two_owners_sign_in_by_what_a2a_and_mcp_tell_and_the_server_dies_meanwhile(
    tmp_path: Path, server: Provider, alice: Person, bob: Person
) -> None:
    async with desk(server) as (service, served):
        config = encode(config_of(server, served.url)).decode()
        web = await anyio.to_thread.run_sync(lambda: Web(tmp_path, config=config))
        try:
            message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "files"}]}
            task = (await a2a(web, "message:send", {"message": message}))["task"]
            status = task["status"]
            assert status["state"] == "TASK_STATE_AUTH_REQUIRED"
            text, data = status["message"]["parts"]
            (lack,) = task["metadata"]["urn:agentflow:a2a:tasks:v1"]["missing"]
            assert (lack["name"], lack["steps"], lack["effect"]) == ("google:drive", ["files"], "asks")
            wait = data["data"]["wait"]
            assert wait["connection"] == "google:drive"
            assert wait["scopes"] == ["drive.readonly"]
            assert text["text"] == f"Connect google:drive (drive.readonly): {wait['url']}"
            assert wait["url"].startswith(f"{web.url}/connections/login/")
            web.kill()
            port = web.url.rpartition(":")[2]
            web = await anyio.to_thread.run_sync(lambda: Web(tmp_path, "--port", port))
            assert "The run that waited for it goes on" in await signs_in(alice, wait["url"])
            said = [task, await ended(web, task["id"])]
            assert said[1]["artifacts"][-1]["parts"][0]["data"]["email"] == "alice@example.com"
            said += await _by_mcp(web, bob)
        finally:
            web.stop()
    assert len(set(service.tokens)) == 2
    tells_nothing(said, tmp_path, service)
    assert json.dumps(said).count("hexadecimal, in pairs: ***.") >= 2, "both were told what the service said"


def tells_nothing(said: Any, folder: Path, service: Desk) -> None:
    """See that replies, the log and the database hold no token and no client secret, in whatever spelling."""
    texts = {
        "replies": json.dumps(said, ensure_ascii=False), "log": (folder / "stderr").read_text("utf-8"),
        "database": _dump(folder / ".agentflow/runs.db"),
    }  # fmt: skip
    secrets = {*service.tokens, CLIENT_SECRET}
    assert not [(place, how) for place, text in texts.items() for secret in secrets for how in leaks(text, secret)]


async def ended(web: Web, task_id: str) -> Any:
    """Return a task that has ended."""
    return await until(
        web, task_id, lambda status: status["state"] not in {"TASK_STATE_WORKING", "TASK_STATE_AUTH_REQUIRED"}
    )


async def until(web: Web, task_id: str, is_it: Callable[[Any], bool]) -> Any:
    """Return a task as soon as its status is what somebody waits for."""
    with anyio.fail_after(LIMIT):
        while True:
            task = await a2a(web, f"tasks/{task_id}")
            if is_it(task["status"]):
                return task


async def _by_mcp(web: Web, bob: Person) -> list[Any]:
    """Let Bob run the same: what Alice has is none of his; a model can't answer for him, but he by the page."""
    opened: list[str] = []

    async def elicit(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        opened.append(params.url)
        return types.ElicitResult(action="cancel")

    async with web.client(token="key-of-bob", elicitation=elicit) as client:
        asked = await client.call_tool("files", {})
        handle = asked.structured_content
        assert handle is not None
        (wait,) = handle["waiting_for"]
        assert [lack["name"] for lack in handle["missing"]] == ["google:drive"]
        assert (wait["kind"], opened[:1]) == ("auth", [wait["url"]])
        assert "sign in to google:drive, at `url`" in handle["next"]
        refused = await client.call_tool("resume_workflow", {"task_id": wait["task_id"], "answer": True})
        assert refused.is_error
        assert "no answer does that" in json.dumps(refused.structured_content)
        assert "The run that waited for it goes on" in await signs_in(bob, wait["url"])
        with anyio.fail_after(LIMIT):
            told = await client.call_tool("wait_workflow", {"task_id": handle["task_id"]})
        assert told.structured_content is not None
        assert told.structured_content["output"]["email"] == "bob@example.com"
        return [each.model_dump(mode="json") for each in (asked, refused, told)]


def _dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump())


@asynccontextmanager
async def engine_of(path: Path, config: dict[str, Any]) -> AsyncGenerator[Engine]:
    loaded = load_text(encode(config).decode(), "agentflow.json")
    async with Engine.open(path, config=loaded) as engine:
        yield engine


async def parked(engine: Engine, run: Run | None = None) -> tuple[Run, str]:
    """Return a run that waits for somebody to sign in, and what it asks."""
    run = run or await engine.start("files")
    with anyio.fail_after(LIMIT):
        run = await engine.wait(run.id)
    assert run.state == "auth-required", run
    (wait,) = await engine.waits(run.id)
    return run, wait.message


async def consented(engine: Engine, person: Person) -> None:
    book = engine.core.env.book
    pending = await book.begin("google:drive", LOCAL, scopes=["drive.readonly"], redirect=BACK)
    finished = await book.finish(pending.state, query_of(await person.consents(pending.url)))
    assert await engine.connections.signed_in(finished.connection)


async def done(engine: Engine, run: Run) -> Run:
    with anyio.fail_after(LIMIT):
        async for _ in engine.subscribe(run.id):
            pass
    return await engine.get(run.id)


@pytest.mark.slow
async def test_refused_credentials_are_fetched_anew_once_and_a_revoked_sign_in_parks_the_next_step_only(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    path = tmp_path / "runs.db"
    async with desk(server) as (service, served):
        config = config_of(server, served.url)
        async with engine_of(path, config) as engine:
            run, message = await parked(engine)
            assert message == "Connect google:drive (drive.readonly)"
            await consented(engine, alice)
            before = await done(engine, run)
            assert before.state == "completed"
            service.refused.add(service.tokens[-1])
            again = await done(engine, await engine.start("files"))
            assert (again.state, len(set(service.tokens))) == ("completed", 2)
            await engine.core.env.book.logout("google", LOCAL)
            run, message = await parked(engine)
            assert (await engine.get(before.id)).state == "completed"
        async with engine_of(path, config) as engine:  # another process
            await consented(engine, alice)
            assert (await done(engine, run)).output["email"] == "alice@example.com"


@pytest.mark.slow
async def test_a_service_that_refuses_fresh_credentials_too_has_its_owner_sign_in_again(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with desk(server) as (service, served), engine_of(tmp_path / "a.db", config_of(server, served.url)) as engine:
        run, _ = await parked(engine)
        refuses = service.refused

        class All(set[str]):
            def __contains__(self, _: object) -> bool:
                return True

        service.refused = All()
        await consented(engine, alice)
        with anyio.fail_after(LIMIT):
            async for event in engine.subscribe(run.id):
                if event.type == "step_waiting" and len(set(service.tokens)) == 2:
                    break
        _, message = await parked(engine, run)
        assert message == "Connect google:drive (drive.readonly) again: the service refuses what there is"
        service.refused = refuses
        await consented(engine, alice)
        assert (await done(engine, run)).state == "completed"
