"""Questions of older servers don't say whose they are: each goes to the one call that it can be of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest

from agentflow_mcp.client.asked import Asked, Call, Calls, Done

pytestmark = pytest.mark.anyio
YES: Mapping[str, Any] = {"action": "accept", "content": {"yes": True}}


def ending(event: anyio.Event) -> Callable[[Call], Awaitable[str]]:
    """Return the work of a call that ends with an event."""

    async def work(call: Call) -> str:
        await event.wait()
        return "over"

    return work


async def test_a_question_waits_until_the_other_calls_have_ended() -> None:
    calls, first, second = Calls(), anyio.Event(), anyio.Event()
    quick, asks = calls.begin(ending(first)), calls.begin(ending(second))
    replies: list[Mapping[str, Any]] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                replies.append(await calls.ask(Asked("Really?")))
                second.set()

            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            later = calls.begin(ending(second))  # it wasn't there when the question came
            first.set()
            assert await quick.next() == Done("over")
            assert await asks.next() == Asked("Really?")
            asks.answer(YES)
            assert await asks.next() == Done("over")
            assert await later.next() == Done("over")
    assert replies == [YES]


async def test_of_two_questions_at_once_one_is_cancelled_and_the_other_goes_to_the_call_that_is_left() -> None:
    calls, first, second = Calls(), anyio.Event(), anyio.Event()
    one, other = calls.begin(ending(first)), calls.begin(ending(second))
    replies: list[Mapping[str, Any]] = []

    async def ask() -> None:
        replies.append(await calls.ask(Asked("Really?")))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert replies == [{"action": "cancel"}]
            first.set()  # whose question was cancelled goes on, and ends
            assert await one.next() == Done("over")
            assert await other.next() == Asked("Really?")
            other.answer(YES)
        second.set()
        assert await other.next() == Done("over")
    assert replies == [{"action": "cancel"}, YES]


async def test_the_same_question_gets_the_answer_that_was_given_and_another_one_asks() -> None:
    calls, over = Calls(), anyio.Event()
    call = calls.begin(ending(over), (Asked("Really?"), YES))
    with anyio.fail_after(10):
        assert await calls.ask(Asked("Really?")) == YES
        async with anyio.create_task_group() as group:
            group.start_soon(calls.ask, Asked("Really?"))
            assert await call.next() == Asked("Really?")
            call.answer(YES)
        over.set()
        assert await call.next() == Done("over")


async def test_who_waits_for_a_call_and_is_stopped_stops_it() -> None:
    calls, stopped = Calls(), anyio.Event()

    async def work(call: Call) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    call = calls.begin(work)
    with anyio.move_on_after(0.01):
        await call.next()
    assert stopped.is_set()
    assert calls.find(call.id) is None
