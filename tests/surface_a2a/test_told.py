"""What is told is in the protocol's words, whatever a step has made, and the same over each transport."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest
from a2a.types import a2a_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

from agentflow_a2a.told import artifact_json, parts_json
from tests.surface_a2a.served import Server

pytestmark = pytest.mark.anyio
V1 = {"A2A-Version": "1.0", "Content-Type": "application/json"}


def test_parts_of_a_step_that_are_none_of_the_protocol_s_are_told_as_data() -> None:
    good = [{"text": "x", "filename": "f"}, {"data": None}, {"url": "http://x", "metadata": {"a": 1}}, {"raw": "aGk="}]
    assert parts_json(good) == good
    assert parts_json([{"text": 5}, {"kind": "x"}, {"text": "a", "url": "b"}, 7]) == [
        {"data": {"text": 5}}, {"data": {"kind": "x"}}, {"data": {"text": "a", "url": "b"}}, {"data": 7},
    ]  # fmt: skip
    assert parts_json([{"text": "x", "kind": "text", "mediaType": None}]) == [{"text": "x"}]


@pytest.mark.parametrize("given", [{"artifactId": "a", "name": 1, "parts": [{"text": 5}], "metadata": 3}, {}, "x", 7])
def test_an_artifact_of_a_step_can_always_be_read_by_the_sdk(given: Any) -> None:
    ParseDict(artifact_json(given), pb.Artifact())


async def test_json_rpc_tells_what_the_sdk_s_types_tell(server: Server) -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"count": 3}}]}
    params = {"message": {**message, "metadata": {"skillId": "chunks"}}}
    call = {"jsonrpc": "2.0", "id": "x", "method": "SendStreamingMessage", "params": params}
    with anyio.fail_after(60):
        async with httpx.AsyncClient(headers=V1) as http:
            answer = await http.post(f"{server.url}/a2a", json=call)
            lines = [line[5:] for line in answer.text.splitlines() if line.startswith("data:")]
            told = [json.loads(line)["result"] for line in lines]
            kinds = [ParseDict(each, pb.StreamResponse()).WhichOneof("payload") for each in told]
            assert kinds == ["task", "status_update", *["artifact_update"] * 4, "status_update"]
            task_id = told[0]["task"]["id"]
            plain = await http.post(f"{server.url}/a2a", json={**call, "method": "GetTask", "params": {"id": task_id}})
            by_sdk = (await http.get(f"{server.url}/a2a/rest/tasks/{task_id}")).json()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert MessageToDict(ParseDict(plain.json()["result"], pb.Task())) == by_sdk
