"""What attempts look like where they leave the process: JSON, secrets by their names, nothing of the tree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentflow.config import Limits
from agentflow.data import decode
from agentflow.engine import Engine, Run
from agentflow.engine.attempt import in_json
from agentflow.engine.attempt.ports import Port
from agentflow.engine.attempt.remote import carried_out
from agentflow.engine.attempt.sealing import Seal
from agentflow.engine.attempt.wire import attempt_from_json, attempt_to_json, returned_from_json, returned_to_json
from agentflow.engine.exchange import Attempt, Chunk, Left, Returned, Stopped
from agentflow.engine.gate import Gate
from agentflow.errors import Failure, StepError
from agentflow.redaction import Redactor
from agentflow.steps import step, wait_for_event
from agentflow.steps.contract import Artifact, Context, EventWait, Park, Result, Skip, Timer, Wait
from agentflow.steps.registry import step_type
from agentflow.usage import Usage
from tests.engine.hands import killed_at_commit
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

GATE = Gate(Limits(), Redactor({}))
SECRETS = {"TOKEN": "s3cr3t", "LONGER": "s3cr3t-and-more"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8) | st.sampled_from([*SECRETS.values(), "$env"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "$env", "$pairs", "x s3cr3t x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


seen: list[str] = []


class Signed(BaseModel):
    """What a step sends."""

    header: str


@step_type("signed", config=Signed, outbound=("header",))
async def _signed(config: Signed, ctx: Context) -> Result:
    seen.append(config.header)
    return Result()


def attempt(**fields: Any) -> Attempt:
    """Return an attempt of some step."""
    known: dict[str, Any] = {
        "run": 7, "n": 3, "attempt": 2, "entry": 1, "run_id": "r", "address": "each[1]/x", "workflow": "main",
        "tries": 1, "type": "set", "config": {"value": 1},
    }  # fmt: skip
    return Attempt(**{**known, **fields})


@given(JSON)
def test_whatever_stands_in_an_attempt_comes_back_and_no_secret_was_in_it_meanwhile(value: Any) -> None:
    seal = Seal(SECRETS, {})
    sent = attempt(config={"value": value}, values={"v": value}, saved=value, arrived=value, timeout=2.5, undone=1)
    raw = attempt_to_json(sent, seal)
    assert not any(secret in raw.decode() for secret in SECRETS.values())
    assert attempt_from_json(raw, seal) == sent


def test_a_public_value_stands_as_it_is_and_a_missing_secret_is_named() -> None:
    sent = attempt(config={"value": "Bearer s3cr3t"})
    assert b"Bearer s3cr3t" in attempt_to_json(sent, Seal(SECRETS, {"TOKEN": "s3cr3t"}))
    with pytest.raises(StepError, match="TOKEN") as missing:
        attempt_from_json(attempt_to_json(sent, Seal(SECRETS, {})), Seal({}, {}))
    assert missing.value.code == "AF-REF-ENV"


PEM = '-----BEGIN KEY-----\nab"c\\d\u00e9f\n-----END KEY-----'


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_in_an_object_that_a_text_holds_as_json_stands_there_by_its_name_and_comes_back_as_it_was(
    ascii_only: bool,
) -> None:
    secrets = {"PEM": PEM, "TOKEN": "s3cr3t"}
    header = "c=" + json.dumps({"key": PEM, "other": "s3cr3t"}, ensure_ascii=ascii_only)
    sent = attempt(config={"headers": {"X-Creds": header, "X-Raw": PEM}}, values={"creds": {"key": PEM}})
    seal = Seal(secrets, {}, Redactor(secrets))
    raw = attempt_to_json(sent, seal)
    assert b"KEY" not in raw
    assert b"s3cr3t" not in raw
    assert attempt_from_json(raw, seal) == sent


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"config": {"fine": "PIN", "url": "https://x/?key=s%33cr3t"}}, 'the field "url"'),
        ({"values": {"deep": [{"twice": json.dumps(json.dumps({"k": PEM}))}]}}, "with"),
        ({"config": {"s3cr3t": "S3CR3T"}}, "a field"),
    ],
)
def test_what_holds_a_secret_in_another_spelling_doesnt_leave_the_process(fields: Any, where: str) -> None:
    secrets = {"PEM": PEM, "TOKEN": "s3cr3t"}
    with pytest.raises(StepError) as refused:
        attempt_to_json(attempt(**fields), Seal(secrets, {}, Redactor(secrets)))
    told = refused.value
    assert (told.code, told.retryable) == ("AF-SECRET-PLACE", False)
    assert str(told).startswith(where)
    assert Redactor(secrets).text(str(told)) == str(told)


def test_a_secret_that_is_like_its_own_name_or_a_steps_doesnt_keep_an_attempt_back() -> None:
    secrets = {"MAIN": "main"}
    seal = Seal(secrets, {}, Redactor(secrets))
    sent = attempt(config={"header": "Bearer main"})
    assert attempt_from_json(attempt_to_json(sent, seal), seal) == sent


async def test_a_step_whose_secret_cant_leave_the_process_fails_and_says_which_field_it_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRETS["TOKEN"])
    flow = lab.workflow(step("a", "signed", {"header": "Bearer S3CR3T"}))
    async with lab.open(flow, config={"env": ["TOKEN"]}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    if lab.sends:
        done.step("a").failed("AF-SECRET-PLACE", 'the field "header" can\'t leave this process')
    else:
        done.step("a").completed()


def test_an_attempt_of_a_newer_version_is_read_without_what_is_new() -> None:
    seal = Seal({}, {})
    raw = attempt_to_json(attempt(), seal)
    assert attempt_from_json(raw.replace(b'"v":1', b'"v":2,"new":[1]'), seal) == attempt()


def test_the_key_of_an_attempt_names_it_alone_and_that_of_its_effects_stays_over_attempts() -> None:
    assert attempt().key == attempt(config={}).key != attempt(attempt=3).key
    assert attempt().idempotency_key == attempt(attempt=3).idempotency_key != attempt(undone=1).idempotency_key


@pytest.mark.parametrize(
    "returned",
    [
        (b'{"a":[1,"\\u00e4"]}', None),
        (b"1", Left([Chunk("file", True, False, b'{"artifactId":"file"}')], [{"role": "agent", "parts": []}], "half")),
        (b"2", Left([], [], used={"m": Usage(1, 2, 3, 1, 10**13, 0), "": Usage(1)}, entry=4)),
        (Failure("AF-STEP-RAISED", "no"), Left([], [], used={"m": Usage(2, parts=7)})),
        (Skip("nothing to do"), None),
        (Stopped("run_canceled"), None),
        (Failure("AF-STEP-RAISED", "no", "network", step="x", why="w", retry_after=3.0, data={"at": "a:1"}), None),
        (Park(Wait("input", "?", {"type": "string"}, 60.0, None, ("anna",), {"a": 1}), {"n": 1}, "enter"), None),
        (Park(Wait("input", "?")), None),
        (Park(Timer(12.5)), None),
        (Park(EventWait("topic", {"a": 1}, 5.0, 6.0, "none", "waits")), None),
    ],
)
def test_whatever_an_attempt_comes_to_comes_back_as_it_was(returned: Returned) -> None:
    assert returned_from_json(returned_to_json(returned, GATE)) == returned


def test_a_park_that_is_no_data_is_the_steps_failure() -> None:
    value, left = returned_from_json(returned_to_json((Park(Wait("input", "?"), object()), None), GATE))
    assert (value.code, value.retryable, left) == ("AF-RESULT-INVALID", False, None)


async def test_what_an_attempt_gives_or_publishes_counts_once_though_its_link_brings_every_call_twice(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def twice(port: Port, attempt: Attempt, call: bytes) -> bytes:
        await carried_out(port, attempt, call)
        return await carried_out(port, attempt, call)

    async def work(ctx: Context) -> None:
        for text in ("a", "a", "b"):
            await ctx.artifact(Artifact("log", parts=({"text": text},), append=True, last_chunk=False))
            await ctx.publish("told", text)

    monkeypatch.setattr(in_json, "carried_out", twice)
    there = replace(lab, wire=True)
    waits = [wait_for_event(f"w{n}", topic="told", depends_on=[f"w{n - 1}" if n else "work"]) for n in range(4)]
    async with there.open(there.workflow(there.call("work", work), *waits)) as engine:
        run = await engine.wait((await engine.start("main")).id)
        kept = await engine.store.artifacts(run.id)
        done = await there.look(engine, run.id)
    assert [part["text"] for part in kept[0]["parts"]] == ["a", "a", "b"]
    assert [done.results[f"w{n}"] for n in range(3)] == ["a", "a", "b"]
    assert [wait.step for wait in done.waits] == ["w3"]


async def test_the_numbers_of_an_attempt_after_a_crash_begin_anew_and_what_it_gives_counts(
    lab: Lab, tmp_path: Path
) -> None:
    there = replace(lab, wire=True)

    async def work(ctx: Context) -> None:
        if ctx.state is None:
            await give(ctx, "a")
            await ctx.save({"given": "a"})
        await give(ctx, "b")

    async def give(ctx: Context, text: str) -> None:
        await ctx.artifact(Artifact("log", parts=({"text": text},), append=True, last_chunk=False))

    async def drive(engine: Engine) -> Run:
        return await engine.wait((await engine.start("main", idempotency_key="once")).id)

    flow = there.workflow(there.call("work", work))
    for number in range(1, 20):
        path = tmp_path / f"{number}.db"
        if not await killed_at_commit(there, [flow], path, number, drive, before=False):
            break
        async with there.open(flow, store=path) as engine:
            [log] = await engine.store.artifacts((await drive(engine)).id)
        assert [part["text"] for part in log["parts"]] in (["a", "b"], ["a", "b", "b"])
    else:
        pytest.fail("it never came to its end")
    assert number > 4


async def test_on_the_wire_an_attempt_holds_names_of_secrets_and_its_step_gets_their_values(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    send = attempt_to_json

    def noted(attempt: Attempt, seal: Seal) -> bytes:
        sent.append(send(attempt, seal))
        return sent[-1]

    monkeypatch.setattr(in_json, "attempt_to_json", noted)
    monkeypatch.setenv("TOKEN", SECRETS["TOKEN"])
    seen.clear()
    flow = lab.workflow(step("a", "signed", {"header": "Bearer {env.TOKEN}"}))
    async with lab.open(flow, config={"env": ["TOKEN"]}) as engine:
        done = await lab.finish(engine, await engine.start("main"))
    assert (done.state, seen) == ("completed", ["Bearer s3cr3t"])
    expected = [{"header": {"$env": ["Bearer ", "TOKEN", ""]}}] if lab.wire else []
    assert [decode(raw)["config"] for raw in sent] == expected
