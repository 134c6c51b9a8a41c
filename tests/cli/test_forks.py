"""A forked command does what a started one does, and nothing of it is left for the next."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.forks import COMMAND, Forker
from tests.cli.project import Project, clean_environ

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")

CONFIG = """\
python: {modules: [helpers]}
workflows:
  look: {steps: [{id: look, type: python, function: "helpers:look"}]}
  count: {steps: [{id: count, type: python, function: "helpers:count"}]}
  die: {steps: [{id: die, type: python, function: "helpers:die"}]}
  orphan: {steps: [{id: orphan, type: python, function: "helpers:orphan"}]}
  interrupt: {steps: [{id: interrupt, type: python, function: "helpers:interrupt"}]}
  hang: {steps: [{id: hang, type: python, function: "helpers:hang"}]}
"""
HELPERS = """\
import gc, locale, os, random, signal, socket, stat, sys, threading, time, warnings
from contextlib import suppress
from pathlib import Path

counted = []


def left_open():
    # the pipes, and sockets of the kind that the forking process has: others come and go
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):
            mode = os.fstat(number).st_mode
            if stat.S_ISFIFO(mode):
                found.append("pipe")
            elif stat.S_ISSOCK(mode):
                with socket.socket(fileno=os.dup(number)) as copy:
                    found += ["control"] * (copy.type == socket.SOCK_SEQPACKET)
    return sorted(found)


def stream(file):
    told = {name: getattr(file, name) for name in ("encoding", "errors", "line_buffering", "name", "mode")}
    return {**told, "terminal": file.isatty(), "buffer": type(file.buffer).__name__, "seekable": file.seekable()}


def look():
    main = sys.modules["__main__"]
    return {
        "argv": sys.argv,
        "path": sys.path,
        "folder": os.getcwd(),
        "environ": dict(os.environ),
        "streams": [stream(file) for file in (sys.stdin, sys.stdout, sys.stderr)],
        "same": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
        "flags": [str(sys.flags), sys.warnoptions, sys.dont_write_bytecode, sys.getrecursionlimit()],
        "warnings": sorted(str(each) for each in warnings.filters),
        "signals": {each.name: str(signal.getsignal(each)).split(" at ")[0] for each in signal.valid_signals()
                    if isinstance(each, signal.Signals)},
        "files": sorted(os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in range(3)),
        "open": left_open(),
        "threads": [threading.current_thread() is threading.main_thread(), threading.main_thread().name],
        "main": [main.__name__, main.__file__, main is sys.modules.get("__mp_main__")],
        "locale": [locale.setlocale(locale.LC_ALL), locale.getpreferredencoding(), sys.getfilesystemencoding()],
        "zone": time.tzname,
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
        "umask": os.umask(0o022),
        "hooks": [sys.gettrace() is None, sys.excepthook is sys.__excepthook__],
    }


def count():
    counted.append(1)
    os.environ["LEFT_BEHIND"] = "yes"
    os.chdir("/")
    sys.path.append("/left-behind")
    own = {"pid": os.getpid(), "session": os.getsid(0), "chance": random.random()}
    return {**own, "count": len(counted), "left": os.environ.get("SET_BEFORE")}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def orphan():
    Path("pid").write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGKILL)
    threading.Event().wait()


def interrupt():
    Path("pid").write_text(str(os.getpid()))
    os.kill(int(os.environ["TESTS"]), signal.SIGUSR1)
    threading.Event().wait()


def hang():
    print("hanging", file=sys.stderr)
    Path("pid").write_text(str(os.getpid()))
    threading.Event().wait()
"""


@pytest.fixture
def own(project: Project) -> Project:
    """Return a project whose workflows look at their process."""
    (project.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (project.folder / "helpers.py").write_text(HELPERS, encoding="utf-8")
    return project


@pytest.fixture(scope="module")
def other() -> Iterator[Forker]:
    """Return a forker that a test may break."""
    made = Forker(clean_environ())
    yield made
    made.close()


def test_a_forked_command_finds_all_that_a_started_one_finds(own: Project) -> None:
    environ = {**own.environ, "TZ": "Asia/Tokyo", "SOME": "thing"}
    del environ["COLUMNS"]
    command = ["run", "look", "-q"]
    started = subprocess.run(
        [COMMAND, *command],
        cwd=own.folder,
        env=environ,
        input="",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    forked = own.forker.run(command, cwd=own.folder, environ=environ, limit=60)
    assert forked.returncode == 0, forked.stderr
    assert forked.stderr == started.stderr
    assert json.loads(forked.stdout) == json.loads(started.stdout)


def test_nothing_of_a_command_is_left_for_the_next(own: Project) -> None:
    first = own.json_of("run", "count", "-q", SET_BEFORE="yes")
    second = own.json_of("run", "count", "-q")
    assert (first["count"], first["left"]) == (1, "yes")
    assert (second["count"], second["left"]) == (1, None)
    assert first["pid"] == first["session"] != second["pid"] == second["session"]
    assert first["chance"] != second["chance"]
    looked = own.json_of("run", "look", "-q")
    assert "LEFT_BEHIND" not in looked["environ"]
    assert "/left-behind" not in looked["path"]
    assert looked["folder"] == str(own.folder)
    runs = own.json("runs", "list")["runs"]
    assert len({run["id"] for run in runs}) == 3


def test_a_module_of_a_user_is_read_again_by_each_command(
    own: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert own.json_of("run", "count", "-q")["count"] == 1
    changed = "def count(): return {'count': 'changed'}\n"
    (own.folder / "helpers.py").write_text(changed, encoding="utf-8")
    assert own.json_of("run", "count", "-q") == {"count": "changed"}
    elsewhere = Project(tmp_path_factory.mktemp("elsewhere"), own.forker)
    (elsewhere.folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (elsewhere.folder / "helpers.py").write_text(changed.replace("changed", "elsewhere"), encoding="utf-8")
    assert elsewhere.json_of("run", "count", "-q") == {"count": "elsewhere"}
    assert own.json_of("run", "count", "-q") == {"count": "changed"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], 0), (["rum"], 2), (["run", "nope"], 66), (["run", "die"], -signal.SIGKILL)],
)
def test_a_command_ends_with_its_own_exit_code(own: Project, arguments: list[str], code: int) -> None:
    assert own.run(*arguments).returncode == code


@pytest.mark.parametrize("lines", [0, 1, 20_000])
def test_a_command_reads_all_that_it_is_given(own: Project, lines: int) -> None:
    flow = "# ä line\n" * lines + "id: a\nsteps: [{id: x, type: set, value: 1}]\n"
    done = own.run("validate", "-", stdin=flow)
    assert done.returncode == 0, done.stderr
    assert own.run("--version", stdin=flow).returncode == 0  # it reads nothing of it


@pytest.mark.slow
def test_a_command_that_hangs_is_killed_and_the_next_one_runs(own: Project) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        own.forker.run(["run", "hang", "-q"], cwd=own.folder, environ=own.environ, limit=10)
    assert caught.value.stderr == b"hanging\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int((own.folder / "pid").read_text()), 0)
    assert own.run("--version").returncode == 0


@pytest.mark.parametrize(
    ("name", "fits"),
    [("NO_COLOR", True), ("TZ", True), ("PYTHONHASHSEED", False), ("PYTHONWARNINGS", False), ("LC_ALL", False)],
)
def test_what_only_a_new_interpreter_reads_is_no_case_for_a_fork(project: Project, name: str, fits: bool) -> None:
    assert project.forker.fits({**project.environ, name: "1"}) is fits


def _gone(pid: int) -> bool:
    """Wait until a process has ended."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], 60)[0])
    finally:
        os.close(watch)


def test_a_test_is_told_when_the_forking_process_dies(own: Project, other: Forker) -> None:
    with pytest.raises(RuntimeError, match="the process that forks commands failed: exit code -9"):
        other.run(["run", "orphan"], cwd=own.folder, environ=own.environ, limit=60)
    assert _gone(int((own.folder / "pid").read_text()))
    assert other.run(["--version"], cwd=own.folder, environ=own.environ, limit=60).returncode == 0


class InterruptedTest(BaseException):
    """What ends a test in the middle of a command, as Ctrl+C and time-outs do."""


def test_a_command_whose_test_is_interrupted_ends_and_its_answer_is_not_the_next_ones(
    own: Project, other: Forker
) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedTest

    environ = {**own.environ, "TESTS": str(os.getpid())}
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(InterruptedTest):
            other.run(["run", "interrupt"], cwd=own.folder, environ=environ, limit=60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert _gone(int((own.folder / "pid").read_text()))
    assert other.run(["rum"], cwd=own.folder, environ=environ, limit=60).returncode == 2


def test_an_import_that_prints_or_fails_is_told(own: Project, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stderr.write('a warning')", encoding="utf-8")
    loud = Forker({**own.environ, "PYTHONPATH": str(tmp_path)})
    with pytest.raises(RuntimeError, match="a warning"):
        loud.run(["--version"], cwd=own.folder, environ=own.environ, limit=60)


def test_the_forking_process_has_one_thread_and_no_file_and_ends_when_it_is_closed(own: Project, other: Forker) -> None:
    assert other.run(["run", "count", "-q"], cwd=own.folder, environ=own.environ, limit=60).returncode == 0
    assert other.process is not None
    here = Path("/proc") / str(other.process.pid)
    assert len(list((here / "task").iterdir())) == 1
    assert {os.readlink(file).partition(":")[0] for file in (here / "fd").iterdir()} == {"pipe", "socket"}
    pid = other.process.pid
    assert other.close() == "exit code 0, no output"
    assert _gone(pid)


def test_the_forking_process_and_its_command_end_when_the_tests_are_killed(own: Project) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.cli.forks import Forker; from tests.cli.project import *;"
        "environ = clean_environ(); forker = Forker(environ); folder = Path(sys.argv[1]);"
        "forker.run(['--version'], cwd=folder, environ=environ, limit=60);"
        "print(forker.process.pid, flush=True);"
        "forker.run(['run', 'hang'], cwd=folder, environ=environ, limit=60)"
    )
    command = [sys.executable, "-c", script, str(own.folder)]
    os.mkfifo(own.folder / "pid")  # reading it waits for what the command writes
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        forking = int(tests.stdout.readline())
        hanging = int((own.folder / "pid").read_text())
        tests.kill()
    assert _gone(forking)
    assert _gone(hanging)
