"""`agentflow doctor`: finds what keeps workflows from running, says how to fix it, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentflow.cli import checks
from agentflow.cli.actions.doctor import examine
from agentflow.cli.checks import CHECKS, Found, Patient
from agentflow.codes import door
from agentflow.store import care
from agentflow.store.findings import Glance
from tests.cli.project import Project

SICK = """\
python: {modules: [helpers]}
tools:
  crm: {command: crm-mcp-that-is-not-there}
connections:
  drive: {type: oauth2, authorize_url: "https://a.example/o", token_url: "https://a.example/t", client_id: abc}
workflows:
  report:
    steps:
      - {id: fetch, type: python, function: "helpers:fetched", input: {n: 1}}
      - {id: files, type: api_call, url: "https://a.example/files", connection: drive}
      - {id: build, type: script, command: "ls"}
"""


@contextmanager
def serving(answer: bytes) -> Generator[int]:
    """Answer whatever is asked for over HTTP; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def holder(*, folder: bool = False) -> str:
    """Return how this process is named that has a port, where the system tells."""
    if sys.platform != "linux":
        return ""
    program = Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    return f" (pid {os.getpid()}, in {Path.cwd()})" if folder else f' (pid {os.getpid()}, "{program}")'


def found(document: Any) -> dict[str, list[tuple[str, str, str | None]]]:
    """Return check → what it found."""
    told: dict[str, list[tuple[str, str, str | None]]] = {}
    for each in document["checks"]:
        told.setdefault(each["check"], []).append((each["state"], each["text"], each["fix"]))
    return told


def content(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds."""
    left = ("__pycache__", "-shm", "-wal")
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not any(x in str(p) for x in left)}


def test_nothing_is_wrong_with_a_project_that_runs_and_nothing_is_changed(project: Project) -> None:
    assert project.run("run", "hello").returncode == 0
    before = content(project.folder)
    with serving(b'{"status": "ok", "instance": "i", "version": "9.9"}') as port:
        told = project.json_of("doctor", "--json", "--port", str(port))
    assert content(project.folder) == before
    assert (told["problems"], told["warnings"]) == (0, 0)
    assert [each["check"] for each in told["checks"]] == list(CHECKS)
    assert found(told)["config"] == [("ok", "agentflow.yaml: 5 workflows, no errors", None)]
    assert found(told)["server"] == [("ok", f"agentflow 9.9 serves on port {port}{holder(folder=True)}", None)]
    assert found(told)["python"] == [("ok", "3 functions found", None)]
    assert re.search(r"schema \d+, 1 run, [\d.]+ kB, write [\d.]+ ms$", found(told)["store"][0][1])


def test_each_problem_is_told_with_a_fix_and_makes_the_exit_code_69(project: Project) -> None:
    (project.folder / "agentflow.yaml").write_text(SICK, encoding="utf-8")
    with serving(b"something else") as port:
        done = project.run("doctor", "--port", str(port), "--json")
    assert done.returncode == door("AF-INSTALL").exit_code == 69
    told = json.loads(done.stdout)
    by_check = found(told)
    assert by_check["server"] == [
        ("warning", f"port {port} is used by another program{holder()}", f"agentflow serve --port {port + 1}")
    ]
    state, text, fix = by_check["python"][0]
    assert (state, fix) == ("problem", 'did you mean "helpers:fetch"?')
    assert text == 'helpers:fetched: module "helpers" has no function "fetched"'
    state, text, fix = by_check["mcp"][0]
    assert (state, text) == ("problem", '"crm": command "crm-mcp-that-is-not-there" not found')
    assert fix == "install it, or correct tools.crm.command (agentflow.yaml:3)"
    assert [text.partition(":")[2].partition(":")[0] for _, text, _ in by_check["skills"]] == ["network", "shell"]
    state, text, fix = by_check["skills"][1]
    assert state == "warning"
    assert "native:shell" in text
    assert '"build"' in text
    assert fix is not None
    assert "native:shell" in fix
    [(state, text, fix)] = by_check["connections"]
    assert state == "warning"
    assert text.startswith("drive: ")
    assert '"files"' in text
    assert fix is not None
    assert fix.startswith("agentflow connections login drive")
    assert told["problems"] == 2


def test_a_config_with_errors_keeps_no_other_check_from_telling(project: Project) -> None:
    (project.folder / "agentflow.yaml").write_text("workflows: {a: {steps: [{id: x, typ: set}]}}", encoding="utf-8")
    done = project.run("doctor", "--only", "config,python,clock")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("agentflow ")
    assert lines[2].startswith("✘ config  ")
    assert lines[3].strip() == "fix: agentflow validate"
    assert lines[4] == "- python  needs a config without errors"
    assert lines[5] == "✔ clock   no event to compare with"
    assert done.returncode == 69
    assert not (project.folder / ".agentflow").exists()


def test_a_check_that_is_not_there_is_wrong_use(project: Project) -> None:
    done = project.run("doctor", "--only", "config,weather")
    assert done.returncode == 2
    assert 'there is no check "weather"' in done.stderr


def test_a_check_that_takes_long_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def slow(_: Patient) -> Iterator[Found]:
        over.wait(30)
        yield Found("ok", "late")

    def quick(_: Patient) -> Iterator[Found]:
        yield Found("ok", "told")

    monkeypatch.setattr(checks, "CHECKS", {"slow": slow, "quick": quick})
    told = examine(["slow", "quick"], Patient(), limit=0.2)
    over.set()
    assert [each.state for each in told["slow"]] == ["warning"]
    assert [each.text for each in told["quick"]] == ["told"]


def test_a_clock_behind_the_newest_event_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    file.write_bytes(b"x")
    ahead = Glance(path=str(file), schema=1, bytes=1, runs=1, newest=time.time() + 3600)

    def glance(_: str) -> Glance:
        return ahead

    monkeypatch.setattr(care, "glance", glance)
    [told] = checks.look("clock", Patient(store=str(file)))
    assert told.state == "warning"
    assert "behind the store's newest event" in told.text
    assert told.fix == "set this machine's clock"


def test_a_store_that_is_none_is_a_problem_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    file.write_bytes(b"this is no database, and never was one")
    [told] = checks.look("store", Patient(store=str(file)))
    assert told.state == "problem"
    assert checks.look("clock", Patient(store=str(file))) == [Found("skipped", "needs a store that can be read")], (
        "a second problem told the same"
    )
    assert file.read_bytes() == b"this is no database, and never was one"


def test_a_store_of_an_older_version_is_told_as_one_and_stays_as_it_is(project: Project) -> None:
    (project.folder / "agentflow.yaml").write_text(SICK, encoding="utf-8")
    kept = sorted((Path(__file__).parents[1] / "histories").rglob("*.db"))[0]
    (project.folder / ".agentflow").mkdir()
    shutil.copy(kept, project.folder / ".agentflow" / "runs.db")
    before = content(project.folder)
    told = found(json.loads(project.run("doctor", "--only", "store,connections,skills", "--json").stdout))
    assert content(project.folder) == before
    state, text, _ = told["store"][0]
    assert state == "ok"
    assert re.search(r"schema \d+ \(of an older version; the next run makes it \d+\), ", text)
    assert told["connections"][0][0] == "skipped"
    assert told["skills"][0][0] == "warning"


def test_variables_that_nobody_has_set_are_told(project: Project) -> None:
    flow = "\nworkflows: {w: {steps: [{id: a, type: set, value: 1}]}}\n"
    listed = "env: [SHOP_TOKEN, SHOP_KEY, {name: SHOP_REGION, public: true, default: emea}]"
    (project.folder / "agentflow.yaml").write_text(listed + flow, encoding="utf-8")
    told = found(json.loads(project.run("doctor", "--only", "env", "--json").stdout))
    text = "SHOP_TOKEN, SHOP_KEY aren't set: steps that read them fail"
    assert told["env"] == [("warning", text, "set them in the environment, or in .env beside the config")]
    (project.folder / ".env").write_text("SHOP_TOKEN=secret-1\nSHOP_KEY=secret-2\n", encoding="utf-8")
    told = found(json.loads(project.run("doctor", "--only", "env", "--json").stdout))
    assert told["env"] == [("ok", "3 variables have values", None)]
