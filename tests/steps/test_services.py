"""What a process offers to its steps."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agentflow.errors import Defect
from agentflow.steps.services import ProcessServices, services_of
from tests.steps.context import FakeContext

pytestmark = pytest.mark.anyio


def test_secrets_are_found_by_name() -> None:
    services = ProcessServices(env_values={"TOKEN": "x"})
    assert (services.secret("TOKEN"), services.secret("OTHER")) == ("x", None)


async def test_there_is_one_client_until_it_is_closed() -> None:
    services = ProcessServices()
    client = services.http
    assert services.http is client
    await services.aclose()
    assert client.is_closed
    await services.aclose()


async def test_other_services_are_a_defect() -> None:
    ctx = FakeContext()
    ctx.services = object()  # pyright: ignore[reportAttributeAccessIssue]  wrong on purpose
    with pytest.raises(Defect):
        services_of(ctx)


@pytest.mark.parametrize("module", ["api_call", "script", "python", "tool_call", "agent_run", "services"])
def test_a_step_types_module_loads_no_http_client(module: str) -> None:
    code = (
        f"import agentflow.steps.{module}, sys; print({{'httpx', 'subprocess', 'rich', 'ctypes'}} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "httpx" not in done.stdout
    assert "rich" not in done.stdout
