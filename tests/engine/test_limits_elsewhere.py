"""Limits of granted skills hold where a step is executed, also in another process."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow.steps import api_call, script
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio
OPTIONS: dict[str, Any] = {
    "config": {
        "skills": {
            "native:shell": {"programs": ["true"], "folders": ["."], "env": ["NAME"]},
            "native:network": {"allow": ["api.example.com"], "methods": ["GET"]},
        }
    }
}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": "false"}, 'the program "false" isn\'t allowed by native:shell'),
        ({"command": "true", "cwd": "/"}, 'the folder "/" isn\'t allowed by native:shell'),
        ({"command": "true", "env": {"OTHER": "x"}}, 'the variable "OTHER" isn\'t allowed by native:shell'),
    ],
)
async def test_a_script_keeps_to_the_limits_of_shell_wherever_it_is_executed(
    lab: Lab, fields: dict[str, Any], said: str
) -> None:
    done = await lab.run(script("s", **fields), options=OPTIONS)
    assert (done.errors["s"].code, done.errors["s"].message) == ("AF-SKILL-DENIED", said)
    assert (await lab.run(script("s", command="true"), options=OPTIONS)).state == "completed"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "https://other.example.com"}, 'host "other.example.com" isn\'t allowed by native:network'),
        ({"url": "https://api.example.com", "method": "POST"}, 'method "POST" isn\'t allowed by native:network'),
        ({"url": "http://127.0.0.1:9"}, 'host "127.0.0.1" isn\'t allowed by native:network'),
    ],
)
async def test_a_request_keeps_to_the_limits_of_network_wherever_it_is_sent(
    lab: Lab, fields: dict[str, Any], said: str
) -> None:
    done = await lab.run(api_call("s", **fields), options=OPTIONS)
    assert (done.errors["s"].code, done.errors["s"].message) == ("AF-NETWORK-DENIED", said)
