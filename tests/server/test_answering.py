"""The page where a person answers: by a sealed address, for one wait, as long as that is open."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx
import pytest

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.engine import WaitView
from agentflow.principal import LOCAL, Principal
from agentflow.server.answering import link_to
from agentflow.server.answering.fields import answer_of, fields_of
from agentflow.server.app import create_app
from agentflow.server.links import LASTS
from agentflow.testing import FakeClock

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:8745"
CONFIG = """\
workflows:
  pay:
    input: {what: string}
    steps:
      - id: approve
        type: wait_for_input
        human_only: true
        message: "Pay for {input.what}?"
        schema:
          type: object
          required: [decision, sum]
          properties:
            decision: {enum: [approve, reject], title: Your decision}
            sum: {type: integer, minimum: 1, description: In EUR}
            urgent: {type: boolean}
            note: {type: string}
            tags: {type: array, items: {type: string}}
    output: "{steps.approve}"
"""
EDITED: dict[str, Any] = {
    "properties": {
        "do": {"enum": ["edit", "approve"]},
        "edit": {"type": "object", "properties": {"amount": {"type": "integer"}}, "additionalProperties": False},
    }
}
SWITCHED: dict[str, Any] = {
    "properties": {"edit": {"type": "object", "properties": {"on": {"type": "boolean"}}, "additionalProperties": False}}
}
HOSTILE = "</blockquote><script>alert(1)</script>\" onload='x' <!-- {{7*7}}"


@asynccontextmanager
async def asked(
    what: str = "chairs", clock: FakeClock | None = None
) -> AsyncGenerator[tuple[Engine, WaitView, httpx.AsyncClient]]:
    """Return an engine with a wait, the wait, and a browser at the app that serves it."""
    async with Engine.open(":memory:", config=load_text(CONFIG), clock=clock) as engine:
        run = await engine.start("pay", {"what": what})
        await engine.wait(run.id, 30)
        [view] = await engine.waits(run.id)
        transport = httpx.ASGITransport(app=create_app(engine, url=URL))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as browser:
            yield engine, view, browser


def check_of(page: str) -> str:
    """Return what the form brings back."""
    found = re.search(r'name="check" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_a_person_answers_and_the_run_tells_who_did_by_which_door() -> None:
    async with asked() as (engine, view, browser):
        link = link_to(engine, URL, view, Principal("ana"))
        assert (await browser.get(link)).status_code == 404  # it isn't hers
        link = link_to(engine, URL, view, LOCAL)
        page = await browser.get(link)
        assert page.status_code == 200
        assert "Pay for chairs?" in page.text
        form = {"check": check_of(page.text), "do": "answer", "v.decision": "0", "v.sum": "12", "v.tags": '["a"]'}
        sent = await browser.post(link, data=form)
        assert (sent.status_code, sent.headers["location"]) == (303, link.replace(f"{URL}/answer", "."))
        done = await browser.get(link)
        assert "Thank you" in done.text
        assert "<form" not in done.text
        run = await engine.wait(view.root_id, 30)
        assert run.output == {"decision": "approve", "sum": 12, "urgent": False, "tags": ["a"]}
        again = await browser.post(link, data={**form, "v.decision": "1"})
        assert "Thank you" in again.text
        [answered] = await engine.told.waits(run.id, ended=True)
        assert (answered.by, answered.door) == ("local", "web")


async def test_an_answer_that_does_not_fit_is_shown_again_with_what_is_wrong() -> None:
    async with asked() as (engine, view, browser):
        link = link_to(engine, URL, view, LOCAL)
        form = {"check": check_of((await browser.get(link)).text), "do": "answer"}
        for more, told in (
            ({"v.sum": "0", "v.decision": "1"}, "sum: 0 is less than the minimum of 1"),
            ({"v.sum": "many", "v.decision": "1"}, "sum:"),
            ({"v.sum": "3", "v.decision": "7"}, "decision:"),
            ({"v.sum": "3", "v.decision": "1", "v.tags": "[}"}, "tags:"),
            ({}, "decision"),
        ):
            wrong = await browser.post(link, data={**form, **more})
            assert wrong.status_code == 422
            assert told in unescape(wrong.text)
            if more.get("v.sum") == "many":
                assert 'value="many"' in wrong.text
        [open_still] = await engine.waits(view.root_id)
        assert open_still.id == view.id


async def test_a_person_may_refuse() -> None:
    async with asked() as (engine, view, browser):
        link = link_to(engine, URL, view, LOCAL)
        form = {"check": check_of((await browser.get(link)).text), "do": "decline", "reason": "too dear"}
        assert (await browser.post(link, data=form)).status_code == 303
        run = await engine.wait(view.root_id, 30)
        assert run.failure is not None
        assert run.failure.code == "AF-WAIT-DECLINED"
        assert "too dear" in str(run.failure)


async def test_what_others_have_written_is_text_and_nothing_is_loaded() -> None:
    async with asked(HOSTILE) as (engine, view, browser):
        link = link_to(engine, URL, view, LOCAL)
        page = await browser.get(link)
        form = {"check": check_of(page.text), "do": "answer", "v.note": HOSTILE, "v.sum": HOSTILE}
        for each in (page, await browser.post(link, data=form)):
            assert "<script" not in each.text
            assert "onload='x'" not in each.text
            assert HOSTILE in unescape(each.text)
            assert not re.search(r"(src|href|url\()", each.text)
            policy = each.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert each.headers["cache-control"] == "no-store"
            assert each.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"origin": "https://evil.example"}, {}),
        ({"origin": "null"}, {}),
        ({"sec-fetch-site": "cross-site"}, {}),
        ({"sec-fetch-site": "same-site"}, {}),
        ({}, {"check": "x"}),
        ({}, {"check": ""}),
    ],
)
async def test_a_form_of_another_site_does_nothing(headers: dict[str, str], form: dict[str, str]) -> None:
    async with asked() as (engine, view, browser):
        link = link_to(engine, URL, view, LOCAL)
        check = check_of((await browser.get(link)).text)
        given = {"check": check, "do": "answer", "v.decision": "0", "v.sum": "1", **form}
        assert (await browser.post(link, data=given, headers=headers)).status_code == 403
        assert [each.id for each in await engine.waits(view.root_id)] == [view.id]
        own = {"check": check, "do": "answer", "v.decision": "0", "v.sum": "1"}
        mine = {"origin": URL, "sec-fetch-site": "same-origin", "host": "behind.a.proxy"}
        assert (await browser.post(link, data=own, headers=mine)).status_code == 303


async def test_only_a_sealed_address_that_is_not_too_old_opens_the_page() -> None:
    clock = FakeClock()
    async with asked(clock=clock) as (engine, view, browser):
        link = link_to(engine, URL, view, LOCAL)
        changed = link[:-3] + ("A" if link[-3] != "A" else "B") + link[-2:]
        for address in (changed, link[:-1], f"{URL}/answer/{view.id}", f"{URL}/answer/x"):
            refused = await browser.get(address)
            assert refused.status_code == 404
            assert "chairs" not in refused.text
        assert (await browser.get(link)).status_code == 200
        clock.advance(LASTS + 1)
        assert (await browser.get(link)).status_code == 404


async def test_a_filled_form_that_is_too_large_is_refused() -> None:
    async with asked() as (engine, view, browser):
        link = link_to(engine, URL, view, LOCAL)
        assert (await browser.post(link, content=b"x" * (2 << 20))).status_code == 413
        assert (await browser.post(link, content=b"a&" * 1000)).status_code == 400
        assert [each.id for each in await engine.waits(view.root_id)] == [view.id]


@pytest.mark.parametrize(
    ("schema", "given", "answer"),
    [
        (None, {"": "yes"}, "yes"),
        ({"type": "string"}, {"": "a\r\nb"}, "a\nb"),
        ({"type": "integer"}, {"": "7"}, 7),
        ({"enum": [1, None, "x"]}, {"": "1"}, None),
        ({"oneOf": [{"const": 5, "title": "five"}]}, {"": "0"}, 5),
        ({"type": "array"}, {"": "[1]"}, [1]),
        ({"type": "boolean"}, {}, False),
        ({"properties": {"a": {"type": "string"}, "b": {"type": "number"}}, "required": ["a"]}, {"b": ""}, {"a": ""}),
        (EDITED, {"do": "0", "edit.amount": "80"}, {"do": "edit", "edit": {"amount": 80}}),
        (EDITED, {"do": "1", "edit.amount": ""}, {"do": "approve"}),
        (SWITCHED, {"edit": '{"on": false}'}, {"edit": {"on": False}}),
        (SWITCHED, {}, {}),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "boolean"}}}, {"a": "true"}, {"a": True}),
    ],
)
def test_a_filled_form_becomes_the_answer_that_the_schema_asks_for(
    schema: dict[str, Any] | None, given: dict[str, str], answer: Any
) -> None:
    assert answer_of(fields_of(schema), given) == answer


def test_the_answer_that_is_taken_by_default_stands_in_the_form() -> None:
    schema = {
        "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "boolean"}, "c": {"type": "integer", "default": 4}}
    }
    shown = {field.name: field.shown for field in fields_of(schema, {"a": "y", "b": True})}
    assert shown == {"a": "1", "b": "true", "c": "4"}
