"""Receivers that fail, in one process with a clock of its own: tried again, in order, given up, and gone on with."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.responses import Response

from agentflow.principal import LOCAL, Principal
from agentflow.server.pushing.sender import LONGEST_PAUSE
from agentflow.store.outbox import PushQuery
from tests.surface_a2a.receiving import Got, Receiver, receiving
from tests.surface_a2a.sending import SECRETS, desk

pytestmark = pytest.mark.anyio
TIME = 30


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver."""
    async with receiving() as made:
        yield made


def answers(*statuses: int, headers: Mapping[str, str] | None = None) -> Any:
    """Return what answers with these, then with 200."""
    left = list(statuses)

    async def answer(_: Got) -> Response:
        return Response(status_code=left.pop(0) if left else 200, headers=dict(headers or {}))

    return answer


def in_files(folder: Path) -> bytes:
    """Return what stands in the database and the files beside it, in all."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("runs.db*")))


def told(receiver: Receiver, path: str = "/hook") -> list[str]:
    """Return what came, short."""
    return [got.told for got in receiver.got if got.path == path]


async def test_what_failed_is_sent_again_later_and_later_and_what_follows_waits_for_it(receiver: Receiver) -> None:
    receiver.answer = answers(200, 500, 503)
    with anyio.fail_after(TIME):
        async with desk() as made:
            run = await made.start()
            await made.push(run, receiver.url())
            failed = await made.until(tries=1)
            assert (failed.generation, failed.error) == (1, "HTTP 500")
            assert 0.5 <= (failed.due or 0) - made.clock.now() <= 1.0
            await made.answer(run)
            assert told(receiver) == ["working", "input_required"]
            made.clock.advance(1.0)
            failed = await made.until(tries=2)
            assert 1.0 <= (failed.due or 0) - made.clock.now() <= 2.0
            made.clock.advance(2.0)
            caught_up = await made.until(tries=0, due=None)
            assert (caught_up.error, caught_up.state) == (None, "active")
            await made.answer(run)
            await made.until(state="done")
    states = ["input_required", "working", "input_required"]
    assert told(receiver)[:4] == ["working", *["input_required"] * 3]
    assert [word for word in told(receiver)[3:] if word != "working"] == [states[0], states[2], "end", "completed"]


async def test_a_dead_receiver_is_given_up_after_some_tries_and_a_retry_loses_nothing(receiver: Receiver) -> None:
    receiver.answer = answers(*[500] * 3)
    with anyio.fail_after(TIME):
        async with desk(tries=3) as made:
            run = await made.start()
            await made.push(run, receiver.url())
            for tries in (1, 2):
                await made.until(tries=tries)
                made.clock.advance(LONGEST_PAUSE)
            failed = await made.until(state="failed")
            assert (failed.generation, failed.tries, failed.error, failed.due) == (0, 3, "HTTP 500", None)
            await made.answer(run)
            made.clock.advance(LONGEST_PAUSE)
            assert len(receiver.got) == 3
            await made.answer(run)
            await made.engine.store.outbox.revive(PushQuery(run), made.clock.now())
            made.engine.core.committer.tell_everybody()  # as of another process
            await made.until(state="done")
    changes = told(receiver)[3:]
    assert (changes[0], changes[-2:]) == ("working", ["end", "completed"])
    assert changes.count("input_required") == 2


async def test_a_receiver_that_asks_for_time_gets_it(receiver: Receiver) -> None:
    receiver.answer = answers(429, headers={"Retry-After": "600"})
    with anyio.fail_after(TIME):
        async with desk() as made:
            await made.push(await made.start(), receiver.url())
            failed = await made.until(tries=1)
            assert failed.due == made.clock.now() + 600


async def test_one_that_is_gone_is_given_up_at_once(receiver: Receiver) -> None:
    receiver.answer = answers(410)
    with anyio.fail_after(TIME):
        async with desk() as made:
            await made.push(await made.start(), receiver.url())
            failed = await made.until(state="failed")
    assert (failed.tries, failed.error) == (1, "HTTP 410: the receiver is gone")


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = answers(307, headers={"Location": receiver.url("/elsewhere")})
    with anyio.fail_after(TIME):
        async with desk() as made:
            await made.push(await made.start(), receiver.url())
            await made.until(tries=1)
    assert [got.path for got in receiver.got] == ["/hook"]


async def test_of_a_long_answer_only_the_beginning_is_read(receiver: Receiver) -> None:
    async def answer(_: Got) -> Response:
        return Response(b"x" * 8_000_000)

    receiver.answer = answer
    with anyio.fail_after(TIME):
        async with desk() as made:
            await made.push(await made.start(), receiver.url())
            await made.until(generation=2, due=None)
    assert told(receiver) == ["working", "input_required"]


async def test_one_that_holds_back_its_answer_delays_no_other(receiver: Receiver) -> None:
    release = anyio.Event()

    async def answer(got: Got) -> int:
        if got.path == "/slow":
            await release.wait()
        return 200

    receiver.answer = answer
    with anyio.fail_after(TIME):
        async with desk() as made:
            run = await made.start()
            await made.push(run, receiver.url("/slow"), "slow")
            await made.push(run, receiver.url("/quick"), "quick")
            await receiver.until(lambda got: len(got) == 2)
            assert (told(receiver, "/quick"), told(receiver, "/slow")) == (["working", "input_required"], [])
            release.set()
            await receiver.until(lambda got: len(got) == 4)
    assert told(receiver, "/slow") == ["working", "input_required"]


async def test_no_more_than_so_many_are_sent_to_at_once(receiver: Receiver) -> None:
    under_way, most, release = 0, 0, anyio.Event()

    async def answer(_: Got) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            release.set()
        await release.wait()
        await anyio.lowlevel.checkpoint()
        under_way -= 1
        return 200

    receiver.answer = answer
    with anyio.fail_after(TIME):
        async with desk(parallel=2) as made:
            run = await made.start()
            for n in range(6):
                await made.push(run, receiver.url(f"/{n}"), f"c{n}")
            await receiver.until(lambda got: len(got) == 12)
    assert most == 2
    for n in range(6):
        assert told(receiver, f"/{n}") == ["working", "input_required"]


async def test_what_was_kept_before_is_sent_by_the_next_process_from_where_it_was(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answer = answers(200, 500)
    with anyio.fail_after(TIME):
        async with desk(tmp_path / "runs.db") as made:
            run = await made.start()
            await made.push(run, receiver.url())
            await made.until(tries=1)
        async with desk(tmp_path / "runs.db") as made:
            made.clock.advance(60)
            await made.until(generation=2, due=None)
    assert told(receiver) == ["working", "input_required", "input_required"]


async def test_a_config_that_is_deleted_or_whose_run_is_gets_nothing_more(receiver: Receiver) -> None:
    receiver.answer = answers(*[500] * 2)
    with anyio.fail_after(TIME):
        async with desk() as made:
            run = await made.start()
            await made.push(run, receiver.url())
            await made.until(tries=1)
            await made.pushes.delete(run, "c", LOCAL)
            await made.push(run, receiver.url())
            await made.until(tries=1)
            await made.engine.cancel(run, force=True)
            await made.engine.wait(run)
            made.clock.advance(0.2)  # it isn't tried again yet
            assert await made.engine.purge(0.1) == 1
            made.clock.advance(60)
            assert await made.engine.store.outbox.pushes(PushQuery()) == []
            await made.push(await made.start(), receiver.url("/other"))
            await receiver.until(lambda got: len(got) == 4)
    assert [got.path for got in receiver.got] == ["/hook"] * 2 + ["/other"] * 2


async def test_another_place_takes_over_from_the_change_that_is_next(receiver: Receiver) -> None:
    receiver.answer = answers(200, 500)
    with anyio.fail_after(TIME):
        async with desk() as made:
            run = await made.start()
            await made.push(run, receiver.url("/old"))
            await made.until(tries=1)
            await made.push(run, receiver.url("/new"))
            await made.until(generation=2, due=None)
    assert (told(receiver, "/old"), told(receiver, "/new")) == (["working", "input_required"], ["input_required"])


async def test_without_the_key_a_receiver_has_failed_and_can_still_be_seen(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answer = answers(500)
    with anyio.fail_after(TIME):
        async with desk(tmp_path / "runs.db") as made:
            run = await made.start()
            await made.push(run, receiver.url())
            await made.until(tries=1)
        (tmp_path / "runs.db.key").unlink()
        async with desk(tmp_path / "runs.db") as made:
            made.clock.advance(60)
            failed = await made.until(state="failed")
            assert failed.error == "a sealed text can't be opened: it was sealed with another key"
            shown = await made.pushes.get(run, "c", LOCAL)
            assert shown["url"] == f"http://127.0.0.1:{receiver.port}"


async def test_what_authenticates_is_nowhere_to_be_found(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the database or its log, nor in what lists, errors and logs tell; and nowhere at all when it is over."""
    caplog.set_level(logging.DEBUG)

    async def answer(got: Got) -> Response:
        status = 401 if len(receiver.got) == 0 else 200
        return Response(f"bad token {got.headers['x-a2a-notification-token']}", status)

    receiver.answer = answer
    place = tmp_path / "runs.db"
    with anyio.fail_after(TIME):
        async with desk(place) as made:
            run = await made.start()
            await made.push(run, receiver.url(f"/hook?key={SECRETS[2]}"))
            failed = await made.until(tries=1)
            listed = await made.pushes.list({"taskId": run}, LOCAL)
            made.clock.advance(10)
            await made.until(generation=2, due=None)
            stored = in_files(tmp_path)
            for word in SECRETS[:2]:
                assert word not in str(listed)
            for n in range(2):
                await made.answer(run, str(n))
            done = await made.until(state="done")
            opened = made.engine.sealer.open(done.sealed, purpose=f"push {run} c", owner='["", "local"]')
    stored += in_files(tmp_path)
    assert receiver.got[-1].headers["authorization"] == f"Bearer {SECRETS[1]}"
    ours = "\n".join(line.getMessage() for line in caplog.records if not line.name.startswith("uvicorn"))
    for word in SECRETS:
        assert word.encode() not in stored
        assert word not in str(failed)
        assert word not in ours
    assert not any(word.encode() in opened for word in SECRETS[:2])


async def test_two_senders_on_one_database_send_each_change_once(receiver: Receiver, tmp_path: Path) -> None:
    with anyio.fail_after(TIME):
        async with desk(tmp_path / "runs.db") as one, desk(tmp_path / "runs.db") as other:
            runs: list[str] = []
            for n in range(10):
                made = (one, other)[n % 2]
                runs.append(await made.start())
                await made.push(runs[-1], receiver.url(f"/{n}"), f"c{n}")
            for value in ("x", "y"):
                for n, run in enumerate(runs):
                    await (other, one)[n % 2].answer(run, value)
            await receiver.until(lambda got: sum(each.told == "completed" for each in got) == len(runs))
    for run in runs:
        came = [got.generation for got in receiver.got if got.task_id == run and got.generation is not None]
        assert came == [*range(1, len(came) + 1)]


async def test_a_sender_forgets_runs_that_are_over(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentflow.server.pushing.sender.MANY", 2)
    with anyio.fail_after(TIME):
        async with desk() as made:
            for n in range(20):
                run = await made.start()
                await made.push(run, receiver.url(f"/{n}"), f"c{n}")
                await made.engine.cancel(run)
                await receiver.until(lambda got, run=run: any((g.task_id, g.told) == (run, "canceled") for g in got))
            known = made.pushes.sender._known  # pyright: ignore[reportPrivateUsage]  what it keeps in memory
            assert len(known) <= 6


async def test_what_somebody_has_asked_for_is_shown_to_nobody_else(receiver: Receiver) -> None:
    async with desk() as made:
        run = await made.engine.start("asks", principal=Principal("kim"))
        await made.pushes.create({"taskId": run.id, "url": receiver.url(), "id": "of-boss"}, LOCAL)
        await made.pushes.create({"taskId": run.id, "url": receiver.url(), "id": "of-kim"}, Principal("kim"))
        seen = await made.pushes.list({"taskId": run.id}, Principal("kim"))
        assert [each["id"] for each in seen["configs"]] == ["of-kim"]
        assert len((await made.pushes.list({"taskId": run.id}, LOCAL))["configs"]) == 2
