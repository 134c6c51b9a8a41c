"""A store that takes no more: the command leaves all the same, and says what isn't saved."""

from __future__ import annotations

import json
import math
import resource
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import apsw
import pytest

from agentflow import Workflow, config_from
from agentflow.cli import session as sessions
from agentflow.cli.actions.start import follow
from agentflow.cli.console import Console, make_console
from agentflow.cli.desk import Project
from agentflow.cli.follow import Manner
from agentflow.cli.refusals import not_saved
from agentflow.cli.session import Leaving, Session
from agentflow.engine.host import host
from agentflow.errors import AgentflowError, StoreError
from agentflow.steps import ForEachField, python, set_
from agentflow.store.sqlite.sql import do

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")]


@contextmanager
def quota() -> Generator[None]:
    """Let no file of this process get larger than a limit, as a quota does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def flow_project(path: Path) -> Project:
    """Return a project whose workflow has results that don't fit."""
    step = python(
        "load",
        function="textwrap:indent",
        input={"text": "x" * 200_000, "prefix": "{item}"},
        for_each=ForEachField(in_=list("0123456789" * 6)),
    )
    flow = Workflow(id="flow", steps=(step,), max_parallel=2)
    return Project(str(path / "runs.db"), replace(config_from([flow]), python_modules=("textwrap",)))


async def left(console: Console, path: Path) -> int:
    """Follow a run until the disk is full and the time over; returns the exit code."""

    async def work(session: Session) -> int:
        run = await session.engine.start("flow", {})
        while session.engine.core.health.refused is None:
            await anyio.lowlevel.checkpoint()
        session.allow(0.0)
        return await follow(session, run.id, Manner(), ours=True)

    with quota(), anyio.fail_after(60):
        return await sessions.drive_in_loop(console, flow_project(path), work, "own")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited for the store would wait for ever."""
    monkeypatch.setattr(sessions, "GRACE", math.inf)
    monkeypatch.setattr(host, "PATIENCE", math.inf)
    monkeypatch.setattr(host, "UNWIND", math.inf)


async def test_time_over_on_a_full_disk_leaves_at_once_and_names_the_steps_that_are_not_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await left(make_console(), tmp_path) == 124
    told = capsys.readouterr().err
    assert "Time is over. The run goes on with: agentflow runs watch " in told
    assert "is saved" not in told
    assert "! not saved: load[" in told
    assert "! commits fail [AF-STORE-" in told


async def test_the_json_lines_tell_when_commits_are_refused_and_when_they_are_accepted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = anyio.Event()
    write = Console.line

    def line(console: Console, value: object) -> None:
        write(console, value)
        if isinstance(value, dict) and value.get("type") == "commits_refused":  # pyright: ignore[reportUnknownMemberType]  any JSON
            told.set()

    monkeypatch.setattr(Console, "line", line)

    async def work(session: Session) -> int:
        run = await session.engine.start("flow", {})
        async with anyio.create_task_group() as group:
            group.start_soon(free)
            ends.append(await follow(session, run.id, Manner(), ours=True))
        return ends[0]

    async def free() -> None:
        await told.wait()
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ends: list[int] = []
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    with quota(), anyio.fail_after(60):
        assert await sessions.drive_in_loop(make_console(mode="jsonl"), flow_project(tmp_path), work, "own") == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    refused = next(each for each in lines if each["type"] == "commits_refused")
    assert refused["error"]["code"].startswith("AF-STORE-")
    assert refused["error"]["data"]["unsaved"]
    kinds = [each["type"] for each in lines if each["type"] in ("commits_refused", "commits_accepted", "result")]
    assert kinds == ["commits_refused", "commits_accepted", "result"]
    assert lines[-1]["state"] == "completed"


async def test_the_json_documents_tell_that_commits_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await left(make_console(mode="json"), tmp_path) == 124
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["state"] == "working"
    assert document["error"]["code"].startswith("AF-STORE-")
    assert document["error"]["data"]["unsaved"]
    assert json.loads(err)["error"]["data"]["unsaved"]


async def test_a_time_that_is_over_before_the_store_took_a_run_says_so(tmp_path: Path) -> None:
    project = Project(str(tmp_path / "runs.db"), config_from([Workflow(id="flow", steps=(set_("a", value=1),))]))
    told: list[AgentflowError] = []

    async def work(session: Session) -> int:
        locking = apsw.Connection(project.store)
        do(locking, "BEGIN IMMEDIATE")
        try:
            session.allow(0.05)
            with pytest.raises(AgentflowError) as caught, session.in_time():
                await session.engine.start("flow", {})
            told.append(caught.value)
        finally:
            locking.close()
        return 0

    with anyio.fail_after(60):
        await sessions.drive_in_loop(make_console(), project, work, "own")
    assert (told[0].code, told[0].why) == ("AF-TIME-OVER", "another process keeps it locked, or its disk is slow")


async def test_a_signal_that_comes_while_the_engine_closes_ends_the_command_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(str(tmp_path / "runs.db"), config_from([Workflow(id="flow", steps=(set_("a", value=1),))]))
    shutdown, made = host.Host.shutdown, list[Leaving]()

    class Recorded(Leaving):
        def __init__(self, scope: anyio.CancelScope) -> None:
            super().__init__(scope)
            made.append(self)

    async def closing(self: host.Host, grace: float) -> None:
        signal.raise_signal(signal.SIGTERM)
        with anyio.fail_after(60):
            while made[0].signal is None:
                await anyio.lowlevel.checkpoint()
        await shutdown(self, grace)

    async def work(_: Session) -> int:
        return 0

    monkeypatch.setattr(host.Host, "shutdown", closing)
    monkeypatch.setattr(sessions, "Leaving", Recorded)
    with anyio.fail_after(60):
        assert await sessions.drive_in_loop(make_console(), project, work, "own") == 143


def test_only_some_of_many_steps_that_are_not_saved_are_named() -> None:
    error = StoreError("The disk is full: runs.db can't grow.", code="AF-STORE-FULL")
    lines = not_saved(error, [f"load[{n}]" for n in range(8)])
    assert lines == [
        "! not saved: load[0], load[1], load[2], load[3], load[4] and 3 more steps."
        " It is done again when the run goes on",
        "! commits fail [AF-STORE-FULL]: The disk is full: runs.db can't grow",
    ]
    assert not_saved(error, [])[0] == "! not saved: what has happened since. It is done again when the run goes on"
