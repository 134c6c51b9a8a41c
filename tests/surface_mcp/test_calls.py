"""Calls of the real server by the SDK's own client, in both eras of the protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextResourceContents

from agentflow.data import is_object
from tests.surface_mcp.served import Shop, call, text_of

pytestmark = pytest.mark.anyio

CONTROLS = {
    "cancel_workflow_run",
    "get_workflow_run",
    "list_waiting_steps",
    "list_workflow_runs",
    "resume_workflow",
    "wait_workflow",
}


def data_of(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content."""
    found = result.structured_content
    assert is_object(found)
    return found


async def test_every_workflow_and_every_tool_trigger_is_a_tool_in_order_of_names(client: Client) -> None:
    tools = (await client.list_tools()).tools
    names = [tool.name for tool in tools]
    assert names == sorted(names)
    assert {*names} - CONTROLS == {
        "approval", "failing", "greet", "greet.again", "greet_all", "noisy", "paid", "slow"
    }  # fmt: skip
    assert CONTROLS.issubset(names)
    greet = tools[names.index("greet")]
    assert (greet.title, greet.description) == ("Greeting", "Greets somebody.")
    assert greet.input_schema == {
        "type": "object",
        "properties": {"name": {"$ref": "#/$defs/name"}},
        "required": ["name"],
        "$defs": {"name": {"type": "string", "maxLength": 20}},
    }
    assert greet.output_schema is not None
    assert greet.output_schema["type"] == "object"
    assert [shape.get("required") for shape in greet.output_schema["anyOf"]] == [
        ["text"], ["task_id", "status", "next"], ["error"]
    ]  # fmt: skip
    reads = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    assert reads == {"get_workflow_run", "list_waiting_steps", "list_workflow_runs", "wait_workflow"}


async def test_a_workflow_that_ends_soon_gives_its_output(client: Client) -> None:
    result = await call(client, "greet", name="Ana")
    assert not result.is_error
    assert data_of(result) == {"text": "hello Ana"}
    assert json.loads(text_of(result)) == {"text": "hello Ana"}
    assert result.meta is not None
    run = data_of(await call(client, "get_workflow_run", task_id=result.meta["agentflow/task_id"]))
    assert (run["workflow"], run["status"], run["output"]) == ("greet", "completed", {"text": "hello Ana"})


async def test_what_a_run_has_used_is_told_of_it_and_with_its_result(client: Client) -> None:
    used = {"cost": "0.5", "currency": "USD", "input_tokens": 5, "output_tokens": 0, "calls": 1}
    asks = data_of(await call(client, "approval", amount=7))
    assert asks["usage"] == used
    (wait,) = asks["waiting_for"]
    await call(client, "resume_workflow", task_id=wait["task_id"], answer={"decision": "approve"})
    ended = data_of(await call(client, "get_workflow_run", task_id=asks["task_id"]))
    assert (ended["status"], ended["usage"]) == ("completed", used)


async def test_a_tool_trigger_starts_at_its_entry_point(client: Client) -> None:
    assert data_of(await call(client, "greet.again", name="Bob")) == {"text": "hello Bob"}


async def test_arguments_are_checked_by_the_schema_of_the_tool_trigger(client: Client) -> None:
    assert data_of(await call(client, "greet_all", name="all")) == {"text": "hello all"}
    refused = await call(client, "greet_all", name="Ana")
    assert refused.is_error
    assert data_of(refused)["error"]["code"] == "AF-INPUT-INVALID"


async def test_what_steps_print_never_reaches_the_protocol_and_their_programs_cannot_read_it(
    client: Client, shared: Shop
) -> None:
    assert data_of(await call(client, "noisy")) == {"asked": 0, "read": ""}
    assert data_of(await call(client, "greet", name="still here")) == {"text": "hello still here"}
    assert {"written", "original"} <= set(shared.stderr.splitlines())


async def test_a_model_that_reads_only_texts_finishes_a_workflow_that_asks(client: Client) -> None:
    said = json.loads(text_of(await call(client, "approval", amount=30)))
    assert said["status"] == "input_required"
    assert "resume_workflow" in said["next"]
    assert "Don't call approval again" in said["next"]
    [wait] = said["waiting_for"]
    assert wait["message"] == "Approve 30 EUR?"
    choice = wait["schema"]["properties"]["decision"]["enum"][0]
    done = await call(client, "resume_workflow", task_id=wait["task_id"], answer={"decision": choice})
    end = json.loads(text_of(done))
    assert (end["status"], end["output"]) == ("completed", {"decision": "approve", "amount": 30})
    assert end["task_id"] == said["task_id"]


async def test_an_answer_that_does_not_fit_leaves_the_wait_open_and_says_why(client: Client) -> None:
    task_id = data_of(await call(client, "approval"))["task_id"]
    refused = await call(client, "resume_workflow", task_id=task_id, answer={"decision": "perhaps"})
    assert refused.is_error
    error = data_of(refused)["error"]
    assert error["code"] == "AF-WAIT-INVALID"
    assert "approve" in error["why"]
    assert "resume_workflow" in error["hint"]
    assert text_of(refused).startswith("error[AF-WAIT-INVALID]: ")
    [wait] = data_of(refused)["waiting_for"]
    listed = data_of(await call(client, "list_waiting_steps", task_id=task_id))["waiting_for"]
    assert [each["task_id"] for each in listed] == [wait["task_id"]]
    done = await call(client, "resume_workflow", task_id=task_id, answer={"decision": "reject"})
    assert data_of(done)["output"]["decision"] == "reject"


async def test_the_first_answer_wins_and_the_same_again_is_fine(client: Client) -> None:
    [wait] = data_of(await call(client, "approval"))["waiting_for"]
    for _ in range(2):
        done = await call(client, "resume_workflow", task_id=wait["task_id"], answer={"decision": "approve"})
        assert data_of(done)["status"] == "completed"
    late = await call(client, "resume_workflow", task_id=wait["task_id"], answer={"decision": "reject"})
    assert late.is_error
    assert data_of(late)["error"]["code"] == "AF-WAIT-CONFLICT"
    assert "don't answer it again" in data_of(late)["error"]["hint"]


async def test_an_answer_written_as_json_text_counts_as_what_it_says(client: Client) -> None:
    task_id = data_of(await call(client, "approval"))["task_id"]
    done = await call(client, "resume_workflow", task_id=task_id, answer='{"decision": "approve"}')
    assert data_of(done)["output"]["decision"] == "approve"


async def test_a_declined_wait_fails_its_run_with_the_reason(client: Client) -> None:
    task_id = data_of(await call(client, "approval"))["task_id"]
    done = await call(client, "resume_workflow", task_id=task_id, decline="too much")
    assert done.is_error
    data = data_of(done)
    assert (data["status"], data["error"]["code"], data["error"]["step"]) == ("failed", "AF-WAIT-DECLINED", "review")
    assert "too much" in text_of(done)


async def test_a_failed_run_tells_code_step_and_message_wherever_it_is_told(client: Client) -> None:
    failed = await call(client, "failing")
    assert failed.is_error
    error = data_of(failed)["error"]
    assert (error["code"], error["step"]) == ("AF-PYTHON-RAISED", "boom")
    assert "RuntimeError: upstream down" in error["message"]
    assert text_of(failed).startswith('error[AF-PYTHON-RAISED]: step "boom": RuntimeError: upstream down')
    again = await call(client, "get_workflow_run", task_id=data_of(failed)["task_id"])
    assert not again.is_error
    assert data_of(again)["error"] == error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"nam": "Ana"}, "AF-INPUT-UNKNOWN"),
        ({}, "AF-INPUT-INVALID"),
        ({"name": 7}, "AF-INPUT-INVALID"),
        ({"name": "x" * 21}, "AF-INPUT-INVALID"),
    ],
)
async def test_wrong_arguments_start_nothing(client: Client, arguments: dict[str, Any], code: str) -> None:
    before = data_of(await call(client, "list_workflow_runs", limit=1))
    refused = await call(client, "greet", **arguments)
    assert refused.is_error
    assert data_of(refused)["error"]["code"] == code
    assert data_of(refused)["error"]["hint"]
    assert data_of(await call(client, "list_workflow_runs", limit=1)) == before


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("resume_workflow", {"task_id": "x"}),
        ("resume_workflow", {"task_id": "x", "answer": 1, "decline": "no"}),
        ("resume_workflow", {"answer": 1}),
        ("resume_workflow", {"task_id": 7, "answer": 1}),
        ("wait_workflow", {"task_id": "x", "timeout_s": 3600}),
        ("list_workflow_runs", {"status": "running"}),
        ("list_workflow_runs", {"limit": 0}),
        ("get_workflow_run", {"task_id": "x", "verbose": True}),
    ],
)
async def test_wrong_arguments_of_the_other_tools_are_told(
    client: Client, tool: str, arguments: dict[str, Any]
) -> None:
    refused = await call(client, tool, **arguments)
    assert refused.is_error
    assert data_of(refused)["error"]["code"] == "AF-INPUT-INVALID"


@pytest.mark.parametrize("task_id", ["nothing", "01m8q0jcn2evg8qqrdxnsam8hj", "' OR 1=1", "\u202e"])
async def test_an_unknown_id_is_told_alike_by_every_tool(client: Client, task_id: str) -> None:
    texts: set[str] = set()
    for tool in ("get_workflow_run", "wait_workflow", "cancel_workflow_run", "list_waiting_steps"):
        refused = await call(client, tool, task_id=task_id)
        assert refused.is_error
        texts.add(text_of(refused))
    texts.add(text_of(await call(client, "resume_workflow", task_id=task_id, answer=1)))
    [text] = texts
    assert text.startswith("error[AF-RUN-UNKNOWN]: no run and no wait")


async def test_an_unknown_tool_is_an_error_of_the_protocol(client: Client) -> None:
    with pytest.raises(MCPError, match="Unknown tool: nothing") as caught:
        await call(client, "nothing")
    assert caught.value.error.code == -32602


async def test_a_wait_for_an_event_is_not_answered_but_ends_when_it_is_published(client: Client, shared: Shop) -> None:
    handle = data_of(await call(client, "paid"))
    assert handle["status"] == "working"
    assert "wait_workflow" in handle["next"]
    refused = await call(client, "resume_workflow", task_id=handle["task_id"], answer={"sum": 1})
    assert data_of(refused)["error"]["code"] == "AF-WAIT-INVALID"
    published = shared.command("publish", "payments", "--data", '{"sum": 12}')
    assert published.returncode == 0, published.stderr
    done = data_of(await call(client, "wait_workflow", task_id=handle["task_id"]))
    assert (done["status"], done["output"]) == ("completed", 12)


async def test_a_wait_may_be_answered_by_another_door(client: Client, shared: Shop) -> None:
    handle = data_of(await call(client, "approval"))
    answered = shared.command("waits", "answer", handle["waiting_for"][0]["task_id"], "--set", "decision=reject")
    assert answered.returncode == 0, answered.stderr
    done = data_of(await call(client, "wait_workflow", task_id=handle["task_id"]))
    assert done["output"]["decision"] == "reject"


async def test_a_cancelled_run_takes_no_answer_any_more(client: Client) -> None:
    handle = data_of(await call(client, "approval"))
    [wait] = handle["waiting_for"]
    refused = await call(client, "cancel_workflow_run", task_id=wait["task_id"])
    assert handle["task_id"] in data_of(refused)["error"]["hint"]
    ended = data_of(await call(client, "cancel_workflow_run", task_id=handle["task_id"]))
    assert (ended["status"], ended["error"]["code"]) == ("cancelled", "AF-RUN-CANCELED")
    assert data_of(await call(client, "cancel_workflow_run", task_id=handle["task_id"])) == ended
    late = await call(client, "resume_workflow", task_id=wait["task_id"], answer={"decision": "approve"})
    assert data_of(late)["error"]["code"] == "AF-WAIT-CLOSED"
    listed = data_of(await call(client, "list_workflow_runs", status="cancelled", workflow="approval", limit=1))
    assert listed["runs"][0]["task_id"] == handle["task_id"]


async def test_the_same_idempotency_key_is_the_same_run(client: Client) -> None:
    key = "agentflow/idempotency-key"
    unique = str(id(client))
    first = await client.call_tool("approval", {"amount": 1}, meta={key: unique})
    again = await client.call_tool("approval", {"amount": 1}, meta={key: unique})
    assert data_of(first)["task_id"] == data_of(again)["task_id"]
    other = await client.call_tool("approval", {"amount": 2}, meta={key: unique})
    assert other.is_error
    assert data_of(other)["error"]["code"] == "AF-KEY-CONFLICT"
    wrong = await client.call_tool("approval", {"amount": 1}, meta={key: 7})
    assert data_of(wrong)["error"]["code"] == "AF-INPUT-INVALID"


async def test_runs_are_listed_page_by_page(client: Client) -> None:
    for _ in range(3):
        await call(client, "greet", name="page")
    page = data_of(await call(client, "list_workflow_runs", limit=2))
    assert len(page["runs"]) == 2
    last = page["runs"][-1]["task_id"]
    assert last in page["next"]
    older = data_of(await call(client, "list_workflow_runs", limit=1, before=last))
    assert older["runs"][0]["task_id"] < last


async def test_workflows_and_runs_are_resources(client: Client) -> None:
    listed = (await client.list_resources()).resources
    assert [each.name for each in listed] == ["approval", "failing", "greet", "noisy", "paid", "slow"]
    templates = (await client.list_resource_templates()).resource_templates
    assert [each.uri_template for each in templates] == ["agentflow://runs/{task_id}", "agentflow://workflows/{name}"]
    definition, graph = (await client.read_resource("agentflow://workflows/greet")).contents
    assert isinstance(definition, TextResourceContents)
    assert isinstance(graph, TextResourceContents)
    assert json.loads(definition.text)["label"] == "Greeting"
    assert graph.text.startswith("flowchart")
    handle = data_of(await call(client, "approval"))
    [run] = (await client.read_resource(f"agentflow://runs/{handle['task_id']}")).contents
    assert isinstance(run, TextResourceContents)
    assert json.loads(run.text) == handle


@pytest.mark.parametrize("uri", ["agentflow://runs/nothing", "agentflow://workflows/", "file:///etc/passwd", "x"])
async def test_a_resource_that_is_not_there_is_an_error_of_the_protocol(client: Client, uri: str) -> None:
    with pytest.raises(MCPError, match="Resource not found"):
        await client.read_resource(uri)
