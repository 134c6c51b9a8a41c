"""Typed constructors of steps that do one thing: work, messages, waits. Each gives the step that YAML would give."""

# ruff: noqa: A002  parameters are named as the fields are in YAML

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Unpack

from agentflow.definition.given import function_name
from agentflow.definition.models import CallingStep, GivenStep, Step, Workflow
from agentflow.steps.building import Common, Moment, Schema, Span, schema_of, step
from agentflow.steps.unset import UNSET

_NO: Any = UNSET
"""Default of fields that may be null: not given."""


def api_call(
    id: str,
    *,
    url: str,
    method: str = _NO,
    query: Mapping[str, Any] | str = _NO,
    headers: Mapping[str, Any] | str = _NO,
    body: Any = _NO,
    connection: str = _NO,
    expect: Sequence[int | str] = _NO,
    redirects: int | str = _NO,
    **common: Unpack[Common],
) -> Step:
    """Make an HTTP call.

    Args:
        id: unique in its scope.
        url: address; a relative one resolves against the config's `http.base_url`.
        method: HTTP method; default `GET`.
        query: query parameters.
        headers: request headers.
        body: request body: text as it is, everything else as JSON.
        connection: how to authenticate.
        expect: statuses that are a success, such as `[200, 404]` or `["2xx"]`.
        redirects: how many redirects are followed; default none.
        common: the common fields.
    """
    fields: dict[str, Any] = {"method": method, "url": url, "query": query, "headers": headers, "body": body}
    fields |= {"connection": connection, "expect": expect, "redirects": redirects}
    return step(id, "api_call", fields, common)


def tool_call(id: str, *, tool_name: str, input: Any = _NO, server: str = _NO, **common: Unpack[Common]) -> Step:
    """Call a tool: of an MCP server, or a Python function named in the config.

    Args:
        id: unique in its scope.
        tool_name: name of the tool.
        input: its arguments; default: the step's `with_`.
        server: the server that has it; default: whoever has it.
        common: the common fields.
    """
    return step(id, "tool_call", {"tool_name": tool_name, "input": input, "server": server}, common)


def agent_run(
    id: str,
    *,
    agent: str,
    prompt: Any = _NO,
    input: Any = _NO,
    tools: Sequence[str] = _NO,
    skills: Sequence[str] = _NO,
    model: str = _NO,
    max_iterations: int | str = _NO,
    **common: Unpack[Common],
) -> Step:
    """Run one turn of an agent.

    Args:
        id: unique in its scope.
        agent: name of the agent in the config.
        prompt: what it is asked.
        input: data that goes with the prompt; default: the step's `with_`.
        tools: tools that it may use.
        skills: skills that it may use.
        model: model that it should use.
        max_iterations: rounds that it may take.
        common: the common fields.
    """
    fields = {"agent": agent, "prompt": prompt, "input": input, "tools": tools, "skills": skills}
    return step(id, "agent_run", {**fields, "model": model, "max_iterations": max_iterations}, common)


def script(
    id: str,
    *,
    command: str = _NO,
    args: Sequence[Any] = _NO,
    run: str = _NO,
    shell: Literal["bash", "sh", "zsh"] = _NO,
    cwd: str = _NO,
    env: Mapping[str, Any] = _NO,
    output_format: Literal["text", "json", "stream"] = _NO,
    **common: Unpack[Common],
) -> Step:
    """Run a program, or shell text.

    Args:
        id: unique in its scope.
        command: the program; no shell sees it.
        args: its arguments, one each.
        run: instead of `command`: text for a shell, without references; values come by `env`.
        shell: the shell of `run`; default `bash`.
        cwd: folder to run in.
        env: environment variables.
        output_format: how stdout is read; default: as JSON if it is JSON, else as text.
        common: the common fields.
    """
    fields = {"command": command, "args": args, "run": run, "shell": shell, "cwd": cwd, "env": env}
    return step(id, "script", {**fields, "output_format": output_format}, common)


def python(id: str, *, function: str | Callable[..., Any], input: Any = _NO, **common: Unpack[Common]) -> Step:
    """Call a Python function.

    Args:
        id: unique in its scope.
        function: `module:function`, or the function itself, which then needs no `python_modules` and no skill. Another
            process that goes on with the run has to be given it, too, or its module.
        input: its arguments by name; default: the step's `with_`.
        common: the common fields.

    Raises:
        DefinitionError: the function has no name that another process finds it by.
    """
    if isinstance(function, str):
        return step(id, "python", {"function": function, "input": input}, common)
    made = step(id, "python", {"function": function_name(id, function), "input": input}, common)
    return GivenStep.of(made, function)


def set_(id: str, *, values: Any = _NO, value: Any = _NO, **common: Unpack[Common]) -> Step:
    """Compute values from templates.

    Args:
        id: unique in its scope.
        values: the result: a mapping of names to templates, or any value with templates in it.
        value: the same, for a single value.
        common: the common fields.
    """
    return step(id, "set", {"values": values, "value": value}, common)


def wait_for_input(
    id: str,
    *,
    message: str,
    schema: Schema = _NO,
    default: Any = _NO,
    assignees: Sequence[str] = _NO,
    human_only: bool = _NO,
    **common: Unpack[Common],
) -> Step:
    """Park until somebody answers.

    Args:
        id: unique in its scope.
        message: the question.
        schema: JSON Schema of the answer, its short form, or a type that has one: a pydantic model, a dataclass.
        default: the answer taken when `timeout` passes.
        assignees: who may see and answer it besides the run's owner.
        human_only: only a person answers it: over MCP never the model, but whoever opens the page that is named.
        common: the common fields.
    """
    fields = {
        "message": message, "schema": schema_of(id, schema), "default": default, "assignees": assignees,
        "human_only": human_only,
    }  # fmt: skip
    return step(id, "wait_for_input", fields, common)


def wait_for_event(
    id: str,
    *,
    topic: str,
    filter: Mapping[str, Any] | str = _NO,
    since: Span = _NO,
    shared: bool | str = _NO,
    default: Any = _NO,
    message: str = _NO,
    **common: Unpack[Common],
) -> Step:
    """Park until an event is published.

    Args:
        id: unique in its scope.
        topic: topic of the event.
        filter: values that its data must have, or a CEL condition over `event`.
        since: how long before the run's start an event may have been published.
        shared: whether events of the tenant's other owners count too, where their publisher may share them.
        default: the data taken when `timeout` passes.
        message: what the run waits for, for people.
        common: the common fields.
    """
    fields = {
        "topic": topic,
        "filter": filter,
        "since": since,
        "shared": shared,
        "default": default,
        "message": message,
    }
    return step(id, "wait_for_event", fields, common)


def external_tool_call(
    id: str,
    *,
    tool_name: str,
    input: Any = _NO,
    message: str = _NO,
    schema: Schema = _NO,
    default: Any = _NO,
    assignees: Sequence[str] = _NO,
    **common: Unpack[Common],
) -> Step:
    """Park and ask whoever holds a tool to run it and to send the result.

    Args:
        id: unique in its scope.
        tool_name: name of the tool, as its holder knows it.
        input: what it is given; default: the step's `with_`.
        message: what is asked, for people.
        schema: JSON Schema of the result, or a type that has one: a pydantic model, a dataclass, a TypedDict.
        default: the result taken when `timeout` passes.
        assignees: who may see it and send the result besides the run's owner.
        common: the common fields.
    """
    fields = {"tool_name": tool_name, "input": input, "message": message, "schema": schema_of(id, schema)}
    return step(id, "external_tool_call", {**fields, "default": default, "assignees": assignees}, common)


def delay(id: str, *, for_: Span = _NO, until: Moment = _NO, **common: Unpack[Common]) -> Step:
    """Sleep, across restarts.

    Args:
        id: unique in its scope.
        for_: how long.
        until: or until when.
        common: the common fields.
    """
    return step(id, "delay", {"for": for_, "until": until}, common)


def publish(id: str, *, topic: str, data: Any = _NO, event_id: str = _NO, **common: Unpack[Common]) -> Step:
    """Publish an event.

    Args:
        id: unique in its scope.
        topic: topic of the event.
        data: its data.
        event_id: identity of the event: one identity is published once.
        common: the common fields.
    """
    return step(id, "publish", {"topic": topic, "data": data, "event_id": event_id}, common)


def reply(
    id: str,
    *,
    text: str,
    buttons: Sequence[Sequence[Mapping[str, Any]]] = _NO,
    buttons_from: Any = _NO,
    button_template: Mapping[str, Any] = _NO,
    **common: Unpack[Common],
) -> Step:
    """Send a message with buttons to the channel that the run talks to.

    Args:
        id: unique in its scope.
        text: the message.
        buttons: rows of buttons, each with its `kind`: `url`, `web_app` or `callback`.
        buttons_from: a list whose elements give one more row each.
        button_template: the button of such a row, with references `{item.…}`.
        common: the common fields.
    """
    fields = {"text": text, "buttons": buttons, "buttons_from": buttons_from, "button_template": button_template}
    return step(id, "reply", fields, common)


def respond(
    id: str, *, body: Any = _NO, status: int | str = _NO, headers: Mapping[str, Any] = _NO, **common: Unpack[Common]
) -> Step:
    """Answer the webhook that started the run.

    Args:
        id: unique in its scope.
        body: body of the answer.
        status: HTTP status; default 200.
        headers: headers of the answer.
        common: the common fields.
    """
    return step(id, "respond", {"body": body, "status": status, "headers": headers}, common)


def checkpoint(id: str, *, message: str, **common: Unpack[Common]) -> Step:
    """Record a named point and set the run's status message.

    Args:
        id: unique in its scope.
        message: what has been reached.
        common: the common fields.
    """
    return step(id, "checkpoint", {"message": message}, common)


def artifact(
    id: str,
    *,
    text: str = _NO,
    data: Any = _NO,
    url: str = _NO,
    bytes: str = _NO,
    media_type: str = _NO,
    filename: str = _NO,
    name: str = _NO,
    description: str = _NO,
    artifact_id: str = _NO,
    append: bool | str = _NO,
    last_chunk: bool | str = _NO,
    metadata: Mapping[str, Any] = _NO,
    **common: Unpack[Common],
) -> Step:
    """Add an artifact to the run's task. Give exactly one of `text`, `data`, `url` and `bytes`.

    Args:
        id: unique in its scope.
        text: content as text.
        data: content as JSON data.
        url: content as a file at a URL.
        bytes: content as a file, in base64.
        media_type: media type of the content.
        filename: name of the file.
        name: name of the artifact, for people.
        description: what it is, for people.
        artifact_id: its identity in the run's task; default: the step's address.
        append: adds a chunk to that artifact instead of replacing it.
        last_chunk: False: more chunks follow.
        metadata: anything that readers want to know.
        common: the common fields.
    """
    fields = {"text": text, "data": data, "url": url, "bytes": bytes, "media_type": media_type}
    fields |= {"filename": filename, "name": name, "description": description, "artifact_id": artifact_id}
    fields |= {"append": append, "last_chunk": last_chunk, "metadata": metadata}
    return step(id, "artifact", fields, common)


def end(
    id: str,
    *,
    state: Literal["completed", "failed", "rejected"] = _NO,
    scope: str = _NO,
    output: Any = _NO,
    message: str = _NO,
    **common: Unpack[Common],
) -> Step:
    """End the run, or an enclosing container, early.

    Args:
        id: unique in its scope.
        state: how it ends; default `completed`.
        scope: `run`, which is the default, or the id of an enclosing container.
        output: result of what ends.
        message: why, for people.
        common: the common fields.
    """
    return step(id, "end", {"state": state, "scope": scope, "output": output, "message": message}, common)


def workflow(id: str, *, workflow: str | Workflow, input: Any = _NO, **common: Unpack[Common]) -> Step:
    """Run another workflow as a child run.

    Args:
        id: unique in its scope.
        workflow: its id, or the workflow itself, which comes along.
        input: its input; default: the step's `with_`.
        common: the common fields.
    """
    if isinstance(workflow, Workflow):
        return CallingStep.of(step(id, "workflow", {"workflow": workflow.id, "input": input}, common), workflow)
    return step(id, "workflow", {"workflow": workflow, "input": input}, common)
