"""A stored run replayed against a changed definition tells what that would have done differently, and calls nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from agentflow import Decline, InputError, NotFoundError, Workflow
from agentflow.errors import AgentflowError, DefinitionError
from agentflow.steps import (
    condition,
    delay,
    for_each,
    saga,
    set_,
    tool_call,
    until,
    wait_for_event,
    wait_for_input,
    workflow,
)
from agentflow.testing import Recording, harness, in_turn, record, replay

pytestmark = pytest.mark.anyio
CHILD = Workflow(id="child", input={"n": "integer"}, steps=[tool_call("square", tool_name="square", input="{input}")])


def report(
    *, limit: int = 10, greeting: str | None = None, extra: Sequence[Any] = (), schema: Any = None, child: int = 3
) -> Workflow:
    more = {} if greeting is None else {"greeting": greeting}
    send = tool_call("send", tool_name="send", input={"to": "{item}", **more})
    return Workflow(
        id="report",
        input={"n": "integer"},
        steps=[
            tool_call("fetch", tool_name="fetch", input={"n": "{input.n}"}, retry={"max_attempts": 3, "base": "1h"}),
            delay("night", for_="1d"),
            for_each("each", in_="{steps.fetch.items}", steps=[send]),
            condition(
                "big", expression=f"{{input.n}} > {limit}",
                if_true=[tool_call("alarm", tool_name="send", input={"to": "boss"})],
                if_false=[tool_call("note", tool_name="send", input={"to": "team"})],
            ),
            wait_for_input("review", message="Good?", schema=schema or {"type": "object"}),
            workflow("sub", workflow="child", input={"n": child}),
            *extra,
            set_("done", value="{steps.review.ok}"),
        ],
    )  # fmt: skip


async def recorded(flow: Workflow, tools: dict[str, Any], *others: Workflow, **answers: Any) -> Recording:
    """Run a workflow once, and return what is stored of it."""
    async with harness([flow, *others], tools=tools, answers=answers) as h:
        run = await h.run(flow.id, {"n": 5} if flow.input_schema else None)
        return await record(h.engine, run.id)


async def report_run() -> Recording:
    tools: dict[str, Any] = {
        "fetch": in_turn(ConnectionError("down"), {"items": ["a", "b"]}),
        "send": lambda to: {"sent": to},  # pyright: ignore[reportUnknownLambdaType]  any text
        "square": lambda n: n * n,  # pyright: ignore[reportUnknownLambdaType]  any number
    }
    return await recorded(report(), tools, CHILD, review={"ok": True})


async def test_the_same_definition_would_have_done_the_same() -> None:
    told = await replay(await report_run(), report())
    assert told.same
    assert str(told) == '"report" would have done the same'


async def test_steps_inputs_branches_and_answers_that_would_be_others_are_told_in_lines() -> None:
    new = tool_call("archive", tool_name="archive", input={"square": "{steps.sub}"})
    schema = {"type": "object", "required": ["why"]}
    told = await replay(await report_run(), report(limit=2, greeting="hi", extra=[new], schema=schema))
    assert told.added == ["big/if_true/alarm", "archive"]
    assert told.unknown == ["big/if_true/alarm", "archive"]
    assert told.dropped == ["big/if_false/note"]
    assert [(each.step, each.after["input"]) for each in told.inputs[:2]] == [
        ("each[0]/send", {"to": "a", "greeting": "hi"}),
        ("each[1]/send", {"to": "b", "greeting": "hi"}),
    ]
    assert [(each.step, each.before, each.after) for each in told.branches] == [("big", "if_false", "if_true")]
    assert told.misfits == {"review": '"why" is a required property'}
    lines = str(told).splitlines()
    assert lines[0] == '"report" would have done this differently:'
    assert "  + archive  (not recorded)" in lines
    assert "  - big/if_false/note" in lines
    assert "  ? big: if_true instead of if_false" in lines
    assert '  ! review: the recorded answer doesn\'t fit: "why" is a required property' in lines


async def test_what_a_sub_workflow_is_given_stands_below_the_step_that_called_it() -> None:
    told = await replay(await report_run(), report(child=4))
    assert [each.step for each in told.inputs] == ["sub>square"]
    other = Workflow(
        id="child", input={"n": "integer"},
        steps=[tool_call("square", tool_name="square", input="{input}"), tool_call("twice", tool_name="twice")],
    )  # fmt: skip
    changed = await replay(await report_run(), report(), workflows=[other])
    assert changed.added == ["sub>twice"]


async def test_a_step_that_nothing_was_recorded_of_gives_what_the_test_says() -> None:
    new = tool_call("score", tool_name="score")
    after = tool_call("tell", tool_name="tell", input={"score": "{steps.score.value}"})
    run = await report_run()
    without = await replay(run, report(extra=[new, after]))
    assert without.run is not None
    assert without.run.after == "failed"
    told = await replay(run, report(extra=[new, after]), results={"score": {"value": 7}})
    assert told.added == ["score", "tell"]
    assert told.unknown == ["tell"]
    assert told.run is None


async def test_steps_in_another_order_are_told_as_moved() -> None:
    tools: dict[str, Any] = {name: {"did": name} for name in "abc"}
    steps = [tool_call(name, tool_name=name) for name in "abc"]
    run = await recorded(Workflow(id="w", steps=steps), tools)
    told = await replay(run, Workflow(id="w", steps=[steps[1], steps[2], steps[0]]))
    assert told.moved == ["a"]
    assert (told.added, told.dropped) == ([], [])


async def test_what_a_saga_undoes_is_replayed_and_what_it_would_undo_besides_is_told() -> None:
    def trip(*, undo_hotel: bool) -> Workflow:
        undo: dict[str, Any] = {"compensate": tool_call("undo", tool_name="cancel_hotel")} if undo_hotel else {}
        return Workflow(
            id="trip",
            steps=saga("all", steps=[
                tool_call("flight", tool_name="flight", compensate=tool_call("back", tool_name="cancel_flight")),
                tool_call("hotel", tool_name="hotel", **undo),
                tool_call("pay", tool_name="pay", retry=False),
            ]),
        )  # fmt: skip

    tools: dict[str, Any] = {
        "flight": {},
        "hotel": {},
        "cancel_flight": {},
        "cancel_hotel": {},
        "pay": ValueError("no money"),
    }
    run = await recorded(trip(undo_hotel=False), tools)
    assert (await replay(run, trip(undo_hotel=False))).same
    told = await replay(run, trip(undo_hotel=True))
    assert len(told.added) == 1
    assert told.added[0].startswith("all/hotel")
    assert told.run is None, "it fails as before: the recorded failure is given again"


async def test_a_failure_that_would_be_tolerated_changes_the_end() -> None:
    def flow(on_error: Any) -> Workflow:
        call = tool_call("call", tool_name="call", retry={"max_attempts": 2, "base": 1}, on_error=on_error)
        return Workflow(id="w", steps=[call, set_("done", value="yes")])

    run = await recorded(flow("fail"), {"call": ConnectionError("down")})
    assert run.steps["call"].tries == 2
    told = await replay(run, flow("continue"))
    assert told.run is not None
    assert (told.run.before, told.run.after) == ("failed", "completed")
    assert told.output == (None, "yes")
    assert "= the run: completed instead of failed" in str(told)


async def test_a_loop_that_would_go_on_longer_is_told_by_its_iterations() -> None:
    def flow(least: int) -> Workflow:
        ask = tool_call("ask", tool_name="ask")
        loop = until("loop", condition=f"{{steps.ask.n}} >= {least}", steps=[ask], max_iterations=5)
        return Workflow(id="w", steps=loop)

    run = await recorded(flow(2), {"ask": in_turn({"n": 1}, {"n": 2})})
    told = await replay(run, flow(1))
    assert told.dropped == ["loop[1]/ask"]


async def test_events_and_declined_answers_are_given_again() -> None:
    flow = Workflow(id="w", steps=[wait_for_event("paid", topic="paid"), set_("done", value="{steps.paid}")])
    async with harness([flow]) as h:
        run = await h.run("w")
        await h.publish("paid", {"amount": 3})
        done = await h.settled(run)
        told = await replay(done, flow, store=h)
    assert told.same
    asking = Workflow(id="w", steps=wait_for_input("ask", message="Good?"))
    declined = await recorded(asking, {}, ask=Decline("no"))
    assert (declined.state, (await replay(declined, asking)).same) == ("failed", True)


async def test_a_recording_is_kept_as_json_and_read_back() -> None:
    run = await report_run()
    again = Recording.from_json(run.to_json())
    assert again == run
    assert (await replay(again, report())).same


async def test_an_input_that_the_new_definition_refuses_is_told() -> None:
    told = await replay(await report_run(), Workflow(id="report", input={"day": "string"}, steps=set_("a", value=1)))
    assert str(told).startswith('"report" would not have been started: ')
    assert not told.same


async def test_what_cannot_be_replayed_is_told_in_a_sentence() -> None:
    with pytest.raises(AgentflowError) as caught:
        await replay("some-id", report())
    assert str(caught.value) == "replay(run, …) of a run by its id needs the store that has it"
    run = await report_run()
    with pytest.raises(DefinitionError):
        await replay(run, Workflow(id="report", steps=set_("a", value="{steps.nope}")))
    async with harness([CHILD]) as h:
        with pytest.raises(NotFoundError):
            await replay("01hzzzzzzzzzzzzzzzzzzzzzzz", CHILD, store=h)
        with pytest.raises(InputError):
            await h.run("child", {"n": "x"})
