"""`agentflow connections`, against a real authorization server, and the runs that wait for a login."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio import to_thread

from agentflow.data import encode
from tests.cli.forks import Forker
from tests.cli.project import Project
from tests.connections.people import CLIENT_SECRET, Person, Provider, client, query_of

pytestmark = pytest.mark.anyio
LONGEST = 30


class Desk:
    """A project whose workflow asks a service that only lets in who has signed in."""

    def __init__(
        self, project: Project, server: Provider, client: str = "desk", *scopes: str, token_url: str | None = None
    ) -> None:
        self.project = project
        self.started: list[subprocess.Popen[str]] = []
        entry = server.connection(client, **({"token_url": token_url} if token_url else {}))
        config = {
            "name": "desk",
            "skills": {"native:network": {"private": True}},
            "connections": {"google": entry, "crm": {"type": "bearer", "token": "crm-token-11"}},
            "workflows": {
                "files": {
                    "steps": [
                        {
                            "id": "me", "type": "api_call", "url": f"{server.issuer}/me", "connection": "google:drive",
                            "requires": [{"skill": "google:drive", "permissions": list(scopes or ["drive.readonly"])}],
                        }
                    ],
                    "output": "{steps.me.body.email}",
                }
            },
        }  # fmt: skip
        (project.folder / "agentflow.yaml").write_bytes(encode(config))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = self.project.start(*arguments)
        self.started.append(process)
        return process

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        done = await to_thread.run_sync(partial(self.project.run, *arguments))
        return done.returncode, done.stdout, done.stderr

    async def json(self, *arguments: str) -> Any:
        return await to_thread.run_sync(partial(self.project.json_of, *arguments, "--json"))


async def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = await to_thread.run_sync(partial(process.communicate, timeout=LONGEST))
    return process.returncode, out, err


async def told(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Return the first line of talk that holds something."""
    assert process.stderr is not None
    read = ""
    with anyio.fail_after(LONGEST):
        while line := await to_thread.run_sync(process.stderr.readline):
            read += line
            if found := re.search(pattern, line):
                return found
    raise AssertionError(f"{pattern} isn't told: {read}")


@pytest.fixture
def desk(tmp_path: Path, forker: Forker, server: Provider) -> Iterator[Desk]:
    made = Desk(Project(tmp_path, forker), server)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


async def visit(url: str) -> httpx2.Response:
    async with client() as browser:
        return await browser.get(url)


async def test_a_run_waits_until_somebody_signs_in_at_the_command_line_and_goes_on(desk: Desk, alice: Person) -> None:
    parked, _, _ = await desk.run("run", "files")
    login = desk.start("connections", "login", "google:drive", "--no-browser")
    url = (await told(login, r"^  (http\S+)$"))[1]
    page = await visit(await alice.consents(url))
    code, out, err = await ended(login)
    assert (parked, code, page.status_code) == (75, 0, 200), err
    assert "google is connected" in page.text
    first, second = out.splitlines()
    assert first.startswith("✔ signed in as alice@example.com, scopes: ")
    assert "drive.readonly" in first
    run = (await desk.json("runs", "list"))["runs"][0]["id"]
    assert second == f"  1 run waited for it and goes on: {run[-6:]}"
    assert (await desk.json("runs", "watch", "@last"))["output"] == "alice@example.com"

    (google, crm) = (await desk.json("connections", "list"))["connections"]
    assert (google["state"], google["account"], crm["state"]) == ("connected", "alice@example.com", "fixed")
    _, out, _ = await desk.run("connections", "test", "google:drive")
    assert out.startswith("✔ google: the service takes them, signed in as alice@example.com")
    _, out, _ = await desk.run("connections", "logout", "google")
    assert out == "signed out of google: tokens forgotten, revoked at the service\n"
    code, _, err = await desk.run("connections", "test", "google")
    assert (code, "AF-AUTH-NEEDED" in err) == (69, True)


@pytest.mark.slow
async def test_without_a_browser_a_code_is_entered_elsewhere(desk: Desk, alice: Person) -> None:
    login = desk.start("connections", "login", "google", "--device", "--json")
    url = (await told(login, r"^  (http\S+)$"))[1]
    code = (await told(login, r"enter the code: (\S+)"))[1]
    await alice.enters(url, code)
    number, out, err = await ended(login)
    assert number == 0, err
    assert json.loads(out) | {"scopes": []} == {
        "connection": "google", "account": "alice@example.com", "owner": "local", "scopes": [], "lacking": [],
        "runs": [],
    }  # fmt: skip


@pytest.mark.slow
async def test_who_refuses_who_forges_and_who_is_late_each_has_a_code(desk: Desk, alice: Person) -> None:
    refusing = desk.start("connections", "login", "google", "--no-browser")
    page = await visit(await alice.consents((await told(refusing, r"^  (http\S+)$"))[1], refuses=True))
    code, _, err = await ended(refusing)
    assert (code, page.status_code) == (77, 400)
    assert "error[AF-AUTH-DENIED]: google refused: access_denied" in err

    forged = desk.start("connections", "login", "google", "--no-browser")
    place = (await told(forged, r"waiting for the answer on (\S+)"))[1]
    await visit(f"{place}?code=stolen&state=made-up")
    code, _, err = await ended(forged)
    assert (code, "error[AF-AUTH-STATE]" in err) == (77, True)

    code, _, err = await desk.run("connections", "login", "google", "--no-browser", "--timeout", "200ms")
    assert (code, "error[AF-AUTH-TIMEOUT]" in err) == (124, True)


@pytest.mark.slow
async def test_fewer_permissions_than_a_step_needs_are_told(desk: Desk, server: Provider, alice: Person) -> None:
    desk = Desk(desk.project, server, "narrow", "drive.readonly", "drive.write")
    login = desk.start("connections", "login", "google", "--no-browser")
    url = (await told(login, r"^  (http\S+)$"))[1]
    assert "drive.write" in query_of(url)["scope"]
    page = await visit(await alice.consents(url))
    code, out, err = await ended(login)
    assert (code, "Missing: drive.write" in page.text) == (77, True)
    assert "✔ signed in as alice@example.com" in out
    assert "error[AF-AUTH-SCOPES]: google wasn't granted: drive.write" in err


async def test_what_needs_no_login_and_what_is_unknown_is_told(desk: Desk) -> None:
    code, _, err = await desk.run("connections", "login", "crm")
    assert (code, "AF-AUTH-NO-LOGIN" in err) == (2, True)
    code, _, err = await desk.run("connections", "login", "dropbox")
    assert (code, 'the config has no connection "dropbox"' in err) == (69, True)
    assert CLIENT_SECRET not in err


@pytest.mark.slow
async def test_an_open_wait_is_opened_by_its_id_and_its_run_is_carried_on(desk: Desk, alice: Person) -> None:
    _, _, parked = await desk.run("run", "files")
    hint = re.search(r"hint:  agentflow (waits open (\S+))", parked)
    assert hint is not None, parked
    opening = desk.start(*hint[1].split(), "--no-browser")
    await visit(await alice.consents((await told(opening, r"^  (http\S+)$"))[1]))
    code, _, err = await ended(opening)
    assert code == 0, err
    shown = await desk.json("runs", "show", "@last")
    assert (shown["state"], shown["output"]) == ("completed", "alice@example.com")
    again, _, said = await desk.run("waits", "open", hint[2])
    assert (again, "AF-WAIT-CLOSED" in said) == (73, True), said
