"""Limits of granted skills where steps do something: a refusal says what, by which rule, and what would allow it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentflow.codes import CODES
from agentflow.definition.skill_limits import LIMITS, limits_of
from agentflow.errors import StepError
from agentflow.steps.services import ProcessServices
from tests.steps.context import FakeContext, run

pytestmark = pytest.mark.anyio


def context(skill: str, limits: Mapping[str, Any], folder: Path | None = None, **more: Any) -> FakeContext:
    return FakeContext(ProcessServices(folder=folder, skills={skill: limits}, **more))


async def refused(kind: str, config: dict[str, Any], ctx: FakeContext) -> StepError:
    with pytest.raises(StepError) as caught:
        await run(kind, config, ctx)
    error = caught.value
    assert (error.code, error.kind, error.retryable) == ("AF-SKILL-DENIED", "skill", False)
    assert error.code in CODES
    return error


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the config's: programs `greet` and `other`, and a folder below."""
    for name in ("greet", "other"):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\necho {name} $PWD\n")
        file.chmod(0o755)
    (tmp_path / "work" / "deep").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("programs", "script", "fine"),
    [
        (["echo"], {"command": "echo"}, True),
        ("echo", {"command": "echo"}, True),
        (["echo"], {"command": "printf", "args": ["x"]}, False),
        (["echo"], {"command": shutil.which("echo")}, True),
        ([shutil.which("echo")], {"command": "echo"}, True),
        (["echo"], {"command": "./echo"}, False),
        (["bin/greet"], {"command": "bin/greet"}, True),
        (["bin/greet"], {"command": "work/../bin/greet"}, True),
        (["bin/greet"], {"command": "../bin/greet", "cwd": "work"}, True),
        (["bin/greet"], {"command": "bin/other"}, False),
        (["bin/greet"], {"command": "greet"}, False),
        (["greet"], {"command": "bin/greet"}, False),
        (["echo"], {"run": "echo hi"}, False),
        (["bash"], {"run": "echo hi"}, True),
        (["bash"], {"run": "echo hi", "shell": "sh"}, False),
        ([], {"command": "echo"}, False),
        (["echo"], {"command": "echo", "env": {"PATH": "bin"}}, False),
        (["echo"], {"command": "echo", "env": {"LD_PRELOAD": "x.so"}}, False),
        (["echo"], {"command": "echo", "env": {"OPENSSL_CONF": "x.cnf"}}, False),
        (["echo"], {"command": "echo", "env": {"_JAVA_OPTIONS": "-javaagent:x.jar"}}, False),
        (["echo"], {"command": "echo", "env": {"HOME": "work"}}, False),
        (["echo"], {"command": "echo", "env": {"NAME": "x"}}, True),
    ],
)
async def test_only_listed_programs_are_started(tools: Path, programs: Any, script: dict[str, Any], fine: bool) -> None:
    ctx = context("native:shell", {"programs": programs}, tools)
    if fine:
        assert "output" in await run("script", script, ctx)
    else:
        await refused("script", script, ctx)


@pytest.mark.parametrize("program", ["./greet", "greet"])
async def test_a_listed_program_is_no_other_file_of_that_name_where_a_step_runs(tools: Path, program: str) -> None:
    shutil.copy(tools / "bin" / "greet", tools / "work" / "greet")
    ctx = context("native:shell", {"programs": [program]}, tools)
    with pytest.raises(StepError) as caught:
        await run("script", {"command": program, "cwd": "work"}, ctx)
    assert caught.value.code in ("AF-SKILL-DENIED", "AF-SCRIPT-START")


async def test_a_refused_program_says_the_rule_and_the_edit() -> None:
    error = await refused("script", {"command": "rm"}, context("native:shell", {"programs": ["git", "make"]}))
    assert error.what == 'the program "rm" isn\'t allowed by native:shell'
    assert error.why == "the config grants native:shell with programs: [git, make]"
    assert error.hint == 'if it is meant, in the config: skills: {"native:shell": {programs: [git, make, rm]}}'


async def test_a_program_is_the_one_that_was_looked_at_whatever_path_the_step_sets(tools: Path) -> None:
    limits = {"programs": ["greet"], "env": ["PATH"]}
    ctx = context("native:shell", limits, tools)
    found = await run("script", {"command": "greet", "env": {"PATH": f":.:{tools}/bin"}}, ctx)
    assert found["output"].startswith("greet")
    with pytest.raises(StepError) as caught:
        await run("script", {"command": "greet", "env": {"PATH": "bin"}, "cwd": "."}, ctx)
    assert caught.value.code == "AF-SCRIPT-START"


@pytest.mark.parametrize(
    ("skill", "limits"),
    [("native:shell", {"folders": ["work"]}), ("native:filesystem", {"roots": ["work"]})],
)
async def test_scripts_run_in_allowed_folders_only(tools: Path, skill: str, limits: dict[str, Any]) -> None:
    ctx = context(skill, limits, tools)
    for cwd in ("work", "work/deep", "work/deep/..", str(tools / "work")):
        assert (await run("script", {"run": "pwd -P", "cwd": cwd}, ctx))["output"].startswith(str(tools / "work"))
    (tools / "work" / "out").symlink_to(tools)
    for cwd in (None, ".", "work/..", "work/out", "/", "bin"):
        error = await refused("script", {"run": "pwd", "cwd": cwd}, ctx)
        assert "isn't allowed by " + skill in error.what
    assert error.hint is not None
    assert "[work, bin]" in error.hint


async def test_a_step_sets_listed_variables_only() -> None:
    ctx = context("native:shell", {"env": ["CI_*", "NAME"]})
    assert await run("script", {"run": 'echo "$CI_JOB$NAME"', "env": {"CI_JOB": "1", "NAME": "n"}}, ctx) == {
        "output": "1n"
    }
    error = await refused("script", {"run": "true", "env": {"OTHER": "x"}}, ctx)
    assert error.what == 'the variable "OTHER" isn\'t allowed by native:shell'


async def test_python_steps_name_listed_modules_only() -> None:
    ctx = context(
        "native:python", {"modules": ["os"]}, python_modules=["os", "json"], functions={"mine": lambda: {"a": 1}}
    )
    assert await run("python", {"function": "os.path:basename", "input": "/a/b"}, ctx) == "b"
    assert await run("python", {"function": "mine"}, ctx) == {"a": 1}
    error = await refused("python", {"function": "json:loads", "input": "{}"}, ctx)
    assert error.hint is not None
    assert "modules: [os, json]" in error.hint


@pytest.mark.parametrize(
    ("allow", "call", "fine"),
    [
        (["add"], {"tool_name": "add"}, True),
        (["a*"], {"tool_name": "add"}, True),
        (["sub"], {"tool_name": "add"}, False),
        ([], {"tool_name": "add"}, False),
        (["far/add"], {"tool_name": "add", "server": "far"}, True),
        (["far/*"], {"tool_name": "add", "server": "far"}, True),
        (["add"], {"tool_name": "add", "server": "far"}, True),
        (["far/*"], {"tool_name": "add"}, False),
        (["near/*"], {"tool_name": "add", "server": "far"}, False),
    ],
)
async def test_listed_tools_are_called_only(allow: Sequence[str], call: dict[str, Any], fine: bool) -> None:
    class Far:
        async def call(self, name: str, arguments: dict[str, Any], ctx: Any) -> dict[str, Any]:
            return {"sum": arguments["a"] + arguments["b"]}

    def add(a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}

    ctx = context("native:tool", {"allow": allow}, tools={"add": add, "far": Far()})
    config = {**call, "input": {"a": 1, "b": 2}}
    if fine:
        assert await run("tool_call", config, ctx) == {"sum": 3}
    else:
        await refused("tool_call", config, ctx)


async def test_listed_agents_are_asked_only() -> None:
    def answer(prompt: str) -> str:
        return prompt

    ctx = context("native:agent", {"allow": ["wri*"]}, agents={"writer": answer, "spy": answer})
    assert await run("agent_run", {"agent": "writer", "prompt": "hi"}, ctx) == {"output": "hi"}
    error = await refused("agent_run", {"agent": "spy", "prompt": "hi"}, ctx)
    assert error.what == 'the agent "spy" isn\'t allowed by native:agent'


@pytest.mark.parametrize("skill", sorted(LIMITS))
def test_an_unknown_limit_is_refused(skill: str) -> None:
    with pytest.raises(ValueError, match=f'{skill} has no limit "nonsense"'):
        limits_of(skill, {"nonsense": 1})


def test_a_mistyped_limit_names_the_one_that_is_meant() -> None:
    with pytest.raises(ValueError, match='did you mean "programs"'):
        limits_of("native:shell", {"program": ["git"]})


async def test_without_limits_nothing_is_left_out() -> None:
    ctx = context("native:shell", {})
    assert await run("script", {"command": "sh", "args": ["-c", "echo hi"], "cwd": "/"}, ctx) == {"output": "hi"}


def test_a_place_that_a_step_names_lies_in_a_root(tools: Path) -> None:
    services = ProcessServices(folder=tools, skills={"native:filesystem": {"roots": ["work"]}})
    assert services.place("work/new.txt") == tools / "work" / "new.txt"
    (tools / "work" / "out").symlink_to(tools)
    for path in ("bin/greet", "work/../bin/greet", "work/out/bin/greet", "/etc/passwd"):
        with pytest.raises(StepError, match="isn't allowed by native:filesystem"):
            services.place(path)
    assert ProcessServices(folder=tools).place("/etc/passwd") == Path("/etc/passwd")
