"""To a principal what is another's looks like what isn't there, whatever it asks of the engine."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import anyio
import pytest

from agentflow.credentials import Credentials, NotConnected
from agentflow.engine import Answer, Decline, Engine
from agentflow.errors import AgentflowError, NotFoundError
from agentflow.ids import new_id
from agentflow.principal import LOCAL, SHARE_EVENTS, Principal
from agentflow.steps import Workflow, wait_for_event, wait_for_input
from agentflow.store.rows import RunQuery
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

ANN = Principal("ann", "acme")
FOREIGN = (
    Principal("bob", "acme"),
    Principal("ann", "other"),
    Principal("ann"),
    Principal("bob", "acme", groups={"g"}),
)
OF_THE_PROCESS = {"open", "register", "hosted", "health", "shutdown"}
"""Methods that aren't asked by a door: who has the engine as an object has its process."""
Call = Callable[[Engine, str, Principal], Awaitable[Any]]


async def _first(engine: Engine, name: str, who: Principal) -> Any:
    async for event in engine.subscribe(name, principal=who):
        return event
    return None


OF_A_RUN: dict[str, Call] = {
    "get": lambda e, name, who: e.get(name, principal=who),
    "get without output": lambda e, name, who: e.get(name, output=False, principal=who),
    "wait": lambda e, name, who: e.wait(name, principal=who),
    "wait a while": lambda e, name, who: e.wait(name, 1.0, principal=who),
    "subscribe": _first,
    "steps": lambda e, name, who: e.steps(name, principal=who),
    "result": lambda e, name, who: e.result(name, "ask", principal=who),
    "artifacts": lambda e, name, who: e.artifacts(name, principal=who),
    "history": lambda e, name, who: e.history(name, principal=who),
    "task_log": lambda e, name, who: e.task_log(name, principal=who),
    "waits": lambda e, name, who: e.waits(name, principal=who),
    "resume": lambda e, name, who: e.resume(name, Answer(1), principal=who),
    "resume by a decline": lambda e, name, who: e.resume(name, Decline("no"), principal=who),
    "cancel": lambda e, name, who: e.cancel(name, principal=who),
    "cancel by force": lambda e, name, who: e.cancel(name, force=True, principal=who),
    "pause": lambda e, name, who: e.pause(name, principal=who),
    "unpause": lambda e, name, who: e.unpause(name, principal=who),
    "retry": lambda e, name, who: e.retry(name, principal=who),
    "retry without doing it": lambda e, name, who: e.retry(name, dry_run=True, principal=who),
    "retry from a step": lambda e, name, who: e.retry(name, "ask", principal=who),
    "adopt": lambda e, name, who: e.adopt(name, principal=who),
}
OF_A_WAIT: dict[str, Call] = {
    "history": lambda e, name, who: e.history(name, principal=who),
    "task_log": lambda e, name, who: e.task_log(name, principal=who),
    "resume": lambda e, name, who: e.resume(name, Answer(1), principal=who),
    "resume by a decline": lambda e, name, who: e.resume(name, Decline("no"), principal=who),
    "cancel": lambda e, name, who: e.cancel(name, principal=who),
}
BY_ITSELF = {"start", "list", "find", "find_wait", "preflight", "publish", "purge", "tasks"}
"""Methods that name no run or wait by its whole id; each has a test of its own below."""


def _methods() -> dict[str, Any]:
    return {name: method for name, method in inspect.getmembers(Engine, callable) if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(_methods()))
def test_every_method_of_the_facade_takes_a_principal(name: str) -> None:
    if name in OF_THE_PROCESS:
        return
    parameter = inspect.signature(_methods()[name]).parameters.get("principal")
    assert parameter is not None, f"Engine.{name} asks nobody who asks"
    assert (parameter.default, parameter.kind) == (LOCAL, inspect.Parameter.KEYWORD_ONLY)


def test_every_method_of_the_facade_is_tried_by_a_foreign_principal() -> None:
    tried = {name.partition(" ")[0] for name in (*OF_A_RUN, *OF_A_WAIT)} | BY_ITSELF | OF_THE_PROCESS
    assert tried == set(_methods())


def _asking(**more: Any) -> Workflow:
    return Workflow(id="main", steps=(wait_for_input("ask", message="?", **more),))


async def _told(call: Call, engine: Engine, name: str, who: Principal) -> tuple[str, str | None, str | None, str]:
    with pytest.raises(AgentflowError) as caught:
        await call(engine, name, who)
    error = caught.value
    assert isinstance(error, NotFoundError)
    return str(error).replace(name, "ID"), error.code, error.hint, str(error.data).replace(name, "ID")


@pytest.mark.parametrize("who", FOREIGN, ids=lambda who: f"{who.owner}-{who.tenant}")
@pytest.mark.parametrize("call", OF_A_RUN)
async def test_a_foreign_run_is_told_like_an_unknown_one(lab: Lab, call: str, who: Principal) -> None:
    async with lab.open(_asking()) as engine:
        run = await engine.wait((await engine.start("main", principal=ANN)).id)
        told = await _told(OF_A_RUN[call], engine, run.id, who)
        assert told == await _told(OF_A_RUN[call], engine, new_id(), who)
        assert await engine.get(run.id) == run


@pytest.mark.parametrize("who", FOREIGN, ids=lambda who: f"{who.owner}-{who.tenant}")
@pytest.mark.parametrize("call", OF_A_WAIT)
async def test_a_foreign_wait_is_told_like_an_unknown_one(lab: Lab, call: str, who: Principal) -> None:
    async with lab.open(_asking()) as engine:
        run = await engine.wait((await engine.start("main", principal=ANN)).id)
        [wait] = await engine.waits()
        told = await _told(OF_A_WAIT[call], engine, wait.id, who)
        assert told == await _told(OF_A_WAIT[call], engine, new_id(), who)
        assert await engine.get(run.id) == run


@pytest.mark.parametrize("who", FOREIGN, ids=lambda who: f"{who.owner}-{who.tenant}")
async def test_lists_and_endings_show_ones_own_only(lab: Lab, who: Principal) -> None:
    async with lab.open(_asking()) as engine:
        run = await engine.wait((await engine.start("main", principal=ANN)).id)
        [wait] = await engine.waits(principal=ANN)
        assert await engine.list(principal=who) == await engine.waits(principal=who) == []
        assert (await engine.tasks(principal=who)).total == 0
        assert [task.kind for task in (await engine.tasks(principal=ANN)).tasks] == ["input", "run"]
        assert await engine.list(RunQuery(owner="ann", tenant="acme"), principal=who) == []
        for ending in (run.id[-8:], "@last"):
            assert await engine.find(ending, principal=ANN) == run.id
            with pytest.raises(NotFoundError):
                await engine.find(ending, principal=who)
        assert await engine.find_wait(wait.id[-8:], principal=ANN) == wait.id
        with pytest.raises(NotFoundError):
            await engine.find_wait(wait.id[-8:], principal=who)
        await engine.cancel(run.id)
        assert await engine.purge(-1.0, principal=who) == 0
        assert [one.id for one in await engine.list(principal=ANN)] == [run.id]
        assert await engine.purge(-1.0, principal=ANN) == 1


async def test_ones_own_run_and_wait_are_found_by_one_character_among_many_of_others(lab: Lab) -> None:
    numbers = itertools.count()
    async with lab.open(_asking(), ids=lambda: f"{next(numbers):025}x") as engine:
        run = await engine.wait((await engine.start("main", principal=ANN)).id)
        [wait] = await engine.waits(principal=ANN)
        for _ in range(60):
            await engine.wait((await engine.start("main", principal=FOREIGN[0])).id)
        assert await engine.find("x", principal=ANN) == run.id
        assert await engine.find_wait("x", principal=ANN) == wait.id


async def test_one_who_starts_with_anothers_idempotency_key_gets_a_run_of_ones_own(lab: Lab) -> None:
    async with lab.open(_asking()) as engine:
        ids = {(await engine.start("main", principal=who, idempotency_key="k")).id for who in (ANN, *FOREIGN, ANN)}
        assert len(ids) == 4
        assert {(run.owner, run.tenant) for run in await engine.list(principal=ANN)} == {("ann", "acme")}


async def test_an_assignee_sees_and_answers_the_wait_and_nothing_else(lab: Lab) -> None:
    clerk, lawyer = Principal("carl", "acme"), Principal("lea", "acme", groups={"law"})
    async with lab.open(_asking(assignees=["carl", "group:law"])) as engine:
        for who in (clerk, lawyer):
            run = await engine.wait((await engine.start("main", principal=ANN)).id)
            [wait] = await engine.waits(principal=who)
            assert await engine.list(principal=who) == []
            for call in ("get", "cancel", "waits", "resume", "retry", "subscribe"):
                with pytest.raises(NotFoundError):
                    await OF_A_RUN[call](engine, run.id, who)
            with pytest.raises(NotFoundError):
                await engine.cancel(wait.id, principal=who)
            answered = await engine.resume(wait.id, Answer(7), principal=who)
            assert (answered.by, answered.state) == (who.owner, "completed")
            assert (await engine.wait(run.id)).output == 7
            same = await engine.resume(wait.id, Answer(7), principal=who)
            assert same.answered_at == answered.answered_at


async def test_an_event_reaches_other_owners_where_its_publisher_may_share_and_their_wait_takes_it(lab: Lab) -> None:
    takes = Workflow(id="takes", steps=(wait_for_event("e", topic="paid", shared=True),))
    own = Workflow(id="own", steps=(wait_for_event("e", topic="paid"),))
    sharer, bob = Principal("sam", "acme", scopes={SHARE_EVENTS}), Principal("bob", "acme")
    async with lab.open(takes, own) as engine:
        runs = [await engine.start(name, principal=who) for name in ("takes", "own") for who in (ANN, Principal("ann"))]
        for run in runs:
            await engine.wait(run.id)
        assert await engine.publish("paid", 1, principal=bob) == 0
        assert await engine.publish("paid", 2, principal=sharer) == 1
        with anyio.fail_after(60):
            assert (await engine.wait(runs[0].id)).output == 2
        assert [(await engine.get(run.id)).state for run in runs[1:]] == ["input-required"] * 3
        assert await engine.publish("paid", 3, principal=ANN) == 1


async def test_a_wait_that_opens_later_takes_what_was_shared_before_it(lab: Lab) -> None:
    takes = Workflow(
        id="takes", steps=(wait_for_input("go", message="?"), wait_for_event("e", topic="paid", shared=True))
    )
    async with lab.open(takes) as engine:
        run = await engine.wait((await engine.start("takes", principal=ANN)).id)
        await engine.publish("paid", "bob's", principal=Principal("bob", "acme"))
        await engine.publish("paid", "shared", principal=Principal("sam", "acme", scopes={SHARE_EVENTS}))
        await engine.publish("paid", "own", principal=ANN)
        await engine.resume(run.id, Answer(1), principal=ANN)
        assert (await engine.wait(run.id)).output == "shared"


async def test_a_wait_takes_shared_events_of_before_the_run_where_it_says_since(lab: Lab) -> None:
    takes = Workflow(id="takes", steps=(wait_for_event("e", topic="paid", since="1h", shared=True),))
    async with lab.open(takes) as engine:
        await engine.publish("paid", "shared", principal=Principal("sam", "acme", scopes={SHARE_EVENTS}))
        run = await engine.start("takes", principal=ANN)
        assert (await engine.wait(run.id)).output == "shared"


async def test_missing_is_told_of_a_principals_own_connections(lab: Lab) -> None:
    class _Google:
        async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
            if principal.owner != "ann":
                raise NotConnected(name, "not connected", scopes=scopes)
            return Credentials(name)

    flow = Workflow(id="main", steps=(wait_for_input("ask", message="?", requires=["google:drive"]),))
    async with lab.open(flow, connections={"google": _Google()}) as engine:
        assert (await engine.preflight("main", principal=ANN)).missing == ()
        assert (await engine.preflight("main", principal=Principal("bob", "acme"))).missing == ("google:drive",)
