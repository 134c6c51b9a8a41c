"""A server that takes tokens is asked in the name of each run's owner."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from agentflow import Engine
from agentflow.config.load import load_text
from agentflow.principal import Principal
from tests.steps.owners import Owners
from tests.surface_mcp.client.far import LIMIT, config_text, listening

pytestmark = pytest.mark.anyio
ANN, BOB = Principal("ann"), Principal("bob")


async def test_each_owner_has_a_session_of_his_own_and_signs_in_where_the_server_refuses_it(tmp_path: Path) -> None:
    owners = Owners(ann=["worn", "minted"])
    async with listening(tmp_path, CLIENT="yes") as (_, url):
        text = config_text({"crm": {"url": url, "connection": "crm"}}, connections={"crm": {"client_id": "us"}})
        async with Engine.open(":memory:", config=load_text(text), connections={"crm": owners}) as engine:
            with anyio.fail_after(LIMIT):
                given = {"tool": "echo", "input": {"text": "hi"}, "server": "crm"}
                hers = await engine.wait((await engine.start("call", given, principal=ANN)).id, principal=ANN)
                assert hers.output == {"text": "hi"}
                his = await engine.start("call", given, principal=BOB)
                assert (await engine.wait(his.id, principal=BOB)).state == "auth-required"
                owners.tokens["bob"] = ["wrong", "too"]
                await engine.connections.signed_in("crm", principal=BOB)
                while not (waits := await engine.waits(his.id, principal=BOB)) or "again" not in waits[0].message:
                    await anyio.lowlevel.checkpoint()
                assert waits[0].message == "Connect crm again: the service refuses what there is"
                owners.tokens["bob"].append("minted")
                owners.tokens["bob"][:2] = ["minted", "minted"]
                await engine.connections.signed_in("crm", principal=BOB)
                async for _ in engine.subscribe(his.id, principal=BOB):
                    pass
                assert (await engine.get(his.id, principal=BOB)).output == {"text": "hi"}
