"""Steps that lack a connection wait until its owner has signed in, and go on by themselves."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Unpack

import anyio
import pytest

from agentflow.credentials import Credentials, NotConnected
from agentflow.definition.models import Requirement, Step
from agentflow.engine import Answer, Decline, Engine, Run, WaitView
from agentflow.errors import InputError
from agentflow.principal import LOCAL, Principal
from agentflow.steps import agent_run, sequence, set_, wait_for_input
from agentflow.steps.building import Common, connection
from agentflow.steps.contract import AgentAsks, AgentTurn, Context, Wait
from agentflow.testing import FakeClock
from tests.engine.hands import eventually
from tests.engine.lab import LIMIT, Lab, until

pytestmark = pytest.mark.anyio

ANN, BOB = Principal("ann", "acme"), Principal("bob", "acme")
DRIVE = connection("google", "drive", permissions=["read"])


class Accounts:
    """A provider in code: who has signed in gets a token of his own."""

    def __init__(self, *owners: str, **lack: Any) -> None:
        self.owners = set(owners)
        self.lack = lack
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []
        self.fresh = True
        self.closed: set[str] = set()
        """Connections that nobody has."""

    async def credentials(self, name: str, principal: Principal, *, scopes: Collection[str] = ()) -> Credentials:
        self.asked.append((name, principal.owner, tuple(scopes)))
        if principal.owner not in self.owners or name in self.closed:
            raise NotConnected(name, "not connected", scopes=scopes, **self.lack)
        return Credentials(name, {"Authorization": f"token of {principal.owner}"}, value=f"token of {principal.owner}")

    async def rejected(self, name: str, principal: Principal, credentials: Credentials) -> Credentials:
        if self.fresh:
            return await self.credentials(name, principal)
        self.owners.discard(principal.owner)
        raise NotConnected(name, "revoked")


@asynccontextmanager
async def opened(lab: Lab, *steps: Step, accounts: Accounts, **options: Any) -> AsyncGenerator[Engine]:
    """Open an engine whose time stands still."""
    flow = lab.workflow(*steps, **options.pop("fields", {}))
    options = {"clock": FakeClock(auto=False), "connections": {"google": accounts}, **options}
    async with lab.open(flow, **options) as engine:
        yield engine


async def the_wait(engine: Engine, run_id: str, who: Principal = LOCAL) -> WaitView:
    await until(engine, run_id, "step_waiting")
    (found,) = await engine.waits(run_id, principal=who)
    return found


def token(lab: Lab, **common: Unpack[Common]) -> Step:
    async def fetch(ctx: Context) -> str:
        return (await ctx.credentials("google:drive")).value.replace("token of ", "")

    return lab.call("fetch", fetch, **{"requires": [DRIVE], **common})


async def test_a_step_without_its_connection_waits_unexecuted_and_goes_on_once_its_owner_has_signed_in(
    lab: Lab,
) -> None:
    accounts = Accounts()
    begun: list[int] = []

    def work() -> int:
        begun.append(1)
        return 7

    step = lab.call("fetch", work, requires=[DRIVE], at_most_once=True, timeout="10s")
    async with opened(lab, step, accounts=accounts) as engine:
        run = await engine.wait((await engine.start("main")).id)
        assert (run.state, begun) == ("auth-required", [])
        wait = await the_wait(engine, run.id)
        assert (wait.kind, wait.message) == ("auth", "Connect google:drive (read)")
        assert wait.details == {"connection": "google:drive", "scopes": ["read"], "reason": "not connected"}
        assert wait.expires_at == engine.core.env.now() + 7 * 24 * 3600
        accounts.owners.add("local")
        assert [each.id for each in await engine.connections.signed_in("google")] == [wait.id]
        assert (await engine.wait(run.id)).output == 7
        (row,) = await engine.steps(run.id)
        assert (row.attempt, row.tries, begun) == (1, 1, [1])


async def test_nobody_is_let_off_by_an_answer_and_who_has_not_signed_in_is_asked_again(lab: Lab) -> None:
    async with opened(lab, token(lab), accounts=Accounts()) as engine:
        run = await engine.start("main")
        wait = await the_wait(engine, run.id)
        with pytest.raises(InputError, match="no answer helps") as refused:
            await engine.resume(wait.id, Answer({"connected": "google:drive"}))
        assert refused.value.code == "AF-WAIT-INVALID"
        await engine.connections.signed_in("google:drive")

        async def asked_again() -> bool:
            return [each.id != wait.id for each in await engine.waits(run.id)] == [True]

        await eventually(asked_again)


async def test_who_declines_fails_the_step_which_is_never_tried_again(lab: Lab) -> None:
    async with opened(lab, token(lab, retry=3), accounts=Accounts()) as engine:
        run = await engine.start("main")
        await engine.resume((await the_wait(engine, run.id)).id, Decline("not mine"))
        done = await lab.finish(engine, run)
        failure = done.errors["fetch"]
        assert (done.state, failure.code, failure.retryable) == ("failed", "AF-AUTH-DECLINED", False)
        assert failure.message == "google:drive wasn't connected: that was declined: not mine"


async def test_a_wait_for_a_connection_that_nobody_ends_in_time_fails_its_step(lab: Lab) -> None:
    step, clock = token(lab, on_error="continue"), FakeClock(auto=False)
    async with opened(lab, step, set_("after", value=1), accounts=Accounts(patience=60.0), clock=clock) as engine:
        run = await engine.start("main")
        await the_wait(engine, run.id)
        clock.advance(61)
        await until(engine, run.id, "run_completed")
        failed = await until(engine, run.id, "step_failed")
        assert failed.data["error"]["code"] == "AF-AUTH-TIMEOUT"


@pytest.mark.parametrize("said", ["step", "connection"])
async def test_on_missing_fail_fails_the_step_and_says_what_is_missing(lab: Lab, said: str) -> None:
    need = Requirement(skill="google:drive", permissions=("read",), on_missing="fail" if said == "step" else "ask")
    accounts = Accounts(on_missing="fail" if said == "connection" else "ask")
    async with opened(lab, token(lab, requires=[need]), accounts=accounts) as engine:
        done = await lab.finish(engine, await engine.start("main"))
        failure = done.errors["fetch"]
        assert (failure.code, failure.message) == ("AF-SKILL-MISSING", "Missing skills: google:drive")
        assert failure.hint == "agentflow connections login google:drive"


async def test_one_owners_connection_is_never_used_for_the_run_of_another(lab: Lab) -> None:
    accounts = Accounts("ann")
    async with opened(lab, token(lab), accounts=accounts) as engine:
        hers = await engine.start("main", principal=ANN)
        assert (await engine.wait(hers.id, principal=ANN)).output == "ann"
        his = await engine.start("main", principal=BOB)
        assert (await engine.wait(his.id, principal=BOB)).state == "auth-required"
        assert await engine.connections.signed_in("google", principal=ANN) == []
        accounts.owners.add("bob")
        assert len(await engine.connections.signed_in("google", principal=BOB)) == 1
        assert (await engine.wait(his.id, principal=BOB)).output == "bob"


async def test_a_service_that_refuses_new_credentials_too_is_asked_for_again_after_a_sign_in(lab: Lab) -> None:
    accounts = Accounts("local")
    refusing = [True]

    async def call(ctx: Context) -> str:
        found = await ctx.credentials("google:drive")
        if refusing[0]:
            found = await ctx.credentials("google:drive", refused=found)
        return found.connection

    accounts.fresh = False
    async with opened(lab, lab.call("call", call), accounts=accounts) as engine:
        run = await engine.start("main")
        wait = await the_wait(engine, run.id)
        assert wait.message == "Connect google:drive again: it was revoked"
        refusing[0] = False
        accounts.owners.add("local")
        await engine.connections.signed_in("google:drive")
        assert (await engine.wait(run.id)).output == "google:drive"


async def test_what_a_step_had_before_it_waited_for_a_connection_is_not_lost(lab: Lab) -> None:
    accounts = Accounts("local")
    heard: list[Any] = []

    class Helper:
        async def run(self, turn: AgentTurn, ctx: Context) -> Any | AgentAsks:
            await ctx.credentials("google:mail")
            accounts.owners.clear()
            return AgentAsks(Wait("input", "Which?"), {"at": 1})

        async def answer(self, turn: AgentTurn, state: Any, answer: Any, ctx: Context) -> Any | AgentAsks:
            heard.append((state, answer))
            await ctx.credentials("google:mail")
            return f"{answer} it is"

    async with opened(lab, agent_run("a", agent="h"), accounts=accounts, agents={"h": Helper()}) as engine:
        run = await engine.wait((await engine.start("main")).id)
        await engine.resume(run.id, Answer("red"))
        assert (await engine.wait(run.id)).state == "auth-required"
        accounts.owners.add("local")
        await engine.connections.signed_in("google")
        assert (await engine.wait(run.id)).output == {"output": "red it is"}
        assert heard == [({"at": 1}, "red")] * 2


async def test_what_a_container_requires_is_needed_by_what_is_executed_inside_it_and_asked_once(lab: Lab) -> None:
    accounts = Accounts()
    inner = lab.call("inner", lambda: 1)
    box = sequence("box", steps=[set_("first", value=1), inner], requires=[DRIVE])
    asks = wait_for_input("ask", message="?", requires=["google:mail"])
    async with opened(lab, box, asks, accounts=accounts) as engine:
        run = await engine.wait((await engine.start("main")).id)
        assert [wait.step for wait in await engine.waits(run.id)] == ["box/inner"]
        accounts.owners.add("local")
        accounts.closed.add("google:mail")
        await engine.connections.signed_in("google:drive")
        with anyio.fail_after(LIMIT):
            await until(engine, run.id, "step_waiting", "ask")
        (wait,) = await engine.waits(run.id)
        assert (wait.kind, wait.message) == ("auth", "Connect google:mail")
        accounts.closed.clear()
        await engine.connections.signed_in("google:mail")
        run = await engine.wait(run.id)
        (wait,) = await engine.waits(run.id)
        assert (run.state, wait.kind, wait.message) == ("input-required", "input", "?")


async def test_a_run_that_is_paused_or_canceled_while_it_waits_for_a_connection(lab: Lab) -> None:
    accounts = Accounts()
    async with opened(lab, token(lab), accounts=accounts) as engine:
        run = await engine.wait((await engine.start("main")).id)
        await engine.pause(run.id)
        accounts.owners.add("local")
        assert len(await engine.connections.signed_in("google")) == 1
        assert not (await engine.get(run.id)).ended
        await engine.unpause(run.id)
        assert (await engine.wait(run.id)).output == "local"
        accounts.owners.clear()
        run = await engine.wait((await engine.start("main")).id)
        await engine.cancel(run.id)
        assert (await engine.wait(run.id)).state == "canceled"
        assert await engine.connections.waits() == []
        assert await engine.connections.signed_in("google") == []


async def test_a_retry_from_a_step_asks_for_its_connection_again(lab: Lab) -> None:
    accounts = Accounts()
    async with opened(lab, set_("first", value=1), token(lab), accounts=accounts) as engine:
        run = await engine.wait((await engine.start("main")).id)
        await engine.resume((await the_wait(engine, run.id)).id, Decline())
        await engine.wait(run.id)
        again = await engine.retry(run.id, "fetch")
        assert isinstance(again, Run)
        assert (await engine.wait(again.id)).state == "auth-required"
        accounts.owners.add("local")
        await engine.connections.signed_in("google")
        assert (await engine.wait(again.id)).output == "local"


async def test_a_wait_for_a_connection_outlives_its_process(lab: Lab, tmp_path: Path) -> None:
    accounts, store = Accounts(), tmp_path / "runs.db"
    steps = (token(lab), set_("end", value=1))
    async with opened(lab, *steps, accounts=accounts, store=store) as engine:
        run = await engine.wait((await engine.start("main")).id)
        wait = await the_wait(engine, run.id)
    accounts.owners.add("local")
    async with opened(lab, *steps, accounts=accounts, store=store) as engine:
        assert (await the_wait(engine, run.id)).id == wait.id
        await engine.connections.signed_in("google")
        assert (await engine.wait(run.id)).state == "completed"


async def test_a_token_that_a_step_echoes_is_kept_nowhere(lab: Lab) -> None:
    async def echo(ctx: Context) -> str:
        found = await ctx.credentials("google:drive")
        return f"{found.value} and {found.headers['Authorization']}"

    async with opened(lab, lab.call("echo", echo), accounts=Accounts("local")) as engine:
        run = await engine.start("main")
        assert (await engine.wait(run.id)).output == "*** and ***"


@pytest.mark.parametrize(("given", "code"), [(None, "AF-AUTH-NEEDED"), ("a-token-of-the-test", "AF-AUTH-DENIED")])
async def test_a_token_that_is_not_set_and_one_that_a_service_refuses_are_told_as_what_they_are(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, given: str | None, code: str
) -> None:
    async def fetch(ctx: Context) -> None:
        await ctx.credentials("shop", refused=await ctx.credentials("shop"))

    if given is not None:
        monkeypatch.setenv("SHOP_TOKEN", given)
    else:
        monkeypatch.delenv("SHOP_TOKEN", raising=False)
    config = {"env": ["SHOP_TOKEN"], "connections": {"shop": {"type": "bearer", "token": "{env.SHOP_TOKEN}"}}}
    async with lab.open(lab.workflow(lab.call("fetch", fetch, retry=3)), config=config) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    failure = done.errors["fetch"]
    assert (failure.code, failure.retryable, done.step("fetch").attempts) == (code, False, 1)
    assert "shop" in failure.message
    assert given is None or given not in repr(done)
