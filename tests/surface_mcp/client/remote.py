"""An MCP server for the tests of the client, on the SDK's low-level server: `python remote.py LEDGER stdio|PORT-FILE`.

What its tools do stands in the ledger, a line each. Its tasks are files beside the ledger: they survive it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import mcp.types as T
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

TASKS = "io.modelcontextprotocol/tasks"
TEXT: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
FORM: dict[str, Any] = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
NONE: dict[str, Any] = {"type": "object", "properties": {}}
LEDGER = Path(sys.argv[1])
Context = ServerRequestContext[Any]

TOOLS = [
    T.Tool(name="echo", description="Gives the text back.", input_schema=TEXT, output_schema=TEXT),
    T.Tool(name="words", input_schema=TEXT),
    T.Tool(name="picture", input_schema=NONE),
    T.Tool(name="fail", input_schema=NONE),
    T.Tool(name="lie", input_schema=NONE, output_schema=TEXT),
    T.Tool(name="slow", input_schema=NONE),
    T.Tool(name="die", input_schema=NONE),
    T.Tool(name="ask", input_schema=NONE),
    T.Tool(name="visit", input_schema=NONE),
    T.Tool(name="long", input_schema=NONE, execution=T.ToolExecution(task_support="optional")),
    T.Tool(name="longask", input_schema=NONE, execution=T.ToolExecution(task_support="required")),
    T.Tool(name="me", input_schema=NONE),
    T.Tool(name="priced", input_schema=NONE),
]


def note(*words: object) -> None:
    """Write a line into the ledger."""
    with LEDGER.open("a") as file:
        file.write(" ".join(map(str, words)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def tell(path: Path, port: int) -> None:
    """Write where this server listens."""
    made = path.with_suffix(".new")
    made.write_text(str(port))
    made.replace(path)


def task_file(task: str) -> Path:
    """Return where a task is kept."""
    path = LEDGER.with_name(f"{task}.task")
    if not path.exists():
        raise MCPError(T.INVALID_PARAMS, "Task not found")
    return path


def text(value: str, **more: Any) -> T.CallToolResult:
    """Return a result that is text."""
    return T.CallToolResult(content=[T.TextContent(type="text", text=value)], **more)


async def call_tool(ctx: Context, params: T.CallToolRequestParams) -> Any:
    """Call a tool."""
    meta: Any = ctx.meta or {}
    note("call", params.name, meta.get("agentflow/idempotency-key"))
    known = {tool.name: tool for tool in TOOLS}
    if params.name not in known:
        raise MCPError(T.INVALID_PARAMS, f"Unknown tool: {params.name}")
    return await globals()[f"do_{params.name}"](ctx, params)


async def do_echo(ctx: Context, params: T.CallToolRequestParams) -> Any:
    arguments: Any = params.arguments
    return text(json.dumps(arguments), structured_content=arguments)


async def do_words(ctx: Context, params: T.CallToolRequestParams) -> Any:
    return text((params.arguments or {})["text"])


async def do_me(ctx: Context, params: T.CallToolRequestParams) -> Any:
    headers = dict(ctx.request.headers) if ctx.request is not None else {}
    data = {
        "version": ctx.protocol_version, "pid": os.getpid(), "cwd": os.getcwd(), "token": os.environ.get("TOKEN"),
        "authorization": headers.get("authorization"), "others": "HOSTILE" in os.environ,
    }  # fmt: skip
    return text("me", structured_content=data)


async def do_priced(ctx: Context, params: T.CallToolRequestParams) -> Any:
    return text("done", _meta={"usage": {"model": "far", "input_tokens": 40, "output_tokens": 2, "cost": 0.125}})


async def do_picture(ctx: Context, params: T.CallToolRequestParams) -> Any:
    picture = T.ImageContent(type="image", data="AAAA", mime_type="image/png")
    return T.CallToolResult(content=[T.TextContent(type="text", text="a dot"), picture])


async def do_fail(ctx: Context, params: T.CallToolRequestParams) -> Any:
    return text("no more paper", is_error=True)


async def do_lie(ctx: Context, params: T.CallToolRequestParams) -> Any:
    return text("lie", structured_content={"txt": 1})


async def do_slow(ctx: Context, params: T.CallToolRequestParams) -> Any:
    await ctx.session.report_progress(1, 4, "a quarter")
    note("slow begins")
    try:
        await anyio.sleep(600)
    except BaseException:
        note("slow cancelled")
        raise


async def do_die(ctx: Context, params: T.CallToolRequestParams) -> Any:
    sys.stderr.write(f"out of cheese {os.environ.get('TOKEN', '')}\n")
    sys.stderr.flush()
    os._exit(3)


async def do_ask(ctx: Context, params: T.CallToolRequestParams) -> Any:
    if ctx.protocol_version < "2026-07-28":
        try:
            reply = await ctx.session.elicit_form("Really?", FORM, related_request_id=ctx.request_id)
        except anyio.get_cancelled_exc_class():
            note("asked in vain")
            raise
        note("done", reply.action)
        return text("", structured_content={"action": reply.action, "content": reply.content})
    given: Any = params.input_responses or {}
    if params.request_state is None:
        requests: Any = {
            "one": T.ElicitRequest(params=T.ElicitRequestFormParams(message="Really?", requested_schema=FORM)),
        }
        return T.InputRequiredResult(input_requests=requests, request_state="asked-1")
    reply = given["one"]
    note("done", params.request_state, reply.action)
    return text("", structured_content={"action": reply.action, "content": reply.content})


async def do_visit(ctx: Context, params: T.CallToolRequestParams) -> Any:
    if params.request_state is None:
        url = T.ElicitRequestURLParams(message="Pay there", url="https://pay.example/1", elicitation_id="e1")
        return T.InputRequiredResult(input_requests={"pay": T.ElicitRequest(params=url)}, request_state="s")
    reply: Any = (params.input_responses or {})["pay"]
    return text("", structured_content={"action": reply.action})


async def do_long(ctx: Context, params: T.CallToolRequestParams) -> Any:
    return new_task("long", {"status": "working", "statusMessage": "Works"})


async def do_longask(ctx: Context, params: T.CallToolRequestParams) -> Any:
    question = {"mode": "form", "message": "Go on?", "requestedSchema": FORM}
    requests = {"go": {"method": "elicitation/create", "params": question}}
    return new_task("longask", {"status": "input_required", "inputRequests": requests})


def new_task(tool: str, state: dict[str, Any]) -> dict[str, Any]:
    task = f"task-{os.urandom(8).hex()}"
    now = "2026-11-20T21:42:57.233Z"
    data = {
        "tool": tool,
        "taskId": task,
        "createdAt": now,
        "lastUpdatedAt": now,
        "ttlMs": None,
        "pollIntervalMs": 20,
        **state,
    }
    LEDGER.with_name(f"{task}.task").write_text(json.dumps(data))
    note("task", tool, task)
    return {"resultType": "task", **{k: v for k, v in data.items() if k not in ("inputRequests", "tool")}}


class TaskParams(T.RequestParams):
    """Of tasks/get and tasks/cancel."""

    task_id: str


class UpdateParams(TaskParams):
    """Of tasks/update."""

    input_responses: dict[str, Any]


async def get_task(ctx: Context, params: TaskParams) -> Any:
    """Tell how a task is: `finish` beside the ledger ends the long ones."""
    path = task_file(params.task_id)
    data = json.loads(path.read_text())
    note("get", data["status"])
    ending = LEDGER.with_name("finish")
    if data["status"] == "working" and ending.exists():
        how = ending.read_text()
        if how == "fail":
            data |= {"status": "failed", "error": {"code": -32603, "message": "the disk is full"}}
        else:
            result = text("", structured_content={"ended": how}).model_dump(mode="json", by_alias=True)
            data |= {"status": "completed", "result": {**result, "resultType": "complete"}}
        path.write_text(json.dumps(data))
    return {"resultType": "complete", **data}


async def update_task(ctx: Context, params: UpdateParams) -> Any:
    """Take answers."""
    path = task_file(params.task_id)
    data = json.loads(path.read_text())
    for key, reply in params.input_responses.items():
        if key in data.get("inputRequests", {}):
            note("answer", key, json.dumps(reply, sort_keys=True))
            del data["inputRequests"][key]
            data["status"] = "working"
    path.write_text(json.dumps(data))
    return {"resultType": "complete"}


async def cancel_task(ctx: Context, params: TaskParams) -> Any:
    """Cancel a task."""
    path = task_file(params.task_id)
    data = json.loads(path.read_text())
    if data["status"] not in ("completed", "failed"):
        note("cancel", params.task_id)
        path.write_text(json.dumps({**data, "status": "cancelled"}))
    return {"resultType": "complete"}


async def list_tools(ctx: Context, params: T.PaginatedRequestParams | None) -> T.ListToolsResult:
    """List the tools on two pages."""
    half = len(TOOLS) // 2
    if params is None or params.cursor is None:
        return T.ListToolsResult(tools=TOOLS[:half], next_cursor="more", ttl_ms=0, cache_scope="private")
    return T.ListToolsResult(tools=TOOLS[half:], ttl_ms=0, cache_scope="private")


def make() -> Server[Any]:
    """Make the server."""
    kind = Server2025 if os.environ.get("ERA") == "legacy" else Server[Any]
    server = kind("remote", on_list_tools=list_tools, on_call_tool=call_tool)
    server.add_request_handler("tasks/result", TaskParams, get_task)
    server.add_request_handler("tasks/get", TaskParams, get_task)
    server.add_request_handler("tasks/update", UpdateParams, update_task)
    server.add_request_handler("tasks/cancel", TaskParams, cancel_task)
    server.extensions[TASKS] = {}
    if os.environ.get("ERA") == "legacy":
        server.middleware.append(as_of_2025)
    return server


async def as_of_2025(ctx: Any, call_next: Any) -> Any:
    """Know nothing of 2026, and have the tasks of 2025."""
    if ctx.method == "server/discover":
        raise MCPError(T.METHOD_NOT_FOUND, "Method not found")
    params: Any = ctx.params or {}
    if ctx.method == "tools/call" and "task" in params:
        note("call", params["name"], params["_meta"]["agentflow/idempotency-key"])
        made = new_task(params["name"], {"status": "working", "pollInterval": 20})
        shown = {name: made[name] for name in ("taskId", "status", "createdAt", "lastUpdatedAt", "pollInterval")}
        return {"task": {**shown, "ttl": None}}
    if ctx.method == "tasks/get":
        data = json.loads(task_file(params["taskId"]).read_text())
        note("get", data["status"])
        ended = LEDGER.with_name("finish").exists()
        status = "input_required" if ended and data["tool"] == "longask" else "completed" if ended else "working"
        return {
            **{name: data[name] for name in ("taskId", "createdAt", "lastUpdatedAt")},
            "status": status,
            "ttl": None,
        }
    if ctx.method == "tasks/result":
        data = json.loads(task_file(params["taskId"]).read_text())
        content: dict[str, Any] = {"ended": LEDGER.with_name("finish").read_text()}
        if data["tool"] == "longask":
            reply = await ctx.session.elicit_form("Go on?", FORM, related_request_id=ctx.request_id)
            content = {"said": reply.action, "content": reply.content}
        note("result", data["tool"])
        return text("", structured_content=content).model_dump(mode="json", by_alias=True, exclude_none=True)
    return await call_next(ctx)


class Server2025(Server[Any]):
    """Says that it has tasks."""

    def get_capabilities(self, *args: Any, **keywords: Any) -> T.ServerCapabilities:
        """Return what it can."""
        tools = T.TasksToolsCapability(call=T.TasksCallCapability())
        tasks = T.ServerTasksCapability(
            requests=T.ServerTasksRequestsCapability(tools=tools), cancel=T.TasksCancelCapability()
        )
        return super().get_capabilities(*args, **keywords).model_copy(update={"tasks": tasks})


class Before2026:
    """What a client says, but for what nobody knew before 2026."""

    def __init__(self, read: Any, write: Any) -> None:
        self._read = read
        self._write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read, name)

    async def __aenter__(self) -> Any:
        await self._read.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._read.__aexit__(*error)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        while True:
            item = await anext(self._read)
            if getattr(item.message, "method", None) != "server/discover":
                return item
            error = T.ErrorData(code=T.METHOD_NOT_FOUND, message="Method not found")
            await self._write.send(SessionMessage(T.JSONRPCError(jsonrpc="2.0", id=item.message.id, error=error)))


class Guarded:
    """Lets in who has a token, and gives tokens to who has the client's secret."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        base = f"http://{headers[b'host'].decode()}"
        path = scope["path"]
        if path.startswith("/.well-known/oauth-protected-resource"):
            return await json_to(send, 200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
        if path.startswith("/.well-known/oauth-authorization-server"):
            methods = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
            ends = {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
            kinds = {"response_types_supported": ["code"], "grant_types_supported": ["client_credentials"]}
            return await json_to(send, 200, {"issuer": base, **ends, **kinds, **methods})
        if path == "/token":
            note("token", headers.get(b"authorization", b"").decode())
            return await json_to(send, 200, {"access_token": "minted", "token_type": "Bearer", "expires_in": 3600})
        if headers.get(b"authorization") != b"Bearer minted":
            where = f'Bearer resource_metadata="{base}/.well-known/oauth-protected-resource/mcp"'
            return await json_to(send, 401, {"error": "invalid_token"}, (b"www-authenticate", where.encode()))
        return await self._app(scope, receive, send)


async def json_to(send: Any, status: int, data: Any, *headers: tuple[bytes, bytes]) -> None:
    """Answer by HTTP."""
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *headers]})
    await send({"type": "http.response.body", "body": json.dumps(data).encode()})


async def main() -> None:
    """Serve."""
    note("pid", os.getpid())
    server = make()
    if sys.argv[2] == "stdio":
        async with stdio_server() as (read, write):
            source: Any = Before2026(read, write) if os.environ.get("ERA") == "legacy" else read
            await server.run(source, write, server.create_initialization_options())
        note("left")
        return
    app: Any = server.streamable_http_app()
    if "CLIENT" in os.environ:
        app = Guarded(app)
    config = uvicorn.Config(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="error")
    serving = uvicorn.Server(config)
    async with anyio.create_task_group() as group:
        group.start_soon(serving.serve)
        while not serving.started:  # noqa: ASYNC110  nothing tells it
            await anyio.sleep(0.01)
        tell(Path(sys.argv[2]), serving.servers[0].sockets[0].getsockname()[1])


if __name__ == "__main__":
    anyio.run(main)
