"""`waits answer` and `publish`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from agentflow.cli.actions.change import carried, carry_on, observe, takes_over
from agentflow.cli.actions.waits import OPEN, find_wait
from agentflow.cli.agents import elsewhere
from agentflow.cli.ask import Form, Left
from agentflow.cli.console import printable
from agentflow.cli.documents import wait_data
from agentflow.cli.errors import error_lines, tell_lines
from agentflow.cli.format import compact, one_line, plural, rough
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project
from agentflow.cli.session import Session, drive
from agentflow.cli.values import assignments, document, read_timeout, usage
from agentflow.cli.wait_texts import wait_command, wait_head, who
from agentflow.codes import door
from agentflow.data import is_object
from agentflow.definition.plain_schema import masked
from agentflow.engine import Answer, Decline, ToolFailure, WaitView
from agentflow.errors import ConflictError, InputError
from agentflow.ids import new_id
from agentflow.principal import Principal
from agentflow.steps.unset import UNSET


@dataclass(frozen=True, slots=True)
class Reply:
    """What `waits answer` was asked."""

    wait: str
    sets: tuple[str, ...] = ()
    data: str | None = None
    decline: str | None = None
    fail: str | None = None
    detach: bool = False
    timeout: str | None = None

    @property
    def given(self) -> bool:
        """Whether the command line holds an answer."""
        return bool(self.sets) or any(part is not None for part in (self.data, self.decline, self.fail))


def answer(common: Common, wanted: Reply) -> int:
    """Answer a wait, and carry its run on where no process does."""
    console = common.console()
    if sum(part is not None for part in (wanted.data, wanted.decline, wanted.fail, wanted.sets or None)) > 1:
        raise usage("one answer at a time: --set, --data, --decline or --fail")
    project = find_project(common, config="none" if wanted.detach else "wanted")
    timeout = read_timeout(wanted.timeout)

    async def work(session: Session) -> int:
        view = await find_wait(session.desk, wanted.wait)
        short = session.short(view.id)
        if not wanted.given and not console.asks:
            tell_lines(console, _how(session, view))
            return door("AF-WAIT-OPEN").exit_code
        follower = await observe(session, view.root_id)
        follower.mine.add(view.id)
        while True:
            reply = _reply(view, wanted) if wanted.given else await _ask(session, view)
            if reply is None:
                console.tell(f"The wait is still open: {session.command(f'waits answer {short}')}")
                return door("AF-WAIT-OPEN").exit_code
            session.allow(timeout)
            try:
                with session.in_time():
                    done = await session.engine.resume(view.id, reply, door="cli", message_id=new_id())
                break
            except InputError as error:
                problem = _invalid(session, error, view)
                if wanted.given:
                    raise problem from None
                tell_lines(console, error_lines(problem))
            except ConflictError as error:
                raise await _conflict(session, view, error) from None
        here = False
        try:
            here = not wanted.detach and await takes_over(session, view.root_id)
        finally:  # whatever becomes of the run: the answer is saved
            if console.mode == "text":
                said = f"{_verb(reply)} {short}" if view.state in OPEN else _already(session, done)
                console.result(f"{said}. {await _goes_on(session, view.root_id, here=here)}")
        if here:
            await carried(session, follower)
        if console.mode != "text":
            console.data(wait_data(done))
        return 0

    return drive(console, project, work, host="none" if wanted.detach else "own", kind="wait")


def _verb(reply: Answer | Decline | ToolFailure) -> str:
    return "answered" if isinstance(reply, Answer) else "declined" if isinstance(reply, Decline) else "failed"


def _reply(view: WaitView, wanted: Reply) -> Answer | Decline | ToolFailure:
    if wanted.decline is not None:
        return Decline(wanted.decline)
    if wanted.fail is not None:
        if view.kind != "tool":
            raise usage("--fail is for waits of tools", "--decline refuses any wait")
        return ToolFailure(wanted.fail)
    if wanted.data is not None:
        return Answer(document(wanted.data, "--data"))
    value: Any = assignments(wanted.sets, view.schema, "--set")
    if view.has_default and is_object(view.default):
        value = {**view.default, **value}
    return Answer(value)


async def _ask(session: Session, view: WaitView) -> Answer | None:
    for line in wait_head(view):
        session.console.say(line)
    try:
        return Answer(await Form(session.console, view.schema, view.default if view.has_default else UNSET).fill())
    except Left:
        return None


def _already(session: Session, view: WaitView) -> str:
    """Say who had given the same answer before."""
    ago = f" {rough(time.time() - view.answered_at)} ago" if view.answered_at is not None else ""
    return f"{session.short(view.id)} had this answer already, given{ago} by {who(view.by, view.door)}"


async def _goes_on(session: Session, run_id: str, *, here: bool) -> str:
    """Say what becomes of a run whose wait has its answer."""
    run, short = await session.engine.get(run_id, output=False), session.short(run_id)
    if run.paused:
        return f"Run {short} is paused; go on: {session.command(f'runs unpause {short}')}"
    if here:
        return f"Run {short} goes on here"
    if run.ended:
        return f"Run {short} has ended: {run.state}"
    if foreign := elsewhere(session.desk, run):
        return f"Of run {short}: {foreign}"
    return f"Run {short} goes on: {session.command(f'runs watch {short}')}"


def _how(session: Session, view: WaitView) -> list[str]:
    lines = ["The wait is open, and nobody can be asked here: this isn't a terminal."]
    step = f'  step:  {view.step}  "{one_line(view.message, 100)}"'
    read = session.command(f"waits answer {session.short(view.id)} --data -")
    hints = [f"  hint:  {wait_command(session.desk, view)}", f"  hint:  {read}  reads JSON from stdin"]
    return printable([*lines, step, *hints])


def _invalid(session: Session, error: InputError, view: WaitView) -> InputError:
    """Tell how to see what a wait asks, where the engine's error doesn't."""
    if error.code != "AF-WAIT-INVALID":
        return error
    hint = f"{session.command(f'waits show {session.short(view.id)}')} prints the schema and an example answer"
    if view.connection is not None:  # no answer fits
        hint = f"{session.command(f'waits open {session.short(view.id)}')} signs in; --decline refuses"
    return InputError(error.what, code=error.code, why=error.why, hint=hint, data=error.data)


async def _conflict(session: Session, view: WaitView, error: ConflictError) -> ConflictError:
    """Say who was first, when, and with what."""
    now = await find_wait(session.desk, view.id)
    short = session.short(view.id)
    if now.answered_at is None or now.answer is None or now.state in OPEN:
        return ConflictError(error.what, code=error.code, why=error.why, hint=error.hint, data=error.data)
    by = who(now.by, now.door)
    value = now.answer.get("value") if is_object(now.answer) and "value" in now.answer else now.answer
    what = (
        f"{short} was answered {rough(time.time() - now.answered_at)} ago by {by}: {compact(masked(now.schema, value))}"
    )
    return ConflictError(what, code="AF-WAIT-CONFLICT", data=error.data)


def publish(common: Common, topic: str, data: str, event_id: str | None, *, detach: bool) -> int:
    """Publish an event, and carry the runs on that waited for it."""
    console = common.console()
    value = document(data, "--data")
    project = find_project(common, config="none" if detach else "wanted")

    async def work(session: Session) -> int:
        before = [view for view in await session.engine.waits(principal=Principal("local")) if view.kind == "event"]
        roots = dict.fromkeys(view.root_id for view in before)
        followers = {} if detach else {root: await observe(session, root) for root in roots}
        count = await session.engine.publish(topic, value, id=event_id)
        still = {view.id for view in await session.engine.waits()}
        moved = list(dict.fromkeys(view.root_id for view in before if view.id not in still))
        await session.learn(moved, "run")
        if console.mode == "text":
            console.result(f"published {topic}: {plural(count, 'wait')} answered")
        for run_id in [] if detach else moved:
            await carry_on(session, followers[run_id])
        if console.mode != "text":
            console.data({"delivered": count, "runs": moved})
        return 0

    return drive(console, project, work, host="none" if detach else "own", makes=True)
