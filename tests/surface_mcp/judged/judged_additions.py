"""What a workflow doesn't express: other contents, prompts, what clients are asked besides forms, logs."""

from __future__ import annotations

import json
from typing import Any

import mcp.types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError

from agentflow_mcp.additions import Additions

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
EMPTY: dict[str, Any] = {"type": "object", "properties": {}}
NAME: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
Context = ServerRequestContext[Any]
Content = types.TextContent | types.ImageContent | types.AudioContent | types.EmbeddedResource


def add(additions: Additions) -> None:
    """Add it."""
    _contents(additions)
    _logs(additions)
    _changes(additions)
    _handshake(additions)
    _rounds(additions)
    _prompts(additions)
    _resources(additions)
    _others(additions)


def _tool(name: str, description: str, schema: dict[str, Any] | None = None) -> types.Tool:
    return types.Tool(name=name, description=description, input_schema=schema or EMPTY)


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


def _image() -> types.ImageContent:
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def _embedded(uri: str, mime_type: str, text: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


def _result(*content: Content) -> types.CallToolResult:
    return types.CallToolResult(content=[*content])


def _contents(additions: Additions) -> None:
    results = {
        "test_image_content": _result(_image()),
        "test_audio_content": _result(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")),
        "test_embedded_resource": _result(
            _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
        ),
        "test_multiple_content_types": _result(
            _text("Multiple content types test:"),
            _image(),
            _embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}'),
        ),
    }
    for name, result in results.items():

        async def give(ctx: Context, params: Any, result: types.CallToolResult = result) -> types.CallToolResult:
            return result

        additions.tool(_tool(name, "Gives contents of other kinds than text."))(give)


def _logs(additions: Additions) -> None:
    async def log(ctx: Context, text: str) -> None:
        await ctx.session.send_log_message("info", text, related_request_id=ctx.request_id)  # pyright: ignore[reportDeprecated]  the suite asks for it

    @additions.tool(_tool("test_tool_with_logging", "Logs three lines."))
    async def three(ctx: Context, params: Any) -> types.CallToolResult:
        for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await log(ctx, text)
        return _result(_text("logged"))

    @additions.tool(_tool("test_logging_tool", "Logs a line."))
    async def one(ctx: Context, params: Any) -> types.CallToolResult:
        await log(ctx, "a line")
        return _result(_text("logged"))

    @additions.request("logging/setLevel", types.SetLevelRequestParams)
    async def level(ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        return types.EmptyResult()


def _changes(additions: Additions) -> None:
    @additions.tool(_tool("test_trigger_tool_change", "Adds a tool, or takes it away again."))
    async def tools(ctx: Context, params: Any) -> types.CallToolResult:
        if additions.tools.pop("test_triggered", None) is None:
            additions.tool(_tool("test_triggered", "Comes and goes."))(tools)
        additions.changed("tools")
        return _result(_text("changed"))

    @additions.tool(_tool("test_trigger_prompt_change", "Adds a prompt, or takes it away again."))
    async def prompts(ctx: Context, params: Any) -> types.CallToolResult:
        if additions.prompts.pop("test_triggered", None) is None:

            @additions.prompt(types.Prompt(name="test_triggered", description="Comes and goes."))
            async def triggered(ctx: Context, params: Any) -> types.GetPromptResult:
                return types.GetPromptResult(messages=[_user(_text("triggered"))])

        additions.changed("prompts")
        return _result(_text("changed"))


def _handshake(additions: Additions) -> None:
    prompt = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}

    @additions.tool(_tool("test_sampling", "Asks the client's model.", prompt))
    async def sampling(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        said = (params.arguments or {})["prompt"]
        asked = types.SamplingMessage(role="user", content=_text(said))
        session = ctx.session
        reply = await session.create_message([asked], max_tokens=100, related_request_id=ctx.request_id)  # pyright: ignore[reportDeprecated]  as above
        return _result(_text(f"LLM response: {reply.content}"))

    @additions.tool(_tool("test_elicitation_sep1330_enums", "Asks with each form of choices."))
    async def choices(ctx: Context, params: Any) -> types.CallToolResult:
        reply = await ctx.session.elicit_form("Choose", CHOICES, related_request_id=ctx.request_id)
        return _result(_text(f"Elicitation completed: action={reply.action}, content={reply.content}"))

    @additions.tool(_tool("test_missing_capability", "Is only for clients that have a model to ask."))
    async def missing(ctx: Context, params: Any) -> types.CallToolResult:
        if not ctx.session.check_client_capability(types.ClientCapabilities(sampling=types.SamplingCapability())):
            needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "it needs sampling", needed)
        return _result(_text("it is there"))


def _options(key: str, word: str) -> list[dict[str, str]]:
    return [{key: f"value{n}", "title": f"{nth} {word}"} for n, nth in enumerate(("First", "Second", "Third"), 1)]


CHOICES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": _options("const", "Option")},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": _options("const", "Choice")}},
    },
}


def _form(message: str, schema: dict[str, Any]) -> types.ElicitRequest:
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str, most: int) -> types.CreateMessageRequest:
    asked = types.SamplingMessage(role="user", content=_text(text))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[asked], max_tokens=most))


def _rounds(additions: Additions) -> None:
    capital, roots = _sample("What is the capital of France?", 100), types.ListRootsRequest()
    one: dict[str, dict[str, Any]] = {
        "test_input_required_result_sampling": {"capital_question": capital},
        "test_input_required_result_list_roots": {"client_roots": roots},
        "test_input_required_result_multiple_inputs": {
            "user_name": _form("What is your name?", NAME),
            "greeting": _sample("Generate a greeting", 50),
            "client_roots": roots,
        },
    }
    for name, asked in one.items():

        async def ask(
            ctx: Context, params: types.CallToolRequestParams, asked: dict[str, Any] = asked
        ) -> types.CallToolResult | types.InputRequiredResult:
            given = params.input_responses or {}
            if asked.keys() - given.keys():
                return types.InputRequiredResult(input_requests=asked, request_state="asked")
            return _result(_text(json.dumps({key: given[key].model_dump(mode="json") for key in asked})))

        additions.tool(_tool(name, "Asks the client between two rounds of the call."))(ask)

    @additions.tool(_tool("test_input_required_result_capabilities", "Asks what the client can be asked."))
    async def able(
        ctx: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        has = ctx.session.client_capabilities or types.ClientCapabilities()
        asked: dict[str, Any] = {}
        if has.sampling is not None:
            asked["capital_question"] = capital
        if has.elicitation is not None:
            asked["user_name"] = _form("What is your name?", NAME)
        if asked.keys() - (params.input_responses or {}).keys():
            return types.InputRequiredResult(input_requests=asked, request_state="asked")
        return _result(_text("done"))


def _user(content: Content) -> types.PromptMessage:
    return types.PromptMessage(role="user", content=content)


def _prompts(additions: Additions) -> None:
    def words(*names: str) -> list[types.PromptArgument]:
        return [types.PromptArgument(name=name, description=f"The {name}.", required=True) for name in names]

    @additions.prompt(types.Prompt(name="test_simple_prompt", description="A text."))
    async def simple(ctx: Context, params: Any) -> types.GetPromptResult:
        return types.GetPromptResult(messages=[_user(_text("This is a simple prompt for testing."))])

    @additions.prompt(
        types.Prompt(name="test_prompt_with_arguments", description="A template.", arguments=words("arg1", "arg2"))
    )
    async def template(ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        said = params.arguments or {}
        text = f"Prompt with arguments: arg1='{said.get('arg1')}', arg2='{said.get('arg2')}'"
        return types.GetPromptResult(messages=[_user(_text(text))])

    @additions.prompt(
        types.Prompt(
            name="test_prompt_with_embedded_resource", description="A resource.", arguments=words("resourceUri")
        )
    )
    async def embedded(ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        uri = (params.arguments or {})["resourceUri"]
        whole = _embedded(uri, "text/plain", "Embedded resource content for testing.")
        return types.GetPromptResult(
            messages=[_user(whole), _user(_text("Please process the embedded resource above."))]
        )

    @additions.prompt(types.Prompt(name="test_prompt_with_image", description="An image."))
    async def image(ctx: Context, params: Any) -> types.GetPromptResult:
        return types.GetPromptResult(messages=[_user(_image()), _user(_text("Please analyze the image above."))])

    @additions.prompt(types.Prompt(name="test_input_required_result_prompt", description="Asks for its context."))
    async def asks(
        ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        if "user_context" not in (params.input_responses or {}):
            schema = {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]}
            asked = _form("What context should the prompt use?", schema)
            return types.InputRequiredResult(input_requests={"user_context": asked})
        return types.GetPromptResult(messages=[_user(_text("with that context"))])


def _resources(additions: Additions) -> None:
    text, binary, watched = (
        types.Resource(uri=f"test://{name}", name=name, description="For tests.", mime_type=kind)
        for name, kind in (
            ("static-text", "text/plain"), ("static-binary", "image/png"), ("watched-resource", "text/plain")
        )
    )  # fmt: skip

    @additions.resource(text)
    async def read_text(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        said = "This is the content of the static text resource."
        return _read(types.TextResourceContents(uri=str(params.uri), mime_type="text/plain", text=said))

    @additions.resource(binary)
    async def read_binary(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return _read(types.BlobResourceContents(uri=str(params.uri), mime_type="image/png", blob=PNG))

    @additions.resource(watched)
    async def read_watched(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return _read(types.TextResourceContents(uri=str(params.uri), mime_type="text/plain", text="watched"))

    form = "test://template/{id}/data"

    @additions.template(types.ResourceTemplate(uri_template=form, name="data", description="For tests."))
    async def read_data(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        name = str(params.uri).split("/")[3]
        data = {"id": name, "templateTest": True, "data": f"Data for ID: {name}"}
        return _read(
            types.TextResourceContents(uri=str(params.uri), mime_type="application/json", text=json.dumps(data))
        )


def _read(contents: types.TextResourceContents | types.BlobResourceContents) -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[contents], ttl_ms=0, cache_scope="private")


def _others(additions: Additions) -> None:
    @additions.request("completion/complete", types.CompleteRequestParams)
    async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        known = ["paris", "park", "party"]
        found = [word for word in known if word.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=found, total=len(found), has_more=False))
