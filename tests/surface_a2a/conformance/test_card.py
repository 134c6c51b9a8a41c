"""The card, and what it says the agent can't do."""

from __future__ import annotations

import httpx
import pytest

from tests.surface_a2a.conformance.wire import VERSION, Json, Wire, state, words

pytestmark = pytest.mark.anyio


async def _card(wire: Wire) -> httpx.Response:
    answer = await wire.http.get(f"{wire.base}/.well-known/agent-card.json")
    assert answer.status_code == 200
    return answer


@pytest.mark.a2a("CARD-1", "CARD-2", "CARD-4", "JSON-1")
async def test_the_card_says_who_the_agent_is_and_what_it_can_do(rpc: Wire) -> None:
    answer = await _card(rpc)
    card = answer.json()
    assert answer.headers["content-type"].startswith("application/json")
    for name in ("name", "description", "version", "supportedInterfaces", "defaultInputModes", "defaultOutputModes"):
        assert card[name], name
    assert card["capabilities"]["streaming"] is True
    for skill in card["skills"]:
        assert all(skill[name] for name in ("id", "name", "description", "tags"))
    assert len({skill["id"] for skill in card["skills"]}) == len(card["skills"]) > 0


@pytest.mark.a2a("CARD-3", "CARD-6", "CARD-7", "VER-5")
async def test_each_interface_of_the_card_answers_at_its_url_in_its_version(rpc: Wire) -> None:
    card = (await _card(rpc)).json()
    found = {(each["protocolBinding"], each["protocolVersion"]): each["url"] for each in card["supportedInterfaces"]}
    assert {("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3"), ("HTTP+JSON", "0.3")} <= found.keys()
    call: Json = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    over_rpc = await rpc.http.post(found["JSONRPC", "1.0"], json=call, headers=VERSION)
    assert over_rpc.json()["result"]["pageSize"] == 50
    over_rest = await rpc.http.get(f"{found['HTTP+JSON', '1.0']}/tasks", headers=VERSION)
    assert over_rest.json()["pageSize"] == 50
    old = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "nobody"}}
    assert (await rpc.http.post(found["JSONRPC", "0.3"], json=old)).json()["error"]["code"] == -32001
    assert (await rpc.http.get(f"{found['HTTP+JSON', '0.3']}/v1/tasks/nobody")).status_code == 404


@pytest.mark.a2a("CARD-5")
async def test_the_card_may_be_kept_and_is_not_sent_again(rpc: Wire) -> None:
    first = await _card(rpc)
    assert "max-age" in first.headers["cache-control"]
    again = await rpc.http.get(first.url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await rpc.http.get(first.url, headers={"If-None-Match": '"another"'})
    assert (other.status_code, other.headers["etag"]) == (200, first.headers["etag"])


@pytest.mark.a2a("CARD-9")
async def test_clients_of_the_old_protocol_find_their_fields(rpc: Wire) -> None:
    card = (await _card(rpc)).json()
    assert (card["url"], card["preferredTransport"], card["protocolVersion"][:3]) == (
        f"{rpc.base}/a2a", "JSONRPC", "0.3",
    )  # fmt: skip
    assert {each["transport"] for each in card["additionalInterfaces"]} >= {"HTTP+JSON"}


@pytest.mark.a2a("XCARD-1")
async def test_without_the_capability_there_is_no_extended_card(wire: Wire) -> None:
    assert not (await _card(wire)).json()["capabilities"].get("extendedAgentCard")
    (await wire.call("GetExtendedAgentCard", {})).refused("UNSUPPORTED_OPERATION")


@pytest.mark.a2a("AUTH-4", "STATE-4")
async def test_a_task_that_needs_credentials_says_so_and_goes_on_when_they_are_there(wire: Wire) -> None:
    task = (await wire.send("auth")).task
    assert (state(task), words(task["status"])) == ("AUTH_REQUIRED", "Sign in at https://login.example.com")
    listed = (await wire.call("ListTasks", {"status": "TASK_STATE_AUTH_REQUIRED"})).result["tasks"]
    assert task["id"] in [each["id"] for each in listed]
    assert state((await wire.send("x", "done", taskId=task["id"])).task) == "COMPLETED"
