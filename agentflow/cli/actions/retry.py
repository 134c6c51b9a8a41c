"""`runs retry`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentflow.cli.actions.start import follow, known_answers, read_input
from agentflow.cli.agents import elsewhere
from agentflow.cli.answers import check_answers, read_answers
from agentflow.cli.ask import yes_or_no
from agentflow.cli.follow import Manner
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project
from agentflow.cli.session import Session, drive
from agentflow.cli.values import read_timeout, usage
from agentflow.data import is_object
from agentflow.engine import RetryPart, RetryPlan, Run
from agentflow.errors import Defect
from agentflow.steps.unset import UNSET

NAMED = 8


@dataclass(frozen=True, slots=True)
class Retry:
    """What `runs retry` was asked."""

    run: str
    start: str | None = None
    inputs: tuple[str, ...] = ()
    input_json: str | None = None
    new_definition: bool = False
    dry_run: bool = False
    yes: bool = False
    answers: tuple[str, ...] = ()
    timeout: str | None = None


def retry(common: Common, wanted: Retry) -> int:
    """Start a new run that keeps what an old one has done; tells first what that means."""
    console = common.console()
    project = find_project(common, config="wanted")
    manner = Manner(answers=read_answers(wanted.answers))
    timeout = read_timeout(wanted.timeout)

    async def work(session: Session) -> int:
        engine = session.engine
        run_id = await engine.find(wanted.run)
        await session.learn([run_id], "run")
        mended = wanted.new_definition
        if not mended:
            await known_answers(session, run_id, manner.answers)
        data = await _input(session, run_id, wanted)
        plan = await engine.retry(run_id, wanted.start, input=data, new_definition=mended, dry_run=True)
        if not isinstance(plan, RetryPlan):
            raise Defect("a dry run has started a run")
        if wanted.dry_run and console.mode != "text":
            console.data(asdict(plan))
            return 0
        run = await engine.get(run_id, output=False)
        current = engine.core.env.find_workflow(plan.workflow, run.agent)
        old = current is not None and current.digest != run.definition
        if mended and current is not None:
            check_answers(manner.answers, current.workflow, project.config.workflows if project.config else {})
        for line in preview(plan, old=old and not mended, asked=mended):
            (console.result if wanted.dry_run else console.say)(line)
        if wanted.dry_run:
            return 0
        if not wanted.yes:
            if not console.asks:
                raise usage("a retry needs a yes: nothing was started", "the same command with --yes")
            if not await yes_or_no(console, "Start it?"):
                console.say("nothing was started")
                return 0
        session.allow(timeout)
        with session.in_time():
            run = await engine.retry(run_id, wanted.start, input=data, new_definition=mended)
        if not isinstance(run, Run):
            raise Defect("a retry hasn't started a run")
        await session.learn([run.id], "run")
        gap = "  " if console.err_terminal else " "
        console.say(gap.join([f"run {session.short(run.id)}", run.workflow, "started"]))
        foreign = elsewhere(session.desk, run)
        if foreign:
            console.say(f"! {foreign}")
        return await follow(session, run.id, manner, ours=not foreign)

    return drive(console, project, work)


async def _input(session: Session, run_id: str, wanted: Retry) -> Any:
    if not wanted.inputs and wanted.input_json is None:
        return UNSET
    run = await session.engine.get(run_id, output=False)
    config = session.project.config
    workflow = config.workflows.get(run.workflow) if config is not None else None
    changed = read_input(wanted.inputs, wanted.input_json, workflow)
    if wanted.input_json is None and is_object(run.input) and is_object(changed):
        return {**run.input, **changed}
    return changed


def preview(plan: RetryPlan, *, old: bool = False, asked: bool = False) -> list[str]:
    """Return what a retry would do.

    Args:
        plan: the retry.
        old: whether it runs by a definition that the config doesn't have any more.
        asked: whether the config's definition was asked for.
    """
    start = f" from {plan.from_step}" if plan.from_step else ""
    by = " by the config's new definition" if plan.new_definition else ""
    lines = [f"retry {plan.workflow}{start}: a new run{by}"]
    lines += _named("keeps", plan.kept)
    lines += _named("runs again", plan.again)
    lines += [f"  {'kept in part':<22}{told_part(part)}" for part in plan.parts[:NAMED]]
    if len(plan.parts) > NAMED:
        lines.append(f"  {'':<22}and {len(plan.parts) - NAMED} more")
    lines += _named("asks again", plan.asked)
    lines += _named("new or changed", plan.changed)
    lines += _named("! result is damaged", plan.damaged)
    lines += _named("! has effects outside", plan.unsafe)
    if asked and not plan.new_definition:
        lines.append("  the config's definition is the one of the run")
    if old:
        told = "a retry keeps the definition of its run; --new-definition takes the new one"
        lines.append(f"  ! the config has changed since: {told}")
    return lines


def told_part(part: RetryPart) -> str:
    """Say how much of a step that holds others is kept."""
    again = f"again from {part.step}[{part.kept}] on" if part.again is None else f"{part.again} again"
    return f"{part.step}: {part.kept} kept, {again}"


def _named(title: str, addresses: Sequence[str]) -> list[str]:
    if not addresses:
        return []
    more = f" and {len(addresses) - NAMED} more" if len(addresses) > NAMED else ""
    return [f"  {title:<22}{plural(len(addresses), 'step')}: {', '.join(addresses[:NAMED])}{more}"]
