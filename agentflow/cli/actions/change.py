"""`runs cancel|pause|unpause|purge`, and carrying on what a command has moved."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from agentflow.cli.actions.runs import states_of
from agentflow.cli.agents import elsewhere
from agentflow.cli.ask import yes_or_no
from agentflow.cli.console import Console
from agentflow.cli.documents import run_data
from agentflow.cli.follow import Follower, Manner
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project
from agentflow.cli.session import Session, drive
from agentflow.cli.values import read_timeout, usage
from agentflow.cli.wait_texts import wait_command
from agentflow.engine import Run
from agentflow.errors import ConflictError, DefinitionError
from agentflow.store.rows import (
    TERMINAL,
    RunQuery,
)

PATIENCE = 0.8
"""Seconds that another process gets to take a command up."""


async def observe(session: Session, run_id: str) -> Follower:
    """Prepare to carry a run on: what happens from now on is told.

    Args:
        session: engine and console.
        run_id: whole id of a root run.
    """
    follower = Follower(session, run_id, Manner(wait=False, ask=False, settle=True), ours=True)
    await follower.catch_up()
    return follower


async def carry_on(session: Session, follower: Follower, *, tell: bool = True) -> Run:
    """Execute a run here until it parks, is paused or ends, where no live process does; says so."""
    if not await takes_over(session, follower.run_id):
        run = await session.engine.get(follower.run_id)
        if tell and not run.ended and (foreign := elsewhere(session.desk, run)):
            session.console.say(f"! {foreign}")
        return run
    if tell:
        await session.learn([follower.run_id], "run")
        session.console.say(f"no process runs {session.short(follower.run_id)}: going on here")
    return await carried(session, follower, tell=tell)


async def takes_over(session: Session, run_id: str) -> bool:
    """Take a run that no live process executes, and tell whether it is ours now."""
    run = await session.engine.get(run_id, output=False)
    if elsewhere(session.desk, run):
        return False
    with session.in_time():
        return not run.ended and not await taken(session, run_id) and await session.engine.adopt(run_id)


async def carried(session: Session, follower: Follower, *, tell: bool = True) -> Run:
    """Execute a run that is ours until it parks, is paused or ends; says so."""
    engine, console, run_id = session.engine, session.console, follower.run_id
    await session.learn([run_id], "run")
    await follower.follow()
    run = await engine.get(run_id)
    if run.paused:
        if tell:
            console.say(f"it is paused; go on: {session.command(f'runs unpause {session.short(run_id)}')}")
    elif run.ended:
        console.say(follower.last_line())
    elif run.waiting:
        waits = await engine.waits(run_id)
        await session.learn([view.id for view in waits], "wait")
        for view in waits:
            console.say(f"answer {view.step}: {wait_command(session.desk, view)}")
    else:
        saved = "is saved; it " if engine.core.health.refused is None else ""
        console.say(f"it {saved}goes on with: {session.command(f'runs watch {session.short(run_id)}')}")
    return run


async def taken(session: Session, run_id: str) -> bool:
    """Whether another live process has taken our command up: one that waits for it gets a moment to do so."""
    store = session.engine.store
    row, living = await store.get_run(run_id), await store.liveness.living()
    if row is None or not (living or set()) - {store.holder}:
        return False
    with anyio.move_on_after(PATIENCE):
        while await store.inbox([row.root]):  # noqa: ASYNC110  only the database tells
            await anyio.sleep(0.03)
        return True
    return False


def cancel(common: Common, wanted: Sequence[str], *, force: bool) -> int:
    """Cancel runs."""
    console = common.console()
    broken = False
    try:
        project = find_project(common, config="wanted")
    except DefinitionError:
        # Stopping a run must work while its config is being edited: whoever hosts it next carries it out.
        project, broken = find_project(common, config="none"), True

    async def work(session: Session) -> int:
        ids = [await session.engine.find(each) for each in wanted]
        await session.learn(ids, "run")
        before = [await session.engine.get(run_id, output=len(ids) > 1) for run_id in ids]
        ended = [run for run in before if run.ended]
        if ended and len(ids) == 1:
            raise ConflictError(f"run {session.short(ids[0])} has ended already: {ended[0].state}", code="AF-RUN-ENDED")
        runs: list[Run] = []
        for run in before:
            if not run.ended:
                follower = await observe(session, run.root_id)
                await session.engine.cancel(run.id, force=force)
                if not broken:
                    await carry_on(session, follower)
                run = await session.engine.get(run.id)
                if console.mode == "text":
                    console.result(f"{session.short(run.id)} {run.state if run.ended else 'is being canceled'}")
                    if run.state == "canceled" and run.message:
                        console.say(f"! {run.message}")
            elif console.mode == "text":
                console.say(f"{session.short(run.id)} has ended already: {run.state}")
            runs.append(run)
        if console.mode != "text":
            console.data({"runs": [run_data(run) for run in runs]})
        return 0

    return drive(console, project, work, host="none" if broken else "own")


def pause(common: Common, wanted: str) -> int:
    """Pause a run."""
    console = common.console()
    project = find_project(common, config="wanted")

    async def work(session: Session) -> int:
        run = await _open_run(session, wanted)
        follower = await observe(session, run.root_id)
        await session.engine.pause(run.id)
        await carry_on(session, follower, tell=False)
        run = await session.engine.get(run.id)
        _tell(
            session,
            run,
            f"paused {session.short(run.id)}; go on: {session.command(f'runs unpause {session.short(run.id)}')}",
        )
        return 0

    return drive(console, project, work)


def unpause(common: Common, wanted: str) -> int:
    """Let a paused run go on."""
    console = common.console()
    project = find_project(common, config="wanted")

    async def work(session: Session) -> int:
        run = await _open_run(session, wanted)
        if not run.paused:
            raise ConflictError(f"run {session.short(run.id)} isn't paused", code="AF-RUN-NOT-PAUSED")
        follower = await observe(session, run.root_id)
        run = await session.engine.unpause(run.id)
        if console.mode == "text":
            console.result(f"run {session.short(run.id)} goes on")
        run = await carry_on(session, follower)
        if console.mode != "text":
            console.data(run_data(run))
        return 0

    return drive(console, project, work)


async def _open_run(session: Session, wanted: str) -> Run:
    run = await session.engine.get(await session.engine.find(wanted), output=False)
    await session.learn([run.id], "run")
    if run.ended:
        raise ConflictError(f"run {session.short(run.id)} has ended already: {run.state}", code="AF-RUN-ENDED")
    return run


def _tell(session: Session, run: Run, text: str) -> None:
    if session.console.mode != "text":
        session.console.data(run_data(run))
    else:
        session.console.result(text)


def purge(common: Common, older_than: str, names: Sequence[str], *, yes: bool) -> int:
    """Delete runs that ended long ago."""
    console = common.console()
    age = read_timeout(older_than) or 0.0
    states = states_of(names or sorted(TERMINAL))
    open_ones = [state for state in states if state not in TERMINAL]
    if open_ones:
        raise usage(f"runs in state \"{open_ones[0]}\" haven't ended and can't be deleted")
    if not yes and not console.asks:
        raise usage("deleting runs needs a yes", "the same command with --yes")
    project = find_project(common, config="none")
    if not exists(project):
        _deleted(console, 0)
        return 0

    async def work(session: Session) -> int:
        total = await session.engine.store.count_runs(RunQuery(states=states))
        question = f"Delete runs that ended more than {older_than} ago ({plural(total, 'run')} ended in all)?"
        if not yes and not await yes_or_no(console, question):
            console.say("nothing was deleted")
            return 0
        count = await session.engine.purge(age, states_of(states))
        console.data({"deleted": count}) if console.mode != "text" else console.result(
            f"deleted {plural(count, 'run')}"
        )
        return 0

    return drive(console, project, work, host="none")


def _deleted(console: Console, count: int) -> None:
    if console.mode != "text":
        console.data({"deleted": count})
    else:
        console.result(f"deleted {plural(count, 'run')}")
