"""Signing in by the pages of the server: each address counts once, for one owner, from one browser."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx2
import pytest

from agentflow.config import Config
from agentflow.config.load import load_text
from agentflow.credentials import NotConnected
from agentflow.data import encode
from agentflow.engine.engine import Engine
from agentflow.engine.models import Run, WaitView
from agentflow.principal import Principal
from agentflow.sealing import new_key
from agentflow.server.app import create_app
from tests.connections.people import Person, Provider, client, query_of

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:8745"
ALICE, BOB = Principal("alice"), Principal("bob")


def config_of(server: Provider, client: str = "desk", **more: Any) -> Config:
    step = {"id": "me", "type": "api_call", "url": f"{server.issuer}/me", "connection": "google:drive", **more}
    workflow = {"steps": [step], "output": "{steps.me.body.email}"}
    data = {
        "name": "desk", "skills": {"native:network": {"private": True}}, "workflows": {"files": workflow},
        "connections": {"google": server.connection(client, **({"parameters": {}} if client == "narrow" else {}))},
        "auth": {"tokens": [{"name": "alice", "sha256": "0" * 64}]},
    }  # fmt: skip
    return load_text(encode(data).decode(), "agentflow.json")


@asynccontextmanager
async def served(
    path: Path, config: Config, runtime: Literal["wire"] | None = None
) -> AsyncGenerator[tuple[Engine, httpx2.ASGITransport]]:
    async with Engine.open(path, config=config, runtime=runtime) as engine:
        app = create_app(engine, url=URL)
        async with app.router.lifespan_context(app):
            yield engine, httpx2.ASGITransport(app)


def browser_at(transport: httpx2.ASGITransport) -> Person:
    return Person("alice", client(mounts={URL: transport}))


async def asked(engine: Engine, principal: Principal = ALICE) -> tuple[Run, WaitView]:
    run = await engine.start("files", principal=principal)
    with anyio.fail_after(10):
        run = await engine.wait(run.id, principal=principal)
    (view,) = await engine.waits(run.id, principal=principal)
    return run, view


def address(view: WaitView) -> str:
    assert view.url is not None
    assert view.url.startswith(f"{URL}/connections/login/")
    return view.url


async def test_a_run_goes_on_when_its_owner_has_signed_in_by_the_page(tmp_path: Path, server: Provider) -> None:
    async with served(tmp_path / "runs.db", config_of(server)) as (engine, transport):
        run, view = await asked(engine)
        assert (run.state, view.kind) == ("auth-required", "auth")
        alice, link = browser_at(transport), address(view)
        page = await alice.browser.get(link)
        assert "files asks you to connect google" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        back = await alice.consents(await alice.goes_on(link))
        assert back.startswith(f"{URL}/connections/callback?")
        shown = await alice.browser.get(back)
        assert (shown.status_code, "connected as alice@example.com" in shown.text) == (200, True)
        assert "The run that waited for it goes on" in shown.text
        with anyio.fail_after(10):
            ended = await engine.wait(run.id, principal=ALICE)
        assert (ended.state, ended.output) == ("completed", "alice@example.com")
        assert "No run waited for it" in (await alice.browser.get(back)).text
        assert "has ended" in (await alice.browser.get(link)).text
        with pytest.raises(NotConnected):
            await engine.core.env.book.credentials("google", BOB)
        await alice.close()


async def test_a_server_that_was_started_since_takes_the_answer(tmp_path: Path, server: Provider) -> None:
    path, config = tmp_path / "runs.db", config_of(server)
    async with served(path, config) as (engine, transport):
        run, view = await asked(engine)
        alice = browser_at(transport)
        back = await alice.consents(await alice.goes_on(address(view)))
        cookies = alice.browser.cookies
        await alice.close()
    async with served(path, config) as (engine, transport):
        again = browser_at(transport)
        again.browser.cookies = cookies
        assert "connected as alice@example.com" in (await again.browser.get(back)).text
        with anyio.fail_after(10):
            assert (await engine.wait(run.id, principal=ALICE)).output == "alice@example.com"
        await again.close()


async def test_a_login_that_nobody_told_of_is_noticed_by_the_next_server(tmp_path: Path, server: Provider) -> None:
    path, config = tmp_path / "runs.db", config_of(server)
    async with served(path, config) as (engine, transport):
        run, _ = await asked(engine)
        alice = browser_at(transport)
        pending = await engine.core.env.book.begin("google", ALICE, redirect=f"{URL}/connections/callback")
        back = query_of(await alice.consents(pending.url))
        await engine.core.env.book.finish(pending.state, back)  # and then the process dies
        await alice.close()
    async with served(path, config) as (engine, _):
        with anyio.fail_after(10):
            assert (await engine.wait(run.id, principal=ALICE)).output == "alice@example.com"


async def test_another_browser_and_a_forged_answer_connect_nobody(tmp_path: Path, server: Provider) -> None:
    async with served(tmp_path / "runs.db", config_of(server)) as (engine, transport):
        run, view = await asked(engine)
        alice, mallory = browser_at(transport), browser_at(transport)
        link = address(view)
        back = await alice.consents(await alice.goes_on(link))
        for wrong in (back, f"{URL}/connections/callback?state=x&code=y", f"{URL}/connections/callback"):
            shown = await mallory.browser.get(wrong)
            assert (shown.status_code, "AF-AUTH-STATE" in shown.text) == (403, True)
        code = query_of(back)["code"]
        assert code not in (await mallory.browser.get(back)).text
        assert (await mallory.browser.get(f"{link[:-4]}AAAA")).status_code == 404
        assert (await engine.get(run.id, principal=ALICE)).state == "auth-required"
        assert (await alice.browser.get(back)).status_code == 200, "the one who began still may"
        again = await mallory.browser.get(back)
        assert (again.status_code, "alice@example.com" in again.text) == (403, False), "nor is he told what came of it"
        assert "alice@example.com" in (await alice.browser.get(back)).text
        await alice.close()
        await mallory.close()


async def test_an_address_that_is_sent_to_somebody_leads_nobody_past_the_page_that_asks(
    tmp_path: Path, server: Provider
) -> None:
    async with served(tmp_path / "runs.db", config_of(server)) as (engine, transport):
        _, view = await asked(engine)
        alice, victim = browser_at(transport), browser_at(transport)
        link = address(view)
        for wrong in (f"{link}?go=1", f"{link}?go=", f"{link}?go=%C3%A4", await alice.goes_on(link)):
            shown = await victim.browser.get(wrong)
            assert (shown.status_code, "files asks you to connect google" in shown.text) == (200, True)
        assert (await victim.browser.get(await victim.goes_on(link))).status_code == 303
        await alice.close()
        await victim.close()


async def test_who_refuses_fails_the_step(tmp_path: Path, server: Provider) -> None:
    async with served(tmp_path / "runs.db", config_of(server)) as (engine, transport):
        run, view = await asked(engine)
        alice = browser_at(transport)
        shown = await alice.browser.get(await alice.consents(await alice.goes_on(address(view)), refuses=True))
        assert (shown.status_code, "refused: access_denied" in shown.text) == (403, True)
        with anyio.fail_after(10):
            ended = await engine.wait(run.id, principal=ALICE)
        assert ended.state == "failed"
        assert ended.failure is not None
        assert ended.failure.code == "AF-AUTH-DECLINED"
        await alice.close()


async def test_a_service_that_has_an_error_of_its_own_refuses_nothing_and_its_text_is_only_text(
    tmp_path: Path, server: Provider
) -> None:
    async with served(tmp_path / "runs.db", config_of(server)) as (engine, transport):
        run, view = await asked(engine)
        alice = browser_at(transport)
        away = await alice.browser.get(await alice.goes_on(address(view)))
        said = {
            "state": query_of(away.headers["location"])["state"], "iss": server.issuer,
            "error": "temporarily_unavailable", "error_description": "<script>alert(1)</script>\r\nX-Evil: 1",
        }  # fmt: skip
        shown = await alice.browser.get(f"{URL}/connections/callback", params=said)
        assert (shown.status_code, "AF-AUTH-REFUSED" in shown.text) == (502, True)
        assert "<script>" not in shown.text
        assert "x-evil" not in shown.headers
        assert (await engine.get(run.id, principal=ALICE)).state == "auth-required"
        assert (await alice.browser.get(await alice.consents(await alice.goes_on(address(view))))).status_code == 200
        with anyio.fail_after(10):
            assert (await engine.wait(run.id, principal=ALICE)).output == "alice@example.com"
        await alice.close()


async def test_what_another_key_has_sealed_is_told_as_that_and_goes_on_with_the_right_one(
    tmp_path: Path, server: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, config, right = tmp_path / "runs.db", config_of(server), new_key()
    monkeypatch.setenv("AGENTFLOW_KEY", right)
    async with served(path, config) as (engine, transport):
        run, view = await asked(engine)
        alice = browser_at(transport)
        await alice.browser.get(await alice.consents(await alice.goes_on(address(view))))
        await alice.close()
    monkeypatch.setenv("AGENTFLOW_KEY", new_key())
    why = "its tokens were sealed with another key"
    async with served(path, config) as (engine, _):
        (line,) = await engine.core.env.book.lines(ALICE)
        assert (line.state, line.why) == ("not connected", why)
        (lack,) = (await engine.preflight("files", principal=ALICE)).lacks
        assert lack.why.endswith(why)
        run, view = await asked(engine)
        assert view.message == f"Connect google:drive: {why}"
    monkeypatch.setenv("AGENTFLOW_KEY", right)
    async with served(path, config) as (engine, _):
        with anyio.fail_after(10):
            assert (await engine.wait(run.id, principal=ALICE)).output == "alice@example.com"


async def test_fewer_permissions_than_needed_are_told_and_the_step_waits_on(tmp_path: Path, server: Provider) -> None:
    needs = [{"skill": "google:drive", "permissions": ["drive.write"]}]
    async with served(tmp_path / "runs.db", config_of(server, "narrow", requires=needs)) as (engine, transport):
        run, view = await asked(engine)
        alice = browser_at(transport)
        shown = await alice.browser.get(await alice.consents(await alice.goes_on(address(view))))
        assert "these are missing: drive.write" in shown.text
        with anyio.fail_after(10):
            assert (await engine.wait(run.id, principal=ALICE)).state == "auth-required"
        await alice.close()


@pytest.mark.parametrize("runtime", [None, "wire"])
async def test_tokens_stand_in_env_for_each_owner(
    tmp_path: Path, server: Provider, runtime: Literal["wire"] | None
) -> None:
    workflow = {
        "steps": [
            {
                "id": "me", "type": "api_call", "url": f"{server.issuer}/me",
                "headers": {"Authorization": "Bearer {env.GOOGLE_TOKEN}"},
            }
        ],
        "output": "{steps.me.body.email}",
    }  # fmt: skip
    data = {
        "name": "desk", "skills": {"native:network": {"private": True}}, "workflows": {"files": workflow},
        "env": [{"name": "GOOGLE_TOKEN", "connection": "google:drive"}],
        "connections": {"google": server.connection()},
    }  # fmt: skip
    config = load_text(encode(data).decode(), "agentflow.json")
    async with served(tmp_path / "runs.db", config, runtime) as (engine, transport):
        assert (await engine.preflight("files", principal=ALICE)).missing == ("google:drive",)
        run, view = await asked(engine)
        assert view.details["connection"] == "google:drive"
        alice = browser_at(transport)
        await alice.browser.get(await alice.consents(await alice.goes_on(address(view))))
        with anyio.fail_after(10):
            assert (await engine.wait(run.id, principal=ALICE)).output == "alice@example.com"
        _, bobs = await asked(engine, BOB)
        assert bobs.kind == "auth"
        await alice.close()


async def test_a_revoked_connection_parks_the_next_step_and_not_the_run_before(
    tmp_path: Path, server: Provider
) -> None:
    async with served(tmp_path / "runs.db", config_of(server)) as (engine, transport):
        first, view = await asked(engine)
        alice = browser_at(transport)
        await alice.browser.get(await alice.consents(await alice.goes_on(address(view))))
        with anyio.fail_after(10):
            await engine.wait(first.id, principal=ALICE)
        assert await engine.core.env.book.logout("google", ALICE)
        second, _ = await asked(engine)
        assert second.state == "auth-required"
        assert (await engine.get(first.id, principal=ALICE)).state == "completed"
        await alice.close()
