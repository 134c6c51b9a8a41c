"""Shell injection through inputs: no payload is ever executed, wherever a value can get into a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow.definition.distri import flatten_kind
from agentflow.definition.faults import Faults
from agentflow.errors import StepError
from agentflow.expressions import compile_value
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, run

pytestmark = pytest.mark.anyio

PAYLOADS = [
    "; touch canary",
    "&& touch canary",
    "|| touch canary",
    "| touch canary",
    "& touch canary &",
    "$(touch canary)",
    "`touch canary`",
    "\ntouch canary\n",
    "'; touch canary; '",
    '"; touch canary; "',
    '"$(touch canary)"',
    "'$(touch canary)'",
    "${IFS}touch${IFS}canary",
    "x); touch canary; (x",
    "> canary",
    "<(touch canary)",
    "() { :;}; touch canary",
    "a[$(touch canary)]",
    '\\"; touch canary #',
    "{input.other}$(touch canary)",
    "-e; eval touch canary",
    "!touch canary",
    "~/$(touch canary)\r\n; touch canary",
]


class Input:
    """A view in which `{input.value}` is a payload."""

    def __init__(self, payload: str) -> None:
        self._payload = payload

    def get(self, namespace: str) -> object:
        return {"input": {"value": self._payload}}[namespace]

    def step(self, step_id: str) -> object:
        raise KeyError(step_id)

    def optional(self, namespace: str, path: tuple[str | int, ...]) -> bool:
        return False

    def search(self, name: str) -> object:
        return {"value": self._payload}[name]


@pytest.fixture
def ctx(tmp_path: Path) -> FakeContext:
    return FakeContext(ProcessServices(folder=tmp_path))


def left_behind(ctx: FakeContext) -> list[str]:
    """Return the names of all files in the script's folder."""
    assert ctx.services.folder is not None
    return [file.name for file in ctx.services.folder.iterdir()]


async def output(config: dict[str, Any], ctx: FakeContext) -> str:
    with anyio.fail_after(60):
        result = await run("script", {**config, "output_format": "text"}, ctx)
    assert left_behind(ctx) == [], "a payload was executed"
    return result["output"]


def distri(command: str, payload: str, **more: Any) -> tuple[dict[str, Any], Faults]:
    """Load a distri script and render it as the engine does."""
    faults = Faults()
    flat, _ = flatten_kind({"type": "script", "command": command, **more}, "", faults, "step")
    del flat["type"]
    env: dict[str, Any] = flat.get("env", {})
    return {**flat, "env": compile_value(env, dialect="distri").render(Input(payload))}, faults


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_payload_as_an_argument_is_text(payload: str, ctx: FakeContext) -> None:
    assert await output({"command": "printf", "args": ["%s", payload]}, ctx) == payload.strip()


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_a_payload_as_a_variable_is_text(payload: str, shell: str, ctx: FakeContext) -> None:
    config = {"run": 'printf %s "$VALUE"', "shell": shell, "env": {"VALUE": payload}}
    assert await output(config, ctx) == payload.strip()


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_a_payload_as_a_command_is_no_shell_text(payload: str, ctx: FakeContext) -> None:
    with pytest.raises(StepError, match=r"not found|can't be started"):
        await run("script", {"command": payload}, ctx)
    assert left_behind(ctx) == []


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("printf %s {input.value}", {}),
        ('printf %s "{input.value}"', {"shell": "bash"}),
        ("printf %s", {"args": ["{input.value}"], "shell": "sh"}),
        ('test -n "$(printf %s {input.value})" && printf %s {input.value}', {}),
        ("printf", {"args": ["%s", "{input.value}"]}),
    ],
    ids=["bare", "quoted", "argument", "substitution", "argv"],
)
async def test_a_payload_in_a_distri_command_is_text(
    payload: str, command: str, more: dict[str, Any], ctx: FakeContext
) -> None:
    config, faults = distri(command, payload, **more)
    assert not faults.problems
    if "run" not in config:
        config = compile_value(config, dialect="distri").render(Input(payload))
    assert await output(config, ctx) == payload.strip()


@pytest.mark.parametrize(
    "command",
    [
        "bash -c 'echo {input.value}'",
        "eval echo {input.value}",
        "echo '{input.value}' done",
        "echo $(( {input.value} ))",
        "cat <<EOF\n{input.value}\nEOF",
    ],
)
def test_a_distri_command_that_cannot_be_made_harmless_is_refused(command: str) -> None:
    config, faults = distri(command, "x", shell="bash")
    assert [problem.code for problem in faults.problems] == ["AF-SHELL-REFERENCE"]
    assert config["run"] == "true"
