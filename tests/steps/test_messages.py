"""Steps that set values, send messages and add artifacts: what each does with its context."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agentflow.errors import StepError
from agentflow.steps import registry
from agentflow.steps.contract import Artifact, Result
from tests.steps.context import FakeContext

pytestmark = pytest.mark.anyio


def context(**given: Any) -> FakeContext:
    """Return a context in which some things are as given."""
    ctx = FakeContext(key="key-1")
    ctx.address, ctx.workflow_id = "box/step", "demo"
    for name, value in given.items():
        setattr(ctx, name, value)
    return ctx


async def perform(name: str, config: dict[str, Any], ctx: FakeContext | None = None) -> Any:
    """Run one step as the engine would and return its result."""
    spec = registry.find(name)
    assert spec is not None
    assert spec.execute is not None
    ctx = ctx or context()
    outcome = await spec.execute(spec.config.model_validate(config), ctx)
    assert isinstance(outcome, Result)
    ctx.artifacts += outcome.artifacts
    return outcome.value


@pytest.mark.parametrize(
    ("config", "result"),
    [
        ({"values": {"a": 1, "b": [True]}}, {"a": 1, "b": [True]}),
        ({"values": [1, 2]}, [1, 2]),
        ({"value": "x"}, "x"),
        ({"value": None}, None),
    ],
)
async def test_set_gives_its_values(config: dict[str, Any], result: Any) -> None:
    assert await perform("set", config) == result


@pytest.mark.parametrize("config", [{}, {"values": 1, "value": 2}])
async def test_set_needs_exactly_one_of_its_fields(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give either values or value"):
        await perform("set", config)


async def test_publish_tells_how_many_waits_it_reached() -> None:
    ctx = context(reached=3)
    assert await perform("publish", {"topic": "orders", "data": {"id": 7}}, ctx) == {"delivered": 3}
    assert ctx.published == [("orders", {"id": 7}, "key-1")]


async def test_all_attempts_of_a_publish_publish_one_event() -> None:
    first, second = context(attempt=1), context(attempt=2)
    await perform("publish", {"topic": "orders"}, first)
    await perform("publish", {"topic": "orders"}, second)
    assert first.published == second.published


async def test_publish_takes_an_identity_of_its_own() -> None:
    ctx = context()
    await perform("publish", {"topic": "orders", "event_id": 7}, ctx)
    assert ctx.published == [("orders", None, "7")]


@pytest.mark.case("D-WAIT-5")
async def test_a_checkpoint_sets_the_status_and_does_not_park() -> None:
    ctx = context()
    assert await perform("checkpoint", {"message": "half way"}, ctx) == {"message": "half way"}
    assert ctx.statuses == ["half way"]


async def test_respond_sends_body_status_and_headers() -> None:
    ctx = context()
    config = {"body": {"ok": True}, "status": 201, "headers": {"X-Count": 3}}
    assert await perform("respond", config, ctx) == {}
    metadata = {"kind": "respond", "status": 201, "headers": {"X-Count": "3"}}
    assert ctx.messages == [([{"data": {"ok": True}}], metadata)]


async def test_respond_sends_text_as_it_is_and_nothing_as_nothing() -> None:
    ctx = context()
    await perform("respond", {"body": "done"}, ctx)
    await perform("respond", {"status": 204}, ctx)
    assert [parts for parts, _ in ctx.messages] == [[{"text": "done"}], []]


@pytest.mark.parametrize(
    ("config", "part"),
    [
        ({"text": "hello"}, {"text": "hello"}),
        ({"text": 7}, {"text": "7"}),
        ({"data": None}, {"data": None}),
        ({"data": {"a": 1}, "media_type": "application/json"}, {"data": {"a": 1}, "mediaType": "application/json"}),
        (
            {"url": "https://example.com/a.csv", "filename": "a.csv"},
            {"url": "https://example.com/a.csv", "filename": "a.csv"},
        ),
        ({"bytes": "aGVsbG8="}, {"raw": "aGVsbG8="}),
    ],
)
async def test_an_artifact_has_one_part_of_its_content(config: dict[str, Any], part: dict[str, Any]) -> None:
    ctx = context()
    assert await perform("artifact", config, ctx) == {"artifact_id": "box/step"}
    assert ctx.artifacts == [Artifact("box/step", parts=(part,))]


async def test_an_artifact_comes_in_chunks() -> None:
    ctx = context()
    first = {"artifact_id": "log", "text": "a", "last_chunk": False, "name": "Log"}
    assert await perform("artifact", first, ctx) == {"artifact_id": "log"}
    await perform("artifact", {"artifact_id": "log", "text": "b", "append": True}, ctx)
    assert ctx.artifacts == [
        Artifact("log", name="Log", parts=({"text": "a"},), last_chunk=False),
        Artifact("log", parts=({"text": "b"},), append=True),
    ]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "exactly one of text, data, url and bytes"),
        ({"text": "a", "data": 1}, "exactly one of text, data, url and bytes"),
        ({"text": "a", "append": True}, "append needs artifact_id"),
        ({"bytes": "no base64!"}, "it isn't base64"),
    ],
)
async def test_an_artifact_that_is_not_whole_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        await perform("artifact", config)


URL = {"kind": "url", "label": "Open", "url": "https://example.com/7"}
APP = {"kind": "web_app", "label": "App", "url": "https://app.example.com"}
BACK = {"kind": "callback", "label": "Yes", "callback_data": "wf:yes"}
MORE = {"kind": "callback", "label": "{item.title}", "callback_data": "wf:open:{item.id}"}


@pytest.mark.case("D-KIND-8")
async def test_a_reply_keeps_its_static_rows_in_order() -> None:
    ctx = context()
    result = await perform("reply", {"text": "Which one?", "buttons": [[URL, APP], [BACK]]}, ctx)
    assert result == {"text": "Which one?", "buttons": [[URL, APP], [BACK]]}
    assert ctx.messages == [([{"text": "Which one?"}], {"kind": "reply", "buttons": [[URL, APP], [BACK]]})]


@pytest.mark.case("D-KIND-8")
async def test_each_element_of_buttons_from_gives_a_row() -> None:
    items = [{"id": "m1", "title": "Maths"}, {"id": "s1", "title": "Science"}]
    config = {"text": "Open", "buttons": [[BACK]], "buttons_from": items, "button_template": MORE}
    result = await perform("reply", config)
    assert result["buttons"] == [
        [BACK],
        [{"kind": "callback", "label": "Maths", "callback_data": "wf:open:m1"}],
        [{"kind": "callback", "label": "Science", "callback_data": "wf:open:s1"}],
    ]


@pytest.mark.case("D-KIND-8")
@pytest.mark.parametrize(
    "more",
    [
        {"buttons_from": [{"id": "m1"}]},
        {"buttons_from": [], "button_template": MORE},
        {"buttons_from": None, "button_template": MORE},
    ],
)
async def test_no_template_or_no_elements_leave_the_static_rows(more: dict[str, Any]) -> None:
    result = await perform("reply", {"text": "x", "buttons": [[BACK]], **more})
    assert result["buttons"] == [[BACK]]


@pytest.mark.case("D-KIND-8")
async def test_a_button_reads_the_element_its_number_the_input_and_earlier_steps() -> None:
    ctx = context(input={"course": "c1"}, steps={"list": {"kind": "quiz"}}, values={"v": 2}, env={"HOST": "h"})
    template = {
        "kind": "url",
        "label": "{index}: {item}",
        "url": "https://{env.HOST}/{input.course}/{steps.list.kind}/{with.v}",
    }
    result = await perform("reply", {"text": "x", "buttons_from": ["a"], "button_template": template}, ctx)
    assert result["buttons"] == [[{"kind": "url", "label": "0: a", "url": "https://h/c1/quiz/2"}]]


async def test_what_an_element_brings_is_not_expanded_again() -> None:
    item = {"id": "{input.secret}", "title": "{steps.a}"}
    result = await perform("reply", {"text": "x", "buttons_from": [item], "button_template": MORE})
    assert result["buttons"] == [
        [{"kind": "callback", "label": "{steps.a}", "callback_data": "wf:open:{input.secret}"}]
    ]


async def test_buttons_from_something_else_than_a_list_fails_the_step() -> None:
    with pytest.raises(StepError, match="buttons_from isn't a list") as caught:
        await perform("reply", {"text": "x", "buttons_from": {"a": 1}, "button_template": MORE})
    assert (caught.value.code, caught.value.retryable) == ("AF-REPLY-BUTTONS", False)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"text": "x", "button_template": MORE}, "button_template needs buttons_from"),
        ({"text": "x", "buttons": [[{"kind": "link", "label": "a"}]]}, "'url', 'web_app', 'callback'"),
        ({"text": "x", "buttons": [[{"kind": "url", "label": "a", "callback_data": "b"}]]}, "url"),
    ],
)
async def test_a_reply_that_is_not_whole_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        await perform("reply", config)
