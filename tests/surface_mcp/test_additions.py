"""What a config adds to the MCP server in Python stands beside its workflows, and passes the same gates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.types import (
    ElicitRequestParams,
    ElicitResult,
    EmptyResult,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)

from agentflow import Engine, load_config
from agentflow.errors import AgentflowError, DefinitionError
from agentflow_mcp.controls import CONTROLS
from agentflow_mcp.desk import Desk
from agentflow_mcp.protocol import make_server
from tests.surface_mcp.served import call, text_of

pytestmark = pytest.mark.anyio

CONFIG = """\
name: added
env: [SECRET]
python: {modules: [NAME]}
mcp: {additions: "NAME:add"}
workflows:
  hello: {steps: [{id: say, type: set, value: hello}]}
"""
MODULE = """\
import mcp.types as types

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def say(text):
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def add(additions):
    @additions.tool(types.Tool(name="shut", description="Changes the hours.", input_schema={"type": "object"}))
    async def shut(ctx, params):
        additions.updated("shop://hours")
        return say("shut")

    @additions.tool(types.Tool(name="grow", description="Adds a tool.", input_schema={"type": "object"}))
    async def grow(ctx, params):
        additions.tool(types.Tool(name="late", description="Came late.", input_schema=SCHEMA))(double)
        additions.changed("tools")
        return say("grown")

    @additions.tool(types.Tool(name="double", description="Doubles.", input_schema=SCHEMA))
    async def double(ctx, params):
        return say(str(2 * params.arguments["n"]))

    @additions.tool(types.Tool(name="tells", description="Tells.", input_schema={"type": "object"}))
    async def tells(ctx, params):
        return say("it is s3cret-value")

    @additions.tool(types.Tool(name="breaks", description="Breaks.", input_schema={"type": "object"}))
    async def breaks(ctx, params):
        raise RuntimeError("s3cret-value is wrong")

    @additions.tool(types.Tool(name="asks", description="Asks.", input_schema={"type": "object"}))
    async def asks(ctx, params):
        if params.request_state != "asked":
            form = types.ElicitRequestFormParams(message="Who?", requested_schema=NAME)
            return types.InputRequiredResult(
                input_requests={"who": types.ElicitRequest(params=form)}, request_state="asked"
            )
        return say(params.input_responses["who"].content["name"])

    @additions.prompt(types.Prompt(name="greeting", description="Greets."))
    async def greeting(ctx, params):
        content = types.TextContent(type="text", text="Say hello")
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content)])

    @additions.resource(types.Resource(uri="shop://hours", name="hours"))
    @additions.template(types.ResourceTemplate(uri_template="shop://items/{id}/price", name="price"))
    async def read(ctx, params):
        text = str(params.uri)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=text, text=text)])

    @additions.request("completion/complete", types.CompleteRequestParams)
    async def complete(ctx, params):
        return types.CompleteResult(completion=types.Completion(values=[params.argument.value + "!"]))
"""


async def name(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """Fill in a form."""
    return ElicitResult(action="accept", content={"name": "Ann"})


def subscribe(uri: str) -> SubscribeRequest:
    """Ask to hear of a resource, as clients before 2026-07-28 do."""
    return SubscribeRequest(params=SubscribeRequestParams(uri=uri))


def unsubscribe(uri: str) -> UnsubscribeRequest:
    """Ask not to hear of it any more."""
    return UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))


def written(folder: Path, module: str, *, named: str, config: str = CONFIG) -> Path:
    """Write a config that adds something; each test has a module of its own, or the process has it already."""
    (folder / f"{named}.py").write_text(module, encoding="utf-8")
    file = folder / "agentflow.yaml"
    file.write_text(config.replace("NAME", named), encoding="utf-8")
    return file


async def test_additions_are_listed_and_carried_out_beside_the_workflows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret-value")
    config = load_config(written(tmp_path, MODULE, named="added_all"))
    async with (
        Engine.open(tmp_path / "runs.db", config=config) as engine,
        Client(make_server(Desk(engine, CONTROLS, hold=10), "added"), elicitation_callback=name) as client,
    ):
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == sorted(names)
        assert {"double", "hello", "resume_workflow"} <= set(names)
        assert text_of(await call(client, "double", n=21)) == "42"
        assert text_of(await call(client, "hello")) == "hello"
        assert text_of(await call(client, "asks")) == "Ann"

        unfit = await call(client, "double", n="x")
        assert (unfit.is_error, "AF-INPUT-INVALID" in text_of(unfit)) == (True, True)
        broken = await call(client, "breaks")
        assert (broken.is_error, "RuntimeError" in text_of(broken)) == (True, True)
        for result in (await call(client, "tells"), broken):
            assert "s3cret-value" not in str(result)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await client.session.call_tool("asks", {}, input_responses={}, request_state="asked")

        prompt, other = PromptReference(name="greeting"), ResourceTemplateReference(uri="agentflow://workflows/{name}")
        completed = await client.complete(prompt, {"name": "x", "value": "an"})
        assert completed.completion.values == ["an!"]
        completed = await client.complete(other, {"name": "name", "value": "he"})
        assert completed.completion.values == ["hello"]
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["greeting"]
        [message] = (await client.get_prompt("greeting")).messages
        assert isinstance(message.content, TextContent)
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert uris == ["agentflow://workflows/hello", "shop://hours"]
        for uri in ("shop://hours", "shop://items/7/price"):
            [contents] = (await client.read_resource(uri)).contents
            assert isinstance(contents, TextResourceContents)
            assert contents.text == uri
        with pytest.raises(MCPError, match="Resource not found"):
            await client.read_resource("shop://items/7/9/price")


async def test_a_session_hears_of_changes_of_the_added_resources_it_has_subscribed_to(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MODULE, named="added_heard"))
    heard: list[str] = []
    event = anyio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
            event.set()

    async with (
        Engine.open(":memory:", config=config) as engine,
        Client(make_server(Desk(engine, CONTROLS, hold=10), "added"), mode="legacy", message_handler=hear) as client,
    ):
        await call(client, "shut")
        await client.session.send_request(subscribe("shop://hours"), EmptyResult)
        await call(client, "shut")
        with anyio.fail_after(10):
            await event.wait()
        await client.session.send_request(unsubscribe("shop://hours"), EmptyResult)
        await call(client, "shut")
        await client.list_tools()
        with pytest.raises(MCPError, match="Resource not found"):
            await client.session.send_request(subscribe("shop://nothing"), EmptyResult)
    assert heard == ["shop://hours"]


async def test_a_stream_hears_of_changed_lists_and_resources_and_a_late_tool_works(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MODULE, named="added_late"))
    async with (
        Engine.open(":memory:", config=config) as engine,
        Client(make_server(Desk(engine, CONTROLS, hold=10), "added"), mode="2026-07-28") as client,
        client.listen(tools_list_changed=True, resource_subscriptions=["shop://hours", "shop://nothing"]) as heard,
    ):
        with anyio.fail_after(10):
            await call(client, "grow")
            assert isinstance(await anext(heard), ToolsListChanged)
            await call(client, "shut")
            assert await anext(heard) == ResourceUpdated(uri="shop://hours")
        assert "late" in [tool.name for tool in (await client.list_tools()).tools]
        assert text_of(await call(client, "late", n=4)) == "8"
        assert (await call(client, "late", n="x")).is_error


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ('@additions.tool(types.Tool(name="hello", description="x", input_schema={}))', "has the name of another"),
        ('@additions.request("tools/call", types.CallToolRequestParams)', "is answered by the server itself"),
        ("raise RuntimeError('no')\n    @print", "of mcp.additions failed"),
    ],
)
async def test_additions_that_are_in_the_way_are_told_when_the_server_starts(
    tmp_path: Path, module: str, why: str
) -> None:
    code = f"import mcp.types as types\n\ndef add(additions):\n    {module}\n    async def do(ctx, params): ...\n"
    config = load_config(written(tmp_path, code, named=f"added_{abs(hash(why))}"))
    async with Engine.open(":memory:", config=config) as engine:
        with pytest.raises(AgentflowError, match=why):
            make_server(Desk(engine, CONTROLS, hold=10), "added")


def test_a_module_that_the_config_does_not_list_adds_nothing(tmp_path: Path) -> None:
    config = CONFIG.replace("python: {modules: [NAME]}\n", "")
    with pytest.raises(DefinitionError, match='uses the Python module "added_none"'):
        load_config(written(tmp_path, MODULE, named="added_none", config=config))


def test_secrets_stay_out_of_it(tmp_path: Path) -> None:
    """The field is a name, and nothing that a template could fill in."""
    broken: Any = CONFIG.replace('"NAME:add"', '"{env.SECRET}"')
    with pytest.raises(DefinitionError, match="names no function"):
        load_config(written(tmp_path, MODULE, named="added_secret", config=broken))
