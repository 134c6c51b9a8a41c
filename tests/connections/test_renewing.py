"""Tokens are fetched anew by one at a time, whoever else wants them, and whoever dies meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from agentflow.config import load_config
from agentflow.credentials import NotConnected
from agentflow.data import encode
from agentflow.engine.engine import Engine
from agentflow.requirements.connections.renewing import LEASE
from agentflow.vault import Spot
from tests.connections.people import Person, Provider
from tests.connections.test_flows import ALICE, answers, book_of, signed_in
from tests.connections.under_load import AT_ONCE

pytestmark = pytest.mark.anyio
SPOT = Spot("desk", "", "alice", "google")
ROOT = Path(__file__).parents[2]


async def lapse(engine: Engine, at: float, spot: Spot = SPOT) -> None:
    """Let the access token have ended, as far as agentflow knows."""
    held = await engine.store.vault.held(spot)
    assert held is not None
    assert await engine.store.vault.keep(held._replace(expires_at=at), expect=held.version)


async def test_two_processes_fetch_one_expired_token_anew_once_and_no_request_fails(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    entry = encode(server.connection()).decode()
    (tmp_path / "agentflow.yaml").write_text(f"name: desk\nconnections: {{google: {entry}}}\nworkflows: {{}}\n")
    async with Engine.open(config=load_config(tmp_path), host="none") as engine:
        await signed_in(engine.core.env.book, alice)
        await lapse(engine, time.time() - 1)
    before = server.counts().get("refresh_token", 0)
    started = _started(tmp_path, server)
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    told = [process.communicate(timeout=60)[0].strip() for process in _gone(started)]
    assert told == [str({200: 2 * AT_ONCE})] * 2
    assert server.counts()["refresh_token"] == before + 1


def _started(folder: Path, server: Provider) -> list[subprocess.Popen[str]]:
    """Start two processes in a project."""
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.connections.under_load", server.issuer],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)},
        )
        for _ in range(2)
    ]  # fmt: skip


def _gone(processes: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    """Let all of them begin at once."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


async def test_many_tasks_fetch_it_anew_once(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        await signed_in(book, alice)
        clock.advance(4000)
        before, values = server.counts().get("refresh_token", 0), set[str]()

        async def use() -> None:
            values.add((await book.credentials("google", ALICE)).value)

        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(use)
        assert len(values) == 1
        assert server.counts()["refresh_token"] == before + 1


async def test_who_died_while_it_fetched_keeps_nobody_waiting(tmp_path: Path, server: Provider, alice: Person) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        await signed_in(book, alice)
        clock.advance(4000)
        vault = book._vault  # pyright: ignore[reportPrivateUsage] the claim of another process
        assert await vault.claim(SPOT, "a-host-that-is-gone", clock.now(), clock.now() + LEASE)
        with anyio.fail_after(10):
            assert await answers(server, await book.credentials("google", ALICE)) == 200


async def test_a_command_that_died_while_it_fetched_is_waited_for_no_longer_than_it_may_take(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        await signed_in(book, alice)
        clock.advance(4000)
        vault = book._vault  # pyright: ignore[reportPrivateUsage] the claim of another process
        assert await vault.claim(SPOT, "?command", clock.now(), clock.now() + LEASE)
        got = anyio.Event()

        async def use() -> None:
            await book.credentials("google", ALICE)
            got.set()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(use)
                await anyio.wait_all_tasks_blocked()
                assert not got.is_set()
                clock.advance(LEASE + 1)


async def test_what_ends_soon_serves_while_another_fetches_or_the_server_is_down(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        await signed_in(book, alice)
        old = await book.credentials("google", ALICE)
        clock.advance(3570)
        vault = book._vault  # pyright: ignore[reportPrivateUsage] the claim of another process
        assert await vault.claim(SPOT, "?command", clock.now(), clock.now() + LEASE)
        assert await book.credentials("google", ALICE) == old
        await vault.unclaim(SPOT, "?command")
        servers = book._servers  # pyright: ignore[reportPrivateUsage] a server that is down
        servers["google"]._found = {"token_endpoint": "http://127.0.0.1:9/token"}  # pyright: ignore[reportPrivateUsage] it
        assert await book.credentials("google", ALICE) == old


async def test_a_refresh_token_that_counts_no_more_is_not_tried_twice(
    tmp_path: Path, server: Provider, alice: Person
) -> None:
    async with book_of(tmp_path / "runs.db", server) as (book, clock):
        await signed_in(book, alice)
        vault = book._vault  # pyright: ignore[reportPrivateUsage] a store that was put back from its backup
        old = await vault.held(SPOT)
        assert old is not None
        clock.advance(4000)
        await book.credentials("google", ALICE)
        await vault.keep(old)
        for _ in range(2):
            with pytest.raises(NotConnected) as expired:
                await book.credentials("google", ALICE)
            assert (expired.value.reason, expired.value.connectable) == ("expired", True)
