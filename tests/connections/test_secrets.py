"""No token, client secret, key or password is stored or told, in whatever spelling a step or a service has it."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
from anyio import to_thread

from agentflow.config.load import load_config
from agentflow.data import encode
from agentflow.engine.engine import Engine
from agentflow.errors import AgentflowError, StepError
from agentflow.principal import LOCAL
from agentflow.steps.contract import Artifact, Context, Park, Wait
from agentflow.vault import Spot
from tests.cli.forks import Forker
from tests.cli.project import Project
from tests.connections.people import CLIENT_SECRET, Person, Provider, query_of
from tests.connections.test_flows import BACK
from tests.spelled import leaks, spelled

pytestmark = pytest.mark.anyio
KEY, PASSWORD, SHARED = 'api-key "0815"/ö', "pass:wörd-4711", "hmac+secret/42="


async def told(ctx: Context) -> list[str]:
    return spelled((await ctx.credentials("google:drive")).value)


async def gives(ctx: Context) -> Any:
    return {"t": await told(ctx)}


async def tells(ctx: Context) -> None:
    texts = await told(ctx)
    text = "\n".join(texts)
    ctx.log(text)
    ctx.progress(0.5, text)
    ctx.status(text)
    ctx.message([{"text": text}, {"data": {"x": texts}}])
    await ctx.save({"state": texts})
    await ctx.publish("told", {"data": texts})
    await ctx.artifact(Artifact("a", name=text, parts=({"text": text},)))


async def raises(ctx: Context) -> None:
    text = "\n".join(await told(ctx))
    raise StepError(text, why=text, hint=text, retryable=False, data={"x": text})


async def raises_anything(ctx: Context) -> None:
    raise RuntimeError("\n".join(await told(ctx)))


async def asks(ctx: Context) -> Park:
    texts = await told(ctx)
    return Park(Wait("input", "\n".join(texts), {"enum": texts}, timeout=1, default={"d": texts}))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    f"told:{each.__name__}": each for each in (gives, tells, raises, raises_anything, asks)
}


@asynccontextmanager
async def echo() -> AsyncGenerator[str]:
    """Serve somebody who tells all that he was told, and refuses."""

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = f"{self.path} {dict(self.headers)}"
            body = "\n".join(spelled(said)).encode()
            self.send_response(200 if "fine" in self.path else 400)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Told", str(self.headers.get("Authorization")))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  its name there

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def config_of(server: Provider, url: str) -> dict[str, Any]:
    calls = [
        {"id": f"{name}-{how}", "type": "api_call", "url": f"{url}/{how}", "connection": name, "on_error": "continue"}
        for name in ("google:drive", "key", "asked", "basic", "sign")
        for how in ("fine", "not")
    ]
    for number, call in enumerate(calls):
        call["id"] = f"call{number}"
    own = [
        {"id": each.partition(":")[2], "type": "python", "function": each, "on_error": "continue"} for each in FUNCTIONS
    ]
    fed = {
        "id": "fed", "type": "api_call", "url": f"{url}/fine?token={{env.TOKEN}}", "on_error": "continue",
        "headers": {"X-Token": "{env.TOKEN}"},
    }  # fmt: skip
    return {
        "name": "desk",
        "skills": {"native:network": {"private": True}},
        "env": [{"name": "TOKEN", "connection": "google"}],
        "connections": {
            "google": server.connection(),
            "key": {"type": "api_key", "key": KEY.replace('"', "'").replace("ö", "o")},
            "asked": {"type": "api_key", "key": KEY, "query": "key"},
            "basic": {"type": "basic", "username": "ana", "password": PASSWORD},
            "sign": {"type": "hmac", "secret": SHARED},
            "wrong": server.connection(grant="client_credentials", client_secret="wrong-" + SHARED),
        },
        "workflows": {"all": {"steps": [*calls, fed, *own]}},
    }  # fmt: skip


def stored(folder: Path) -> str:
    """Return every cell of the database, and what its files hold; the config and the key file hold secrets."""
    cells: list[bytes] = []
    with closing(sqlite3.connect(folder / "runs.db")) as db:
        names = [row[0] for row in db.execute("select name from sqlite_master where type = 'table'")]
        for name in names:
            for row in db.execute(f'select * from "{name}"'):
                cells += [cell if isinstance(cell, bytes) else str(cell).encode() for cell in row]
    files = [re.sub(rb"\0+", b"\0", path.read_bytes()) for path in folder.glob("runs.db*") if path.suffix != ".key"]
    return b"\n".join([*cells, *files]).decode("utf-8", "replace")


async def test_nothing_that_is_secret_is_stored_logged_or_printed(
    tmp_path: Path, server: Provider, alice: Person, forker: Forker, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    errors: list[str] = []
    async with echo() as url:
        (tmp_path / "agentflow.yaml").write_bytes(encode(config_of(server, url)))
        (tmp_path / "runs").mkdir()
        async with Engine.open(
            tmp_path / "runs" / "runs.db", config=load_config(tmp_path), functions=FUNCTIONS
        ) as engine:
            book = engine.core.env.book
            pending = await book.begin("google", LOCAL, redirect=BACK)
            back = await alice.consents(pending.url)
            caplog.clear()  # the browser's own
            code = query_of(back)["code"]
            await book.finish(pending.state, query_of(back))
            with anyio.fail_after(60):
                run = await engine.start("all")
                done = await engine.wait(run.id)
            assert done.state == "completed", done.failure
            for attempt in (book.credentials("wrong", LOCAL), book.begin("key", LOCAL, redirect=BACK)):
                with pytest.raises(AgentflowError) as refused:
                    await attempt
                errors.append(repr((refused.value, refused.value.why, refused.value.hint, vars(refused.value))))
            held = await engine.store.vault.held(Spot("desk", "", "local", "google"))
            assert held is not None
            tokens = book._safe.tokens(held)  # pyright: ignore[reportPrivateUsage] what it looks for
            assert tokens is not None
            shown = repr((tokens, await book.credentials("google", LOCAL), held, pending))
        project = Project(tmp_path, forker)
        printed = [shown, *errors, caplog.text, "".join(capfd.readouterr())]
        for command in (
            ("runs", "show", "@last", "--json"), ("runs", "show", "@last", "--events"), ("runs", "show", "@last"),
            ("runs", "show", "@last", "--step", "gives"), ("connections", "list", "--json"),
            ("connections", "test", "google"), ("connections", "test", "wrong"), ("waits", "list", "--json"),
        ):  # fmt: skip
            told = await to_thread.run_sync(lambda c=command: project.run(*c, "--store", "runs/runs.db"))
            printed += [told.stdout, told.stderr]
    everything = {"the database": stored(tmp_path / "runs"), "what is told": "\n".join(printed)}
    secrets = {
        "access token": tokens.access_token, "refresh token": tokens.refresh_token or "",
        "client secret": CLIENT_SECRET, "key": KEY, "password": PASSWORD, "shared secret": SHARED, "code": code,
    }  # fmt: skip
    found = [
        (place, name, how)
        for place, text in everything.items()
        for name, secret in secrets.items()
        for how in leaks(text, secret)
    ]
    assert not found
    assert "***" in everything["the database"]
    assert "***" in everything["what is told"]
