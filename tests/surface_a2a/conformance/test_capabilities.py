"""What the card denies is refused as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from tests.surface_a2a.conformance.conftest import AGENT, BINDINGS
from tests.surface_a2a.conformance.wire import Json, Wire, message
from tests.surface_a2a.served import Server

pytestmark = pytest.mark.anyio
CONFIG: Json = {"taskId": "any", "url": "http://127.0.0.1:1/"}


@pytest.fixture(scope="module")
def silent() -> Iterator[Server]:
    """The agent, which sends no push notifications."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder), config=AGENT.replace("push: {private: true}", "push: {enabled: false}"))
        try:
            yield made
        finally:
            made.end()


@pytest.fixture(params=BINDINGS)
def without(request: pytest.FixtureRequest, http: httpx.AsyncClient, silent: Server) -> Wire:
    """A client of each binding."""
    return Wire(http, silent.url, request.param)


@pytest.mark.a2a("PUSH-1", "ERR-4")
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreateTaskPushNotificationConfig", CONFIG),
        ("GetTaskPushNotificationConfig", {"taskId": "any", "id": "c"}),
        ("ListTaskPushNotificationConfigs", {"taskId": "any"}),
        ("DeleteTaskPushNotificationConfig", {"taskId": "any", "id": "c"}),
        (
            "SendMessage",
            {"message": message("text"), "configuration": {"taskPushNotificationConfig": {"url": "http://x"}}},
        ),
    ],
)
async def test_without_the_capability_push_notifications_are_refused(
    without: Wire, operation: str, params: Any
) -> None:
    assert (
        not (await without.http.get(f"{without.base}/.well-known/agent-card.json"))
        .json()["capabilities"]
        .get("pushNotifications")
    )
    (await without.call(operation, params)).refused("PUSH_NOTIFICATION_NOT_SUPPORTED")
