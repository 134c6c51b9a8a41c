"""stdout is the result's, what steps print goes into their log, and no stream that is gone changes a run."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import subprocess
import sys
from typing import Any

import pytest

from agentflow.cli.writer import Output
from tests.cli.forks import COMMAND
from tests.cli.project import Project
from tests.servers import relayed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the streams of a POSIX system")

CONFIG = """\
skills: [native:shell]
python: {modules: [helpers]}
tools: {t: {python: "helpers:says"}}
workflows:
  says: {steps: [{id: s, type: python, function: "helpers:says"}]}
  tool: {steps: [{id: s, type: tool_call, tool_name: t}]}
  awaits: {steps: [{id: s, type: python, function: "helpers:awaits"}]}
  below: {steps: [{id: s, type: python, function: "helpers:below"}]}
  floods: {steps: [{id: s, type: python, function: "helpers:floods"}]}
  two:
    execution: parallel
    steps: [{id: a, type: python, function: "helpers:named", input: {name: a}},
            {id: b, type: python, function: "helpers:named", input: {name: b}}]
  script: {steps: [{id: s, type: script, run: "echo '[1]'; echo noise >&2"}]}
  marks: {steps: [{id: a, type: set, value: 1}, {id: b, type: script, run: "touch done"}]}
  talks: {steps: [{id: t, type: python, function: "helpers:talks"}, {id: b, type: script, run: "touch done"}]}
  text: {steps: [{id: a, type: set, value: "größe 中文 😀 \\x9b"}]}
  fails: {steps: [{id: a, type: python, function: "helpers:raises"}]}
  files: {steps: [{id: a, type: python, function: "helpers:files"}]}
"""
HELPERS = """\
import ctypes
import os
import subprocess
import sys
import threading

print("imported")

def says():
    print("working", "on it")
    print("begun", end=", ")
    print("done")
    sys.stdout.buffer.write("bytes größe\\n".encode())
    sys.stdout.writelines(["a line\\n", "the last"])
    return {"n": 1}

async def awaits():
    print("awaited")
    return {"n": 1}

def below():
    os.write(1, b"from the descriptor\\n")
    os.system("echo from a shell")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    subprocess.run(["echo", "from a child of stdout"], check=True, stdout=sys.stdout)
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)  # C keeps it until the process ends, which is after the last look at what was printed
    sys.__stdout__.write("from the original\\n")
    other = threading.Thread(target=sys.stdout.write, args=("from another thread\\n",))
    other.start()
    other.join()
    return {"n": 1}

def floods():
    for n in range(100_000):
        print("line", n)
    os.write(1, b"x" * 3_000_000)
    return {"n": 1}

def named(name):
    print("I am", name)
    return name

def talks():
    for n in range(10_000):
        print("line", n, "of much talk", file=sys.stderr)

def raises():
    raise RuntimeError("no")

def files():
    return sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in range(3))
"""


@pytest.fixture
def scene(project: Project) -> Project:
    """Return a project whose steps print."""
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (project.folder / "helpers.py").write_text(HELPERS, encoding="utf-8")
    return project


def shell(scene: Project, line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `af` is the command: a forked one, if no stream is closed from the start."""
    env = {**scene.environ, **environ}
    command = [COMMAND] if "&-" in line or not scene.forker.fits(env) else relayed([COMMAND], env)
    return subprocess.run(
        ["bash", "-c", f'af() {{ {shlex.join(command)} "$@"; }}; {line}'],
        cwd=scene.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def logged(scene: Project, step: str = "s") -> str:
    """Return what the newest run's step has in its log."""
    events = scene.json("runs", "show", "@last", "--step", step)["events"]
    return "\n".join(event["data"]["text"] for event in events if event["type"] == "step_log")


# what steps print


@pytest.mark.parametrize("flow", ["says", pytest.param("tool", marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", [["--json"], *(pytest.param(m, marks=pytest.mark.slow) for m in ([], ["--jsonl"]))])
def test_what_a_function_prints_stands_in_its_steps_log_and_not_on_stdout(
    scene: Project, flow: str, mode: list[str]
) -> None:
    done = scene.run("run", flow, *mode)
    assert done.returncode == 0, done.stderr
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert (documents[-1].get("output") or documents[-1]) == {"n": 1}
    assert logged(scene) == "imported\nworking on it\nbegun, done\nbytes größe\na line\nthe last"


def test_a_coroutine_that_prints_is_heard_too(scene: Project) -> None:
    assert scene.json_of("run", "awaits", "-q") == {"n": 1}
    assert logged(scene).endswith("awaited")


def test_steps_that_print_at_once_have_a_log_each(scene: Project) -> None:
    scene.json_of("run", "two", "-q")
    assert "I am a" in logged(scene, "a")
    assert "I am b" not in logged(scene, "a")
    assert "I am b" in logged(scene, "b")


def test_what_goes_around_python_is_told_on_stderr(scene: Project) -> None:
    done = scene.run("run", "below", "-q")
    assert json.loads(done.stdout) == {"n": 1}
    told = ("the descriptor", "a shell", "a child", "a child of stdout", "C", "the original", "another thread")
    assert [f"from {each}" for each in told if f"from {each}\n" not in done.stderr] == []


def test_a_flood_neither_holds_the_run_up_nor_fills_the_store(scene: Project) -> None:
    done = scene.run("run", "floods", "-q")
    assert json.loads(done.stdout) == {"n": 1}
    log = logged(scene)
    assert log.startswith("imported\nline 0\nline 1\n")
    assert log.endswith("… what it prints from here on isn't kept")
    assert len(log) < 300_000


def test_a_script_and_the_streams_of_its_own_stay_as_they_are(scene: Project) -> None:
    assert scene.json_of("run", "script", "-q") == [1]


def test_a_library_leaves_the_streams_alone(scene: Project) -> None:
    code = (
        "import os, sys, anyio; from agentflow import *; from agentflow.engine import Engine\n"
        "before = os.fstat(1).st_ino, sys.stdout\n"
        "async def main():\n"
        "    async with Engine.open(':memory:', config=load_config('agentflow.yaml')) as engine:\n"
        "        run = await engine.start('says', {}); await engine.wait(run.id)\n"
        "anyio.run(main); assert before == (os.fstat(1).st_ino, sys.stdout); print('after')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=scene.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("imported\nworking on it\n")
    assert done.stdout.endswith("the last" + "after\n")


# streams that are gone


@pytest.mark.parametrize(
    "where",
    [
        "2>/dev/full",
        "2>&1 >/dev/null | true",
        pytest.param("2>&-", marks=pytest.mark.slow),
        pytest.param("2> >(head -c1 >/dev/null)", marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_when_its_progress_can_not_be_written(scene: Project, where: str) -> None:
    done = shell(scene, f"af run marks {where}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0, done.stderr
    assert (scene.folder / "done").exists()
    assert scene.json("runs", "list")["runs"][0]["state"] == "completed"


@pytest.mark.parametrize(
    ("mode", "where", "flow", "code"),
    [
        ("-q", ">&-", "fails", 1),
        ("--json", ">/dev/full", "says", 74),
        pytest.param("-q", ">/dev/full", "says", 74, marks=pytest.mark.slow),
        pytest.param("--json", ">&-", "says", 74, marks=pytest.mark.slow),
        pytest.param("--json", ">/dev/full", "fails", 1, marks=pytest.mark.slow),
        pytest.param("--jsonl", ">/dev/full", "says", 74, marks=pytest.mark.slow),
    ],
)
def test_a_result_that_can_not_be_written_is_told_and_has_its_exit_code(
    scene: Project, where: str, mode: str, flow: str, code: int
) -> None:
    done = shell(scene, f"af run {flow} {mode} {where}")
    assert done.returncode == code, done.stderr
    assert "AF-DEFECT" not in done.stderr
    assert ("AF-OUTPUT-LOST" in done.stderr) is (code == 74)
    assert "Traceback" not in done.stderr
    assert scene.json("runs", "list")["runs"][0]["state"] == ("completed" if code == 74 else "failed")


def test_who_reads_only_the_beginning_hears_no_complaint(scene: Project) -> None:
    done = shell(scene, "af run says --jsonl | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (74, "")
    assert scene.json("runs", "list")["runs"][0]["state"] == "completed"


@pytest.mark.parametrize(
    "command",
    [
        "runs list",
        *(
            pytest.param(rare, marks=pytest.mark.slow)
            for rare in ("steps", "waits --json", "--help", "schema", "steps script", "explain AF-USAGE", "graph says",
                         "runs list --json", "runs show @last", "waits list --json", "run --help", "--version")
        ),
    ],
)  # fmt: skip
def test_who_stops_to_read_what_a_command_shows_has_seen_enough(scene: Project, command: str) -> None:
    assert shell(scene, "af run says -q >/dev/null").returncode == 0
    done = shell(scene, f"af {command} | true; exit ${{PIPESTATUS[0]}}")
    printed = "imported\n" if command in ("steps", "schema") else ""  # by the config's own module
    assert (done.returncode, done.stderr) == (0, printed)


def test_a_listing_that_can_not_be_written_for_another_reason_is_told(scene: Project) -> None:
    done = shell(scene, "af schema >/dev/full")
    assert done.returncode == 74
    assert "AF-OUTPUT-LOST" in done.stderr


@pytest.mark.parametrize(
    "closed",
    ["<&- >&- 2>&-", pytest.param("<&-", marks=pytest.mark.slow), pytest.param("<&- 2>&-", marks=pytest.mark.slow)],
)
def test_no_file_becomes_a_stream_that_was_closed_at_the_start(scene: Project, closed: str) -> None:
    shell(scene, f"af run files -q {closed}")
    output = scene.json("runs", "show", "@last")["output"]
    assert set(output) <= {"/dev/null", "pipe"}
    assert scene.run("store", "check").returncode == 0


def test_stdin_that_is_closed_is_told_as_such(scene: Project) -> None:
    for line in ("af validate - <&-", "af run says --input-json - <&-"):
        done = shell(scene, line)
        assert done.returncode == 65
        assert "can't read stdin: it is closed" in done.stderr


def test_stdin_that_is_no_text_is_told_as_such(scene: Project) -> None:
    done = shell(scene, r"printf '\xff\xfe' | af validate -")
    assert done.returncode == 65
    assert "stdin isn't UTF-8 text" in done.stderr


@pytest.mark.timeout(120)
def test_a_pipe_that_nobody_drains_does_not_stop_the_run(scene: Project) -> None:
    process = subprocess.Popen(
        [*relayed([COMMAND], scene.environ), "run", "talks"],
        cwd=scene.folder, env=scene.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert process.wait(100) == 0
        assert (scene.folder / "done").exists()
        assert len(process.stderr.read()) <= 70_000  # what a pipe holds


@pytest.mark.timeout(120)
def test_a_terminal_that_is_stopped_does_not_stop_the_run(scene: Project) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*relayed([COMMAND], scene.environ), "run", "talks", "--no-color"],
        cwd=scene.folder, env={**scene.environ, "TERM": "dumb"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=theirs,
    )  # fmt: skip
    try:
        assert process.wait(100) == 0
        assert (scene.folder / "done").exists()
    finally:
        os.close(theirs)
        os.close(ours)


# encodings


@pytest.mark.parametrize(
    ("encoding", "mode"),
    [
        pytest.param("ascii", ["-q"], marks=pytest.mark.slow),
        ("cp1252", ["--json"]),
        pytest.param("latin-1", ["-q"], marks=pytest.mark.slow),
        pytest.param("utf-8", ["--json"], marks=pytest.mark.slow),
        pytest.param("ascii", ["--jsonl"], marks=pytest.mark.slow),
    ],
)
def test_json_loses_no_character_in_any_encoding(scene: Project, encoding: str, mode: list[str]) -> None:
    environ: dict[str, Any] = {**scene.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [COMMAND, "run", "text", *mode], cwd=scene.folder, env=environ, stdin=subprocess.DEVNULL, capture_output=True,
        check=True,
    )  # fmt: skip
    document = json.loads(done.stdout.decode(encoding).splitlines()[-1])
    assert (document if mode == ["-q"] else document["output"]) == "größe 中文 😀 \x9b"


def test_a_text_shows_the_characters_that_an_encoding_lacks_as_escapes(scene: Project) -> None:
    scene.run("run", "text", "-q")
    done = shell(scene, "af runs show @last", PYTHONIOENCODING="ascii")
    assert r"gr\xf6\xdfe \u4e2d\u6587 \U0001f600 \x9b" in done.stdout
    assert "?" not in done.stdout


# the writer alone


def test_a_slow_reader_gets_the_rest_and_is_told_what_was_dropped() -> None:
    source, target = os.pipe()
    stream = Output(target, most=100_000)
    lines = [f"{n:05} {'x' * 93}\n" for n in range(4000)]
    for line in lines:
        stream.write(line)
    dropped = stream.dropped
    assert 0 < dropped < len(lines)
    told = b""
    while select.select([source], [], [], 60 if b"weren't shown" not in told else 0)[0]:
        told += os.read(source, 65_536)
    assert told.decode().startswith("".join(lines[: len(lines) - dropped]))
    assert told.decode().endswith(f"… {dropped} lines weren't shown: nobody read them in time\n")
    os.close(source)
    os.close(target)


def test_nothing_is_tried_again_after_the_first_failure() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    stream = Output(full)
    assert stream.write("one\n") == 4
    assert stream.failed is not None
    os.close(full)
    assert stream.write("two\n") == 4
    assert stream.failed.strerror == "No space left on device"


def test_a_stream_that_somebody_made_non_blocking_gets_everything() -> None:
    source, target = os.pipe()
    os.set_blocking(target, False)
    stream = Output(target)
    text = "x" * 300_000
    stream.write(text)
    told = b""
    while len(told) < len(text):
        told += os.read(source, 65_536)
    assert stream.drain(60)
    assert stream.failed is None
    os.close(source)
    os.close(target)


def test_results_keep_their_place_among_what_is_said(scene: Project) -> None:
    done = shell(scene, "af run says > both 2>&1; cat both")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run ")
    assert lines[-1] == '{"n": 1}'
    assert "completed" in lines[-2]
