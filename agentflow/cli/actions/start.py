"""`run` and `runs watch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.cli.again import retry_command, retry_plan
from agentflow.cli.agents import elsewhere
from agentflow.cli.answers import check_answers, read_answers
from agentflow.cli.choosing import ask_input, choose
from agentflow.cli.console import Console, printable
from agentflow.cli.desk import Project
from agentflow.cli.documents import outcome
from agentflow.cli.errors import failure_lines, tell_lines
from agentflow.cli.examples import run_command
from agentflow.cli.follow import Ending, Follower, Manner
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project, no_config
from agentflow.cli.refusals import refused_data
from agentflow.cli.session import Session, drive
from agentflow.cli.targets import pick, split_target
from agentflow.cli.values import assignments, document, pairs, read_text, read_timeout, usage
from agentflow.cli.verdict import tell_broken, tell_warnings
from agentflow.cli.wait_texts import NOT_KEPT, open_lines
from agentflow.codes import door
from agentflow.data import is_object
from agentflow.definition.models import Workflow
from agentflow.engine.models import RetryPlan, Run
from agentflow.errors import ConflictError, InputError, Place

if TYPE_CHECKING:
    from agentflow.config import Config


@dataclass(frozen=True, slots=True)
class Start:
    """What `run` was asked."""

    workflow: str | None
    inputs: tuple[str, ...] = ()
    input_json: str | None = None
    entry_point: str | None = None
    answers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    key: str | None = None
    timeout: str | None = None
    wait: bool = False
    ask: bool = True
    cancel_on_interrupt: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """What `runs watch` was asked."""

    run: str
    answers: tuple[str, ...] = ()
    timeout: str | None = None
    wait: bool = True
    ask: bool = True
    cancel_on_interrupt: bool = False
    resume: bool = False
    """Let it go on where it is paused; refuse it where there is nothing to go on with."""


def _manner(wanted: Start | Watch) -> Manner:
    """Return how a run is followed."""
    return Manner(
        wait=wanted.wait,
        ask=wanted.ask,
        answers=read_answers(wanted.answers),
        cancel_on_interrupt=wanted.cancel_on_interrupt,
    )


def read_input(inputs: Sequence[str], whole: str | None, workflow: Workflow | None) -> Any:
    """Put the input together from `--input` and `--input-json`.

    Raises:
        InputError: it can't be read.
    """
    files = [item for item in inputs if item.startswith("@")]
    pairs = [item for item in inputs if not item.startswith("@")]
    values: Any = document(whole, "--input-json") if whole is not None else {}
    for file in files:
        more = document(file, "--input")
        values = {**values, **more} if is_object(values) and is_object(more) else more
    if not pairs:
        return values
    if not is_object(values):
        raise usage("--input key=value needs an object; this input isn't one")
    return {**values, **assignments(pairs, workflow.input_schema if workflow else None, "--input")}


def start(common: Common, wanted: Start) -> int:
    """Start a run and follow it."""
    console = common.console()
    file, name = split_target(wanted.workflow) if wanted.workflow is not None else (None, None)
    project, config = _needed(common, file)
    workflow = pick(config, name, file) if wanted.workflow is not None else choose(console, config, project.flags)
    if file is not None and not common.config:
        project = Project(project.store, config, f" -f {file}{project.flags}")
    data = _input(console, wanted, workflow) if workflow is not None else None
    if workflow is None or data is None:
        console.tell("Nothing was started.")
        return 130
    manner = _manner(wanted)
    timeout = read_timeout(wanted.timeout)
    labels = pairs(wanted.labels, "--label")
    check_answers(manner.answers, workflow, config.workflows)
    flags = f" {file}" if file else f" -f {common.config}" if common.config else ""
    tell_broken(console, config, flags)
    tell_warnings(console, config, workflow.id, flags)

    async def work(session: Session) -> int:
        session.allow(timeout)
        began = session.engine.core.env.now()
        with session.in_time():
            run = await _begun(session, workflow, data, wanted, labels)
        await session.learn([run.id], "run")
        gap = "  " if console.err_terminal else " "
        said = "started" if run.created_at >= began or wanted.key is None else f"known already, {run.state}"
        console.say(gap.join([f"run {session.short(run.id)}", run.workflow, said]))
        needs = await session.engine.preflight(workflow.id)
        for line in needs.lines() if needs.lacks else ():
            console.say(line if line.startswith("  ") else f"! {line}")
        if console.err_terminal:
            console.say()
        with session.in_time():
            ours = run.ended or await session.engine.adopt(run.root_id)
        return await follow(session, run.id, manner, ours=ours)

    return drive(console, project, work, makes=True)


async def _begun(session: Session, workflow: Workflow, data: Any, wanted: Start, labels: Mapping[str, str]) -> Run:
    """Start the run; a wrong input is told with a command that would start one."""
    try:
        return await session.engine.start(
            workflow.id, data, entry_point=wanted.entry_point, idempotency_key=wanted.key, labels=labels, door="cli"
        )
    except InputError as error:
        if error.hint or error.code != "AF-INPUT-INVALID":
            raise
        hint = run_command(workflow.id, workflow.input_schema)
        raise InputError(error.what, code=error.code, why=error.why, hint=f"such as: {hint}", data=error.data) from None


def _input(console: Console, wanted: Start, workflow: Workflow) -> Any:
    """Return the input that a command line says, or that somebody gives who said no workflow either; None: he left."""
    said = wanted.inputs or wanted.input_json is not None
    if wanted.workflow is None and not said and console.asks:
        return ask_input(console, workflow)
    return read_input(wanted.inputs, wanted.input_json, workflow)


def _needed(common: Common, file: str | None) -> tuple[Project, Config]:
    project = find_project(common, file=file, config="needed")
    if project.config is None:
        raise no_config(file)
    return project, project.config


def watch(common: Common, wanted: Watch) -> int:
    """Follow a run, carrying it on where nobody does."""
    console = common.console()
    project = find_project(common, config="wanted")
    manner = _manner(wanted)
    timeout = read_timeout(wanted.timeout)

    async def work(session: Session) -> int:
        session.allow(timeout)
        run = await session.engine.get(await session.engine.find(wanted.run))
        run_id = run.root_id
        if wanted.resume:
            run = await _resumed(session, run)
        await known_answers(session, run_id, manner.answers)
        await session.learn([run_id], "run")
        gap = "  " if console.err_terminal else " "
        console.say(gap.join([f"run {session.short(run_id)}", run.workflow, run.state]))
        ours = False
        if not run.ended:
            with session.in_time():
                ours = await session.engine.adopt(run_id)
            if ours and run.state == "working":
                console.say("! no process runs it: going on here")
            elif foreign := elsewhere(session.desk, run):
                console.say(f"! {foreign}")
            if run.paused and not wanted.resume:
                console.say(f"! it is paused; go on: {session.command(f'runs unpause {session.short(run_id)}')}")
        if console.err_terminal:
            console.say()
        return await follow(session, run_id, manner, ours=ours)

    return drive(console, project, work)


async def _resumed(session: Session, run: Run) -> Run:
    """Let a run go on that is paused; refuse one that has ended."""
    await session.learn([run.root_id], "run")
    short = session.short(run.root_id)
    if run.ended:
        verb = "show" if run.state == "completed" else "retry"
        hint = session.command(f"runs {verb} {short}")
        raise ConflictError(f"run {short} has ended already: {run.state}", code="AF-RUN-ENDED", hint=hint)
    return await session.engine.unpause(run.root_id) if run.paused else run


async def known_answers(session: Session, run_id: str, answers: Mapping[str, Any]) -> None:
    """Refuse answers for steps that a run doesn't have."""
    if answers:
        run = await session.engine.get(run_id, output=False)
        raw = await session.engine.store.get_definition(run.definition)
        workflow = session.engine.core.env.catalog.learn(run.definition, raw).workflow
        check_answers(answers, workflow, session.project.config.workflows if session.project.config else {})


async def follow(session: Session, run_id: str, manner: Manner, *, ours: bool) -> int:
    """Follow a run and write its result; returns the exit code."""
    follower = Follower(session, run_id, manner, ours=ours)
    how = await follower.follow()
    run = await session.engine.get(run_id)
    return await finish(session, follower, run, how)


async def finish(session: Session, follower: Follower, run: Run, how: Ending) -> int:
    """Write how it ended: result to stdout, talk to stderr."""
    console = session.console
    views = [] if run.ended else await follower.open_waits()
    await session.learn([view.id for view in views], "wait")
    if console.mode != "text":
        document = outcome(run, views)
        core = session.engine.core
        if not run.ended and core.health.refused is not None:
            document["error"] = refused_data(core.health.refused, core.transactor.unsaved())
        if console.mode == "jsonl":
            console.line({"type": "result", **document})
        else:
            console.data(document)
        return code_of(run, how)
    if not run.ended:
        saved = session.engine.core.health.refused is None
        leave(session, follower, how, open_lines(session.desk, views, terminal=console.asks, saved=saved))
        return code_of(run, how)
    if run.failure is not None and run.state in ("failed", "rejected"):
        tell_lines(console, run_failure(session, follower, run, await retry_plan(session, run)))
    if console.err_terminal and run.failure is None:
        console.say()
    console.say(follower.last_line())
    if run.state == "completed":
        console.line(run.output)
    return code_of(run, how)


def leave(session: Session, follower: Follower, how: Ending, parked: Sequence[str]) -> None:
    """Say how a run goes on that hasn't ended."""
    short = session.short(follower.run_id)
    if not session.project.lasts and how != "parked":
        session.console.tell(f"{'Time is over' if how == 'timeout' else 'Left the run'}. {NOT_KEPT}")
    elif how == "timeout":
        saved = "is saved; it " if session.engine.core.health.refused is None else ""
        session.console.tell(f"Time is over. The run {saved}goes on with: {session.command(f'runs watch {short}')}")
    elif how == "left":
        for line in follower.waiting_text():
            session.console.tell(line)
    else:
        tell_lines(session.console, printable(parked))


def code_of(run: Run, how: Ending) -> int:
    """Return the exit code of a followed run."""
    if how == "timeout" and not run.ended:
        return door("AF-TIME-OVER").exit_code
    if not run.ended:
        return door("AF-WAIT-OPEN").exit_code
    return {"completed": 0, "canceled": door("AF-RUN-CANCELED").exit_code}.get(run.state, 1)


def run_failure(session: Session, follower: Follower, run: Run, plan: RetryPlan | None) -> list[str]:
    """Return the lines that say why a run failed, with the place in the file where it is known."""
    failure = run.failure
    if failure is None:
        return []
    outside = failure.retryable and failure.kind in ("http", "network")
    when = "when the service is back" if outside else "to try again"
    retry = f"{when}: {retry_command(session.desk, run, plan)}" if plan is not None else None
    place, text = step_place(session, run, failure.step)
    row = follower.tree.rows.get((run.id, failure.step or ""))
    label = None
    if row is not None and len(row.tried_at) > 1:
        from agentflow.cli.format import clock_time  # noqa: PLC0415  only here

        label = f"attempts at {', '.join(clock_time(at) for at in row.tried_at[-5:])}"
    return failure_lines(failure, place=place, text=text, label=label, retry=retry)


def step_place(session: Session, run: Run, step: str | None) -> tuple[Place | None, str | None]:
    """Return where a run's step stands in the config, if that still holds the run's definition."""
    config = session.project.config
    current = session.engine.core.env.find_workflow(run.workflow, run.agent)
    if config is None or step is None or current is None or current.digest != run.definition:
        return None, None
    bare = "/".join(part.partition("[")[0] if not part.startswith("case[") else part for part in step.split("/"))
    place = config.place(run.workflow, bare, "id") or config.place(run.workflow, bare)
    if place is None:
        return None, None
    found = config.documents.get(place.file)
    return (place, found.text) if found is not None else (place, read_text(place.file))
