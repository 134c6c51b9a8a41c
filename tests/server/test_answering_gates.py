"""The page of an approval or a review shows what is approved: nobody is asked to say yes to what they can't see."""

from __future__ import annotations

import httpx
import pytest

from agentflow import Answer, Engine
from agentflow.config.load import load_text
from agentflow.principal import LOCAL
from agentflow.server.answering import link_to
from agentflow.server.app import create_app

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:8745"
CONFIG = """\
workflows:
  pay:
    steps:
      - {id: draft, type: set, value: "Dear <b>Ann</b>", review: {message: "Good?"}}
      - {id: pay, type: set, values: {amount: 150}, approve: {message: "Pay?"}}
"""


async def test_the_page_shows_what_a_step_has_given_and_what_would_run() -> None:
    async with Engine.open(":memory:", config=load_text(CONFIG)) as engine:
        run = await engine.start("pay", {})
        transport = httpx.ASGITransport(app=create_app(engine, url=URL))
        async with httpx.AsyncClient(transport=transport, base_url=URL) as browser:
            await engine.wait(run.id, 30)
            [review] = await engine.waits(run.id)
            assert "Dear &lt;b&gt;Ann&lt;/b&gt;" in (await browser.get(link_to(engine, URL, review, LOCAL))).text
            await engine.resume(review.id, Answer({"decision": "accept"}))
            await engine.wait(run.id, 30)
            [approval] = await engine.waits(run.id)
            text = (await browser.get(link_to(engine, URL, approval, LOCAL))).text
            assert "What would run: set" in text
            assert "amount: 150" in text
