"""Tool calls: functions and providers as tools, and what their answers become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from agentflow.codes import CODES
from agentflow.errors import StepError
from agentflow.extras import installing
from agentflow.steps import remote
from agentflow.steps.contract import Context
from agentflow.steps.services import ProcessServices
from agentflow.steps.tool_call import TYPES
from tests.steps.context import KEY, FakeContext, run

pytestmark = pytest.mark.anyio


class Crm:
    """A server with one tool."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.calls: list[tuple[str, Mapping[str, Any], str]] = []

    async def call(self, tool: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        if tool != "search":
            raise LookupError(tool)
        self.calls.append((tool, arguments, ctx.idempotency_key))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


async def call(services: ProcessServices, **config: Any) -> Any:
    return await run("tool_call", config, FakeContext(services))


async def failing(services: ProcessServices, **config: Any) -> StepError:
    with pytest.raises(StepError) as caught:
        await call(services, **config)
    assert caught.value.code in CODES
    return caught.value


@pytest.mark.case("D-KIND-1")
@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ('{"a": 1}', {"a": 1}),
        (" [1, 2]\n", [1, 2]),
        ("plain text", {"output": "plain text"}),
        ("", {"output": ""}),
        (None, {"output": ""}),
        ("42", {"output": "42"}),
        ("{broken", {"output": "{broken"}),
        ({"a": 1}, {"a": 1}),
        ([1], [1]),
        (42, 42),
        (False, False),
    ],
)
async def test_an_answer_is_data_json_text_or_output(answer: Any, result: Any) -> None:
    assert await call(ProcessServices(tools={"crm": Crm(answer)}), tool_name="search") == result
    assert await call(ProcessServices(tools={"search": lambda: answer}), tool_name="search") == result


async def test_a_function_is_a_tool_with_its_arguments_by_name() -> None:
    def add(a: int, b: int = 1) -> int:
        return a + b

    services = ProcessServices(tools={"add": add})
    assert await call(services, tool_name="add", input={"a": 1}) == 2
    error = await failing(services, tool_name="add", input={"a": 1, "c": 2})
    assert str(error) == 'function "add" takes a, b?; the input has a, c'


async def test_the_config_names_a_function_as_a_tool() -> None:
    services = ProcessServices(tools={"root": {"python": "math:sqrt"}}, python_modules=["math"])
    assert await call(services, tool_name="root", input={"x": 9}) == 3.0
    error = await failing(ProcessServices(tools={"root": {"python": "math:sqrt"}}), tool_name="root", input={"x": 9})
    assert (str(error), error.code) == ('module "math" isn\'t allowed', "AF-PYTHON-DENIED")


async def test_a_server_is_asked_with_the_arguments_and_the_context() -> None:
    crm = Crm({"found": 1})
    services = ProcessServices(tools={"crm": crm, "other": Crm(), "local": lambda: 1})
    assert await call(services, tool_name="search", input={"q": "x"}, server="crm") == {"found": 1}
    assert await call(services, tool_name="search", input={"q": "y"}) == {"found": 1}
    assert crm.calls == [("search", {"q": "x"}, KEY), ("search", {"q": "y"}, KEY)]


@pytest.mark.case("D-KIND-2", "A-25")
async def test_an_unknown_tool_is_not_found_and_not_retried() -> None:
    for services in (ProcessServices(), ProcessServices(tools={"crm": Crm()})):
        error = await failing(services, tool_name="x")
        assert (str(error), error.code, error.retryable) == ("Tool 'x' not found", "AF-TOOL-UNKNOWN", False)
    error = await failing(ProcessServices(tools={"lookup": lambda: 1}), tool_name="lokup")
    assert (str(error), error.hint) == ("Tool 'lokup' not found", 'did you mean "lookup"?')


async def test_an_unknown_server_is_named() -> None:
    error = await failing(ProcessServices(tools={"crm": Crm()}), tool_name="search", server="crn")
    assert str(error) == "Tool 'search' not found: there is no server \"crn\""
    assert error.hint == 'did you mean "crm"?'


async def test_a_server_of_the_config_gives_way_to_one_that_is_given_in_python() -> None:
    services = ProcessServices(tools={"crm": {"command": "crm-mcp"}})
    services.add_tool("crm", Crm("now"))
    assert await call(services, tool_name="search", server="crm") == {"output": "now"}


@pytest.mark.parametrize("error", [ValueError("down"), SystemExit("down"), KeyError("down")])
async def test_a_tool_that_raises_fails_the_step(error: BaseException) -> None:
    def tool() -> None:
        raise error

    failure = await failing(ProcessServices(tools={"search": tool}), tool_name="search")
    assert (failure.code, failure.kind, failure.retryable) == ("AF-TOOL-FAILED", "exception", True)
    assert "down" in str(failure)


async def test_a_provider_that_raises_fails_the_step() -> None:
    services = ProcessServices(tools={"crm": Crm(ValueError("down"))})
    assert (await failing(services, tool_name="search")).code == "AF-TOOL-FAILED"
    given = StepError("denied", retryable=False)
    assert await failing_any(ProcessServices(tools={"crm": Crm(given)})) is given


async def failing_any(services: ProcessServices) -> StepError:
    with pytest.raises(StepError) as caught:
        await call(services, tool_name="search")
    return caught.value


async def test_a_cancelled_tool_is_interrupted() -> None:
    started, ended = anyio.Event(), anyio.Event()

    async def slow() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    ctx = FakeContext(ProcessServices(tools={"slow": slow}))
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, "tool_call", {"tool_name": "slow"}, ctx)
            await started.wait()
            tasks.cancel_scope.cancel()
    assert ended.is_set()


def test_the_type_says_what_it_needs() -> None:
    (spec,) = TYPES
    assert (spec.name, spec.skills, spec.timeout, spec.outbound) == ("tool_call", ("native:tool",), 60.0, ("input",))
    assert (spec.takes_input, spec.unsafe) == (True, True)


class Lacking:
    """An entry point whose package lacks another one."""

    def load(self) -> None:
        raise ModuleNotFoundError("no", name="mcp.client")


async def test_a_server_whose_extra_isnt_installed_fails_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(**_: str) -> list[Lacking]:
        return [Lacking()]

    monkeypatch.setattr(remote, "entry_points", found)
    error = await failing(ProcessServices(tools={"crm": {"command": "crm-mcp"}}), tool_name="search", server="crm")
    assert (str(error), error.code) == ('server "crm" needs the package "mcp", which isn\'t installed', "AF-INSTALL")
    assert error.hint == installing("mcp")
