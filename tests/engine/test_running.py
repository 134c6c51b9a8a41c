"""Running."""
import pytest

from agentflow.steps import set_
from tests.engine.lab import Lab

pytestmark = pytest.mark.anyio

async def test_x(lab: Lab) -> None:
    async def f() -> int:
        return 1
    done = await lab.run(set_("a", value=1), lab.call("b", f), set_("c", value="{steps.b}"))
    assert done.state == "completed", done
    assert done.output == 1
