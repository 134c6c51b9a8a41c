"""What other products call our step types and fields: whoever writes such a word is led to ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

_JOINTS = str.maketrans("", "", " _.-")

_TYPES: Final[Mapping[str, str]] = {
    "script": """
        shell bash sh zsh powershell cmd command commands run exec execute process subprocess terminal cli program
        shellcommand runcommand shellscript bashscript
    """,
    "api_call": """
        http https httprequest httpcall request requests fetch curl rest restcall api apirequest get post put patch
        webhook url web callapi
    """,
    "agent_run": """
        llm agent agents agentcall runagent ai chat model prompt gpt openai anthropic claude gemini completion
        chatcompletion llmcall assistant subagent crew
    """,
    "tool_call": "tool tools toolcall tooluse calltool usetool mcp mcptool mcpcall action plugin",
    "python": "function functioncall func fn code py pythonscript callable task activity lambda method",
    "delay": "sleep pause timer timeout waitfor waituntil sleepuntil",
    "delay wait_for_input wait_for_event": "wait",
    "for_each": "map foreach for each iterate iterator iteration fanout mapper mapreduce batch forall",
    "for_each while": "loop",
    "until while": "repeat dowhile dountil repeatuntil",
    "condition": "if ifelse branch cond when decision",
    "switch": "case match router route choice select routing",
    "workflow": "subworkflow childworkflow callworkflow runworkflow call flow subflow include import",
    "wait_for_input": """
        approval approve human humaninput humanintheloop hitl input userinput ask askuser interrupt question form
        confirm confirmation review manual userinteraction waitforapproval waitforhuman
    """,
    "wait_for_event": "event signal waitforsignal listen receive subscribe onevent messagewait",
    "external_tool_call": "externaltool clienttool frontendtool",
    "checkpoint": "print echo log logger debug note comment marker milestone",
    "reply": "message say send answer outputmessage",
    "publish": "emit sendevent emitevent sendsignal broadcast notify",
    "set": "assign var let variable variables setvariable setvar transform pass data const value edit noop",
    "sequence": "group block chain serial sequential series pipeline steps scope do",
    "parallel": "concurrent concurrently fork gather all parallelize join",
    "saga": "transaction compensation compensate undo rollback",
    "end": "stop return exit finish finished fail raise terminate break abort done",
    "recur": "cron every interval recurring",
    "schedule": "runat runlater",
    "poll": "pollurl watch waitcondition sensor",
    "artifact": "file upload savefile attachment document",
}  # fmt: skip
"""Our types → words that people write for them, without what joins their parts."""

_FIELDS: Final[Mapping[str, str]] = {
    "kind": "type",
    "uses": "type function",
    "action": "type",
    "task": "type",
    "needs": "depends_on",
    "after": "depends_on",
    "depends": "depends_on",
    "dependson": "depends_on",
    "dependencies": "depends_on",
    "deps": "depends_on",
    "runafter": "depends_on",
    "upstream": "depends_on",
    "waitfor": "depends_on",
    "when": "if",
    "condition": "expression if",
    "onlyif": "if",
    "runif": "if",
    "unless": "skip_if",
    "skip": "skip_if",
    "skipif": "skip_if",
    "expr": "expression condition if",
    "test": "expression condition if",
    "input": "with",
    "inputs": "input with",
    "args": "input with",
    "arguments": "input with args",
    "params": "input query args with",
    "param": "input query args with",
    "parameters": "input query args with",
    "kwargs": "input with",
    "vars": "context with env values",
    "variables": "context with env values",
    "state": "context",
    "json": "body data",
    "payload": "body data input with",
    "data": "body values input",
    "form": "schema body",
    "fields": "schema values",
    "path": "filename cwd",
    "statuscode": "expect status",
    "statuscodes": "expect",
    "expectedstatus": "expect",
    "expectstatus": "expect",
    "status": "state expect",
    "queryparams": "query",
    "querystring": "query",
    "verb": "method",
    "endpoint": "url",
    "address": "url",
    "link": "url",
    "uri": "url",
    "retries": "retry",
    "maxretries": "retry",
    "retrypolicy": "retry",
    "retryon": "on retry",
    "attempts": "retry max_attempts",
    "maxattempts": "max_attempts retry",
    "times": "max_attempts max",
    "backoff": "retry",
    "factor": "backoff",
    "initialdelay": "base",
    "interval": "base",
    "delay": "base",
    "maxdelay": "max",
    "maxinterval": "max",
    "timeoutsecs": "timeout",
    "timeoutseconds": "timeout",
    "timeoutms": "timeout",
    "timeoutminutes": "timeout",
    "deadline": "timeout",
    "maxtime": "timeout",
    "until": "timeout",
    "onfail": "on_failure on_error",
    "onerror": "on_error on_failure",
    "catch": "on_failure on_error",
    "continueonerror": "on_error",
    "ignoreerrors": "on_error",
    "allowfailure": "on_error",
    "always": "finally",
    "rollback": "compensate",
    "undo": "compensate",
    "compensation": "compensate",
    "foreach": "for_each",
    "loop": "for_each",
    "map": "for_each",
    "matrix": "for_each",
    "strategy": "for_each",
    "withitems": "for_each",
    "items": "in for_each",
    "over": "in for_each",
    "list": "in for_each",
    "each": "in for_each",
    "collection": "in for_each",
    "as": "item",
    "concurrency": "max_parallel",
    "maxconcurrency": "max_parallel",
    "parallelism": "max_parallel",
    "maxworkers": "max_parallel",
    "batchsize": "max_parallel",
    "do": "steps body",
    "then": "if_true steps",
    "iftrue": "if_true",
    "yes": "if_true",
    "else": "if_false default",
    "iffalse": "if_false",
    "otherwise": "if_false default",
    "no": "if_false",
    "branches": "cases steps",
    "choices": "cases",
    "tasks": "steps",
    "jobs": "workflows steps",
    "nodes": "steps",
    "activities": "steps",
    "children": "steps",
    "actions": "steps",
    "name": "label id",
    "title": "label message name",
    "agentid": "agent",
    "agentname": "agent",
    "llm": "agent model",
    "tool": "tool_name",
    "toolname": "tool_name",
    "cmd": "run command",
    "script": "run",
    "shell": "run",
    "bash": "run",
    "code": "run function",
    "run": "command function",
    "func": "function",
    "fn": "function",
    "callable": "function",
    "handler": "function",
    "module": "function",
    "entrypoint": "function entry_points",
    "environment": "env",
    "envs": "env",
    "secrets": "env",
    "dir": "cwd",
    "workdir": "cwd",
    "workingdirectory": "cwd",
    "workingdir": "cwd",
    "seconds": "for",
    "duration": "for",
    "sleep": "for delay",
    "time": "for at",
    "prompt": "message prompt",
    "instructions": "prompt",
    "system": "prompt",
    "systemprompt": "prompt",
    "question": "message",
    "text": "message",
    "content": "text message",
    "event": "topic",
    "signal": "topic",
    "channel": "topic",
    "workflowid": "workflow",
    "workflowname": "workflow",
    "flow": "workflow",
    "flows": "workflows",
    "call": "workflow function tool_name",
    "target": "function workflow agent",
    "outputs": "output output_schema",
    "returns": "output",
    "return": "output",
    "result": "output",
    "schedule": "triggers cron",
    "on": "triggers",
    "crons": "triggers",
    "database": "store",
    "db": "store",
    "storage": "store",
    "modules": "python",
    "functions": "python",
    "mcpservers": "tools",
    "servers": "tools",
    "includes": "include",
    "imports": "include",
}  # fmt: skip
"""Words that people write for fields, without what joins their parts → ours, the first that there is."""

_ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    "edges": (
        "workflows steps",
        "steps run in the order of their list; a step that waits for others says depends_on: [id]",
    ),
    "entry": ("steps", "a run begins with the first of its `steps`"),
    "start": ("steps", "a run begins with the first of its `steps`"),
    "on": (
        "workflows triggers",
        "nothing starts runs by itself yet: let cron, or a timer of systemd, call `agentflow run`",
    ),
    "triggers": (
        "workflows",
        "nothing starts runs by itself yet: let cron, or a timer of systemd, call `agentflow run`",
    ),
    "schedule": (
        "workflows",
        "nothing starts runs by itself yet: let cron, or a timer of systemd, call `agentflow run`",
    ),
    "model": (
        "token_env",
        "an agent is a Python function that asks its model: `agentflow init --template agent` makes one",
    ),
    "provider": (
        "token_env",
        "an agent is a Python function that asks its model: `agentflow init --template agent` makes one",
    ),
    "prompt": ("token_env", "the prompt stands in the step that asks the agent, `type: agent_run`"),
    "default": ("when", "`default` stands beside `cases`, not in it"),
    "else": ("when", "what else is done stands under `default`, beside `cases`"),
    "temperature": ("agent", "settings of a model belong to what asks it: the agent's Python function"),
}
"""Words for what is told otherwise here → a field that tells where this is so, and how it is told."""

_BY_FIELD: Final[Mapping[str, str]] = {
    "run": "script", "command": "script", "url": "api_call", "function": "python", "agent": "agent_run",
    "tool_name": "tool_call", "workflow": "workflow", "cases": "switch", "expression": "condition",
    "if_true": "condition", "schema": "wait_for_input", "topic": "wait_for_event", "values": "set", "value": "set",
    "steps": "sequence", "message": "checkpoint",
}  # fmt: skip
"""Fields by which a step without a type is known; those that say most first."""


def _bare(word: str) -> str:
    return word.translate(_JOINTS).lower()


_OURS: Final = {_bare(word): ours.split() for ours, words in _TYPES.items() for word in words.split()}


def type_meant(word: str, types: Collection[str]) -> list[str]:
    """Return the step types that other products call so, the likeliest first.

    Args:
        word: a type that there isn't.
        types: those that there are.
    """
    bare = _bare(word)
    same = [name for name in types if _bare(name) == bare]
    return same or [name for name in _OURS.get(bare, ()) if name in types]


def field_meant(word: str, fields: Collection[str]) -> str | None:
    """Return the field that a wrong one stands for elsewhere, or None.

    Args:
        word: a field that there isn't.
        fields: those that there may be.
    """
    bare = _bare(word)
    same = next((name for name in fields if _bare(name) == bare), None)
    return same or next((ours for ours in _FIELDS.get(bare, "").split() if ours in fields), None)


def told_otherwise(word: str, fields: Collection[str]) -> str | None:
    """Return how we say what another product has a field for, or None.

    Args:
        word: a field that there isn't.
        fields: those that there may be.
    """
    where, how = _ELSEWHERE.get(_bare(word), ("", ""))
    return how if any(field in fields for field in where.split()) else None


def type_of_fields(fields: Iterable[str]) -> str | None:
    """Return the type that a step without one most probably has, by its fields."""
    given = set(fields)
    return next((ours for field, ours in _BY_FIELD.items() if field in given), None)
