"""The protocol as bytes on a wire, over two bindings: no SDK looks at what is sent, or at what comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote
from uuid import uuid4

import httpx

from agentflow.data import is_array

Json = dict[str, Any]
Binding = Literal["JSONRPC", "HTTP+JSON"]
VERSION = {"A2A-Version": "1.0"}
TABLE: Mapping[str, tuple[int, int, str]] = {
    "TASK_NOT_FOUND": (-32001, 404, "NOT_FOUND"),
    "TASK_NOT_CANCELABLE": (-32002, 400, "FAILED_PRECONDITION"),
    "PUSH_NOTIFICATION_NOT_SUPPORTED": (-32003, 400, "FAILED_PRECONDITION"),
    "UNSUPPORTED_OPERATION": (-32004, 400, "FAILED_PRECONDITION"),
    "CONTENT_TYPE_NOT_SUPPORTED": (-32005, 400, "INVALID_ARGUMENT"),
    "EXTENDED_AGENT_CARD_NOT_CONFIGURED": (-32007, 400, "FAILED_PRECONDITION"),
    "VERSION_NOT_SUPPORTED": (-32009, 400, "FAILED_PRECONDITION"),
    "INVALID_PARAMS": (-32602, 400, "INVALID_ARGUMENT"),
}
"""Reason: code of JSON-RPC, status of HTTP, status of google.rpc."""
_CONFIGS = "/tasks/{taskId}/pushNotificationConfigs"
ROUTES: Mapping[str, tuple[str, str]] = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{id}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{id}:cancel"),
    "SubscribeToTask": ("POST", "/tasks/{id}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", _CONFIGS),
    "GetTaskPushNotificationConfig": ("GET", f"{_CONFIGS}/{{id}}"),
    "ListTaskPushNotificationConfigs": ("GET", _CONFIGS),
    "DeleteTaskPushNotificationConfig": ("DELETE", f"{_CONFIGS}/{{id}}"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    binding: Binding
    http: httpx.Response
    body: Any

    @property
    def result(self) -> Any:
        """The result; fails where it is an error."""
        assert self.http.status_code == 200, self.body
        if self.binding == "JSONRPC":
            assert "error" not in self.body, self.body
            return self.body["result"]
        return self.body

    @property
    def task(self) -> Any:
        """The task that a message was answered with."""
        assert set(self.result) == {"task"}
        return self.result["task"]

    def refused(self, reason: str) -> Json:
        """Return the error, which has to be this one in each of its words."""
        code, status, name = TABLE[reason]
        error = self.body["error"]
        if self.binding == "JSONRPC":
            assert (self.http.status_code, error["code"]) == (200, code), self.body
            details = error["data"]
        else:
            assert (self.http.status_code, error["code"], error["status"]) == (status, status, name), self.body
            details = error["details"]
        assert error["message"]
        assert is_array(details)
        assert all(each["@type"].startswith("type.googleapis.com/google.rpc.") for each in details)
        assert details[0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
        assert (details[0]["reason"], details[0]["domain"]) == (reason, "a2a-protocol.org")
        assert all(isinstance(value, str) for value in details[0].get("metadata", {}).values())
        return {"message": error["message"], "details": details}

    def fields(self) -> list[str]:
        """Return the fields that were wrong."""
        details = self.refused("INVALID_PARAMS")["details"]
        assert details[1]["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        assert all(each["description"] for each in details[1]["fieldViolations"])
        return [each["field"] for each in details[1]["fieldViolations"]]


@dataclass
class Stream:
    """An open stream: its answer, and its events; or the error that came instead."""

    answer: Answer
    events: AsyncIterator[Json] = field(repr=False)

    async def rest(self) -> list[Json]:
        """Return what comes until the stream ends."""
        return [event async for event in self.events]


class Wire:
    """One client of one binding."""

    def __init__(self, http: httpx.AsyncClient, base: str, binding: Binding, token: str | None = None) -> None:
        """Speak to the agent whose routes begin at `base`."""
        self.http = http
        self.base = base
        self.binding: Binding = binding
        self.headers = {**VERSION, **({"Authorization": f"Bearer {token}"} if token else {})}

    def _request(self, operation: str, params: Json, headers: Mapping[str, str] | None) -> httpx.Request:
        sent = dict(self.headers if headers is None else headers)
        if self.binding == "JSONRPC":
            call = {"jsonrpc": "2.0", "id": f"id-{operation}", "method": operation, "params": params}
            return self.http.build_request("POST", f"{self.base}/a2a", json=call, headers=sent)
        method, path = ROUTES[operation]
        left = dict(params)
        for name in ("taskId", "id"):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", quote(str(left.pop(name, "")), safe=""))
        url = f"{self.base}/a2a/rest{path}"
        if method == "POST":
            return self.http.build_request(method, url, json=left, headers=sent)
        query = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in left.items()}
        return self.http.build_request(method, url, params=query, headers=sent)

    async def call(self, operation: str, params: Json, headers: Mapping[str, str] | None = None) -> Answer:
        """Do an operation."""
        response = await self.http.send(self._request(operation, params, headers))
        answer = Answer(self.binding, response, response.json() if response.content else None)
        if self.binding == "JSONRPC" and response.status_code == 200:
            assert (answer.body["jsonrpc"], answer.body["id"]) == ("2.0", f"id-{operation}")
            assert ("result" in answer.body) != ("error" in answer.body)
            assert response.headers["content-type"].startswith("application/json")
        return answer

    @asynccontextmanager
    async def open(
        self, operation: str, params: Json, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Stream]:
        """Open a stream."""
        response = await self.http.send(self._request(operation, params, headers), stream=True)
        try:
            if response.headers["content-type"].startswith("text/event-stream"):
                assert response.status_code == 200
                yield Stream(Answer(self.binding, response, None), self._events(operation, response))
            else:
                await response.aread()
                yield Stream(Answer(self.binding, response, response.json()), _nothing())
        finally:
            await response.aclose()

    async def _events(self, operation: str, response: httpx.Response) -> AsyncIterator[Json]:
        async for line in response.aiter_lines():
            if not line.startswith("data:"):
                continue
            body = json.loads(line.removeprefix("data:"))
            if self.binding == "JSONRPC":
                assert (body["jsonrpc"], body["id"]) == ("2.0", f"id-{operation}")
                body = body["result"]
            assert len(body) == 1
            assert set(body) <= {"task", "message", "statusUpdate", "artifactUpdate"}
            yield body

    async def send(self, behaviour: str, text: str = "hello", **fields: Any) -> Answer:
        """Send a message; `behaviour`: how its id begins."""
        configuration: Json = fields.pop("configuration", {})
        return await self.call(
            "SendMessage", {"message": message(behaviour, text, **fields), "configuration": configuration}
        )


async def _nothing() -> AsyncIterator[Json]:
    for event in list[Json]():
        yield event


def message(behaviour: str, text: str = "hello", **fields: Any) -> Json:
    """Return a message."""
    return {
        "messageId": f"{behaviour}-{uuid4().hex}",
        "role": "ROLE_USER",
        "parts": [{"text": text}],
        **fields,
    }


def state(task: Json) -> str:
    """Return a task's state, short."""
    return str(task["status"]["state"]).removeprefix("TASK_STATE_")


def words(status: Json) -> str:
    """Return what a status says."""
    return "\n".join(part["text"] for part in status.get("message", {}).get("parts", ()) if "text" in part)
