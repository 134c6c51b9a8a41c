"""Scripts: what they are given, what their output becomes, and that none of their processes stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from agentflow.codes import CODES
from agentflow.errors import StepError
from agentflow.steps import process, processes
from agentflow.steps.script import TYPES, ScriptConfig, reap
from agentflow.steps.services import ProcessServices
from tests.steps.context import KEY, FakeContext, run

pytestmark = pytest.mark.anyio


def context(folder: Path, **more: Any) -> FakeContext:
    return FakeContext(ProcessServices(folder=folder), **more)


def alive(pid: int) -> bool:
    return processes.started_at(pid) is not None


def exists(pid: int) -> bool:
    """Tell whether there is such a process, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def failing(config: dict[str, Any], ctx: FakeContext | None = None) -> StepError:
    with pytest.raises(StepError) as caught:
        await run("script", config, ctx)
    assert caught.value.code in CODES
    return caught.value


async def until_written(file: Path) -> str:
    """Wait until a script has written a line."""
    while not (file.exists() and file.read_text().endswith("\n")):  # noqa: ASYNC110, ASYNC240  another process writes it
        await anyio.sleep(0.01)
    return file.read_text().strip()  # noqa: ASYNC240  a small file of a test


@pytest.mark.case("D-KIND-3", "W-Y-3")
async def test_json_on_stdout_is_the_result() -> None:
    assert await run("script", {"run": """echo '{"a": [1, 2]}'"""}) == {"a": [1, 2]}
    assert await run("script", {"run": "echo '[1, 2]'"}) == [1, 2]


@pytest.mark.case("D-KIND-3")
async def test_text_on_stdout_is_trimmed_output() -> None:
    assert await run("script", {"command": "echo", "args": ["  hello  "]}) == {"output": "hello"}
    assert await run("script", {"run": "true"}) == {"output": ""}


@pytest.mark.parametrize("text", ["42", "true", '"word"', "{broken", "[NaN]", '["\\ud800"]', "[" * 5000])
async def test_what_is_no_json_object_or_array_stays_text(text: str) -> None:
    assert await run("script", {"command": "printf", "args": ["%s", text]}) == {"output": text}


async def test_output_format_decides_how_stdout_is_read() -> None:
    assert await run("script", {"run": "echo '{}'", "output_format": "text"}) == {"output": "{}"}
    assert await run("script", {"run": "echo 42", "output_format": "json"}) == 42
    error = await failing({"run": "echo no", "output_format": "json"})
    assert (error.code, error.retryable, error.why) == ("AF-SCRIPT-JSON", False, "it begins with: no")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
async def test_json_on_stdout_may_come_in_any_encoding_of_unicode(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes('{"a": "zürich"}'.encode(encoding))
    config = {"command": "cat", "args": ["out"], "output_format": "json"}
    assert await run("script", config, context(tmp_path)) == {"a": "zürich"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
async def test_a_byte_order_mark_is_no_part_of_the_output(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "json").write_bytes('{"a": "zürich"}'.encode(encoding))
    (tmp_path / "text").write_bytes("zürich\n".encode(encoding))
    assert await run("script", {"command": "cat", "args": ["json"]}, context(tmp_path)) == {"a": "zürich"}
    assert await run("script", {"command": "cat", "args": ["text"]}, context(tmp_path)) == {"output": "zürich"}


@pytest.mark.case("D-KIND-3", "W-Y-3", "A-25")
async def test_another_exit_code_fails_with_what_was_printed() -> None:
    error = await failing({"run": "echo out; echo bad >&2; exit 3"})
    assert (str(error), error.code, error.kind, error.retryable) == ("Exit code 3: bad", "AF-SCRIPT-EXIT", "exit", True)
    assert str(await failing({"run": "echo only out; exit 3"})) == "Exit code 3: only out"
    assert str(await failing({"run": "exit 3"})) == "Exit code 3"


async def test_a_script_ended_by_a_signal_says_which() -> None:
    error = await failing({"run": "kill -9 $$"})
    assert str(error) == "Exit code 137 (SIGKILL)"
    assert error.data == {"exit_code": 137, "signal": "SIGKILL"}


async def test_a_long_error_keeps_its_end() -> None:
    error = await failing({"run": "head -c 100000 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 1"})
    assert str(error).startswith("Exit code 1: …x")
    assert str(error).endswith("last")
    assert len(str(error)) < 2100


async def test_stream_tells_whole_lines_as_they_come_and_waits_for_room() -> None:
    ctx = FakeContext()
    result = await run("script", {"run": "echo one; echo two; printf 'three é'", "output_format": "stream"}, ctx)
    assert "\n".join(text for _, text in ctx.logs) == "one\ntwo\nthree é"
    assert {level for level, _ in ctx.logs} == {"info"}
    assert ctx.told == []
    assert ctx.drained > 0
    assert result == {"output": "one\ntwo\nthree é"}


async def test_of_a_line_without_end_only_the_beginning_is_told() -> None:
    ctx = FakeContext()
    text = "echo first; head -c 300000 /dev/zero | tr '\\0' x; echo; echo last"
    await run("script", {"run": text, "output_format": "stream"}, ctx)
    lines = "\n".join(text for _, text in ctx.logs).split("\n")
    assert (lines[0], lines[-1]) == ("first", "last")
    assert [len(line) for line in lines[1:-1]] == [8192]


async def test_stderr_of_a_good_script_is_logged() -> None:
    ctx = FakeContext()
    await run("script", {"run": "echo careful >&2"}, ctx)
    assert ctx.logs == [("warning", "careful")]


@pytest.mark.case("D-KIND-4")
async def test_an_argument_stays_one_argument(tmp_path: Path) -> None:
    show = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
    result = await run("script", {"command": show[0], "args": [*show[1:], "a b; rm x", "", 3, True, None, {"k": [1]}]})
    assert result == ["a b; rm x", "", "3", "true", "", '{"k":[1]}']


async def test_the_environment_holds_what_was_given_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    monkeypatch.setenv("BASH_ENV", "/nonexistent/evil")
    monkeypatch.setenv("LANG", "C.UTF-8")
    config = {"command": sys.executable, "args": ["-c", "import json, os; print(json.dumps(dict(os.environ)))"]}
    result = await run("script", {**config, "env": {"NAME": "a b", "NUMBER": 3, "EMPTY": None}})
    assert "API_TOKEN" not in result
    assert "BASH_ENV" not in result
    assert (result["NAME"], result["NUMBER"], result["EMPTY"]) == ("a b", "3", "")
    assert (result["LANG"], result["PATH"]) == ("C.UTF-8", os.environ["PATH"])


async def test_a_script_runs_in_the_configs_folder_or_below_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert await run("script", {"command": "pwd"}, context(tmp_path)) == {"output": str(tmp_path)}
    assert await run("script", {"command": "pwd", "cwd": "sub"}, context(tmp_path)) == {"output": str(tmp_path / "sub")}
    error = await failing({"command": "pwd", "cwd": "none"}, context(tmp_path))
    assert (str(error), error.code, error.retryable) == (
        'there is no folder "none" to run in',
        "AF-SCRIPT-START",
        False,
    )


async def test_a_command_that_is_not_there_fails_with_a_hint() -> None:
    error = await failing({"command": "no-such-command"})
    assert (str(error), error.retryable) == ('command "no-such-command" not found', False)
    assert (await failing({"command": "echo hi"})).hint == (
        "command is one program: give its arguments as args, or use run"
    )


async def test_too_large_an_argument_says_so() -> None:
    error = await failing({"command": "echo", "args": ["x" * 300_000]})
    assert str(error) == 'command "echo" can\'t be started: Argument list too long'
    assert error.hint == "put large values into a file"


async def test_stdin_is_empty() -> None:
    with anyio.fail_after(60):
        assert await run("script", {"command": "cat"}) == {"output": ""}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"command": "a", "run": "b"},
        {"command": "a", "shell": "bash"},
        {"run": "a", "args": ["b"]},
        {"run": "a", "shell": "fish"},
        {"command": "a", "env": {"A=B": "c"}},
        {"command": "a", "env": {"1A": "c"}},
        {"command": "a", "args": ["\0"]},
        {"command": "a", "timeout": 3},
    ],
)
def test_what_does_not_go_together_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScriptConfig.model_validate(config)


def test_a_reference_in_shell_text_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(ValidationError, match=r'env: \{VALUE: "\{input.name\}"\}, and write "\$VALUE" here'):
        ScriptConfig.model_validate({"run": "echo {input.name}"})
    assert ScriptConfig.model_validate({"run": "awk '{print $1}' <<< ${X} {a,b}"}).run is not None


async def test_a_shell_variable_may_have_the_name_of_a_namespace() -> None:
    text = 'for item in 1 2; do input="$input${item}"; done; echo "${input} ${env[0]}"'
    assert await run("script", {"run": text}) == {"output": "12"}
    with pytest.raises(ValidationError, match=r"\{input.name\} would become shell text"):
        ScriptConfig.model_validate({"run": "echo ${input.name}"})


async def test_sh_runs_where_it_is_asked_for() -> None:
    assert await run("script", {"run": "echo $0", "shell": "sh"}) == {"output": "sh"}


async def test_too_much_output_ends_the_script() -> None:
    with anyio.fail_after(60):
        error = await failing({"run": "yes"})
    assert (error.code, error.retryable) == ("AF-SCRIPT-OUTPUT", False)
    assert str(error) == "the script printed more than 4 MiB, and was ended"


async def test_four_mebibytes_of_output_are_a_result() -> None:
    result = await run("script", {"run": f"head -c {process.MAX_OUTPUT} /dev/zero | tr '\\0' x"})
    assert len(result["output"]) == process.MAX_OUTPUT


TREE = 'sleep 1000 & sleep 1000 & echo "$$ $! $(jobs -p | head -1)" > pids.tmp; mv pids.tmp pids; wait'


@pytest.mark.case("D-KIND-3")
@pytest.mark.parametrize(
    "text",
    [TREE, f"trap '' TERM; {TREE}", f"{TREE} & wait", "exec > /dev/null 2>&1; " + TREE],
    ids=["tree", "deaf to TERM", "in a subshell", "closed pipes"],
)
async def test_a_timed_out_script_leaves_no_process(tmp_path: Path, text: str) -> None:
    pids: list[int] = []

    async def cut_when_running(scope: anyio.CancelScope) -> None:
        pids.extend(map(int, (await until_written(tmp_path / "pids")).split()))
        scope.cancel()

    ctx = context(tmp_path)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                tasks.start_soon(cut_when_running, scope)
                await run("script", {"run": text}, ctx)
            assert scope.cancelled_caught
    assert len(pids) == 3
    assert not [pid for pid in pids if alive(pid)]
    assert not exists(ctx.saved[0]["script"]["group"]), "a zombie"
    assert processes.marked(KEY) == []


async def test_a_cancelled_script_takes_along_what_left_its_group(tmp_path: Path) -> None:
    text = "setsid sleep 1000 & setsid bash -c 'sleep 1000 & echo $! > pids.tmp; mv pids.tmp pids; wait' & wait"
    ctx = context(tmp_path)
    pid = 0
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, "script", {"run": text}, ctx)
            pid = int(await until_written(tmp_path / "pids"))
            tasks.cancel_scope.cancel()
    assert not alive(pid)
    assert processes.marked(KEY) == []


async def test_children_that_outlive_a_good_script_end_with_it(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        result = await run("script", {"run": "sleep 1000 & echo $!"}, context(tmp_path))
    assert not alive(int(result["output"]))


async def test_a_child_that_still_writes_is_heard(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        assert await run("script", {"run": "echo first; (sleep 0.1; echo second) &"}) == {"output": "first\nsecond"}


async def test_a_script_whose_state_cannot_be_saved_is_ended(tmp_path: Path) -> None:
    class Fenced(FakeContext):
        async def save(self, state: Any) -> None:
            self.saved.append(state)
            raise StepError("the run has another holder")

    ctx = Fenced(ProcessServices(folder=tmp_path))
    with anyio.fail_after(60), pytest.raises(StepError, match="another holder"):
        await run("script", {"run": "sleep 1000"}, ctx)
    assert not exists(ctx.saved[0]["script"]["group"])


async def test_finished_scripts_leave_no_zombie() -> None:
    ctx = FakeContext()
    for code in (0, 3):
        with suppress(StepError):
            await run("script", {"run": f"exit {code}"}, ctx)
    groups = [state["script"]["group"] for state in ctx.saved]
    assert len(groups) == 2
    assert not [pid for pid in groups if exists(pid)]


def start_orphan(tmp_path: Path, text: str) -> dict[str, Any]:
    """Run a script in a host of its own, kill the host, and return the state that it had saved."""
    host = f"""
import anyio, json, sys
from tests.steps.context import FakeContext, run
from agentflow.steps.services import ProcessServices
from pathlib import Path

class Telling(FakeContext):
    async def save(self, state):
        print(json.dumps(state), flush=True)

async def main():
    services = ProcessServices(folder=Path({str(tmp_path)!r}))
    await run("script", {{"run": {text!r}}}, Telling(services, key={KEY!r}))

anyio.run(main)
"""
    child = subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert child.stdout is not None
    with child, child.stdout as out:
        state = json.loads(out.readline())
        while not (tmp_path / "pids").exists():
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    return state


async def test_a_killed_host_takes_its_script_along_and_reap_ends_the_rest(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        state = await anyio.to_thread.run_sync(start_orphan, tmp_path, TREE)
        leader, *children = map(int, (tmp_path / "pids").read_text().split())
        while alive(leader):  # noqa: ASYNC110  its death is not ours to be told
            await anyio.sleep(0.01)
        assert [pid for pid in children if alive(pid)] == children
        reap(state)
        assert not [pid for pid in children if alive(pid)]


async def test_a_second_attempt_first_ends_what_the_first_left(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        state = await anyio.to_thread.run_sync(start_orphan, tmp_path, TREE)
        children = list(map(int, (tmp_path / "pids").read_text().split()))[1:]
        ctx = context(tmp_path, attempt=2, state=state)
        assert await run("script", {"run": "echo done"}, ctx) == {"output": "done"}
        assert not [pid for pid in children if alive(pid)]


async def test_a_second_attempt_finds_them_without_any_saved_state(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        await anyio.to_thread.run_sync(start_orphan, tmp_path, TREE)
        children = list(map(int, (tmp_path / "pids").read_text().split()))[1:]
        assert await run("script", {"run": "echo done"}, context(tmp_path, attempt=2)) == {"output": "done"}
        assert not [pid for pid in children if alive(pid)]


@pytest.mark.parametrize("change", [{"started": "1"}, {"boot": "another"}])
def test_reap_leaves_a_stranger_with_the_same_number_alone(change: dict[str, str]) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        try:
            state = {"group": stranger.pid, "started": processes.started_at(stranger.pid)}
            reap({"script": {**state, "boot": processes.boot_id(), "mark": "none", **change}})
            assert alive(stranger.pid)
        finally:
            stranger.kill()


@pytest.mark.parametrize("state", [None, {}, {"script": None}, [], "text", {"other": 1}])
def test_reap_takes_any_state(state: Any) -> None:
    reap(state)


def test_the_type_says_what_it_needs() -> None:
    (spec,) = TYPES
    assert (spec.name, spec.skills, spec.timeout, spec.outbound) == ("script", ("native:shell",), 60.0, ("env",))
    assert (spec.raw, spec.unsafe, spec.reap) == (("run",), True, reap)
