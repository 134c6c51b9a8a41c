"""Each command that people look at, in six ways: on a terminal, in a pipe, as JSON, without colour, narrow, wide."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agentflow.cli.tables import cells
from tests.cli.forks import COMMAND, Forker
from tests.cli.project import Project
from tests.cli.screens import terminals, typed
from tests.cli.transcripts import BROKEN, CONFIG, SCENES, SICK, Scene

WAYS = ("terminal", "pipe", "json", "no colour", "60 columns", "200 columns")
COLUMNS = {"60 columns": 60, "200 columns": 200}
QUICK = {("run with a wait", "terminal"), ("run that fails", "pipe"), ("runs list", "60 columns")}
"""What the default suite looks at; the rest is slow."""
TABLES = ("runs list", "waits")

pytestmark = pytest.mark.skipif(not terminals(), reason="needs a pseudo terminal")


class _Service(BaseHTTPRequestHandler):
    """A mail service that is down, and a region whose first answer of a run is, too."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.asked[self.path] += 1
        down = self.path == "/send" or ("south" in self.path and self.asked[self.path] == 1)
        told = b'{"error": "upstream down"}' if down else b'{"total": 3.5}'
        self.send_response(503 if down else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
        return


@dataclass(frozen=True, slots=True)
class World:
    """The service's port, and a project whose runs are looked at and not changed."""

    port: int
    kept: Project

    def project(self, scene: Scene, folder: Path) -> Project:
        """Return where a scene plays."""
        return written(folder, self.port, self.kept.forker) if scene.fresh else self.kept


def written(folder: Path, port: int, forker: Forker) -> Project:
    """Write the files of the scenes."""
    for name, text in (("agentflow.yaml", CONFIG), ("broken.yaml", BROKEN), ("sick.yaml", SICK)):
        (folder / name).write_text(text.replace("PORT", str(port)), encoding="utf-8")
    return Project(folder, forker)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Iterator[World]:
    """Serve, and run three workflows: one fails, one waits, one completes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        kept = written(tmp_path_factory.mktemp("kept"), server.server_port, forker)
        codes = [kept.run("run", name, "-q").returncode for name in ("mail", "report", "hello")]
        assert codes == [1, 75, 0]
        yield World(server.server_port, kept)
        server.shutdown()
        thread.join()


def documented(project: Project, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """Return the document of a command that lists something."""
    return project.json(*arguments)


def names_of(project: Project, wait: str) -> dict[str, str]:
    """Return what ids of a project stand as."""
    waits = [each["id"] for each in documented(project, "waits")["waits"]]
    runs = [each["id"] for each in documented(project, "runs", "list")["runs"]]
    return {**dict.fromkeys(runs, "RUN"), **dict.fromkeys([*waits, *([wait] if wait else [])], "WAIT")}


def filled(project: Project, command: str, wait: str) -> list[str]:
    """Return the words of a scene's command, with the ids that it means."""
    failed = documented(project, "runs", "list", "--failed")["runs"] if "MAIL" in command else []
    for name, found in (("WAIT", wait), ("MAIL", failed[0]["id"] if failed else "")):
        command = command.replace(name, found)
    return shlex.split(command)


def wait_in(project: Project) -> str:
    """Return the id of the open wait, if there is one."""
    found = documented(project, "waits")["waits"] if (project.folder / ".agentflow").exists() else []
    return str(found[0]["id"]) if found else ""


def normal(text: str, known: dict[str, str], port: int) -> list[str]:
    """Return lines as the transcripts have them."""
    for each, name in known.items():
        for size in range(len(each), 5, -1):
            text = text.replace(each[-size:], name)
    text = re.sub(r"127\.0\.0\.1:\d+…", "127.0.0.1:…", text.replace(f":{port}/", ":PORT/"))
    text = re.sub(r"(review: Approve|send: HTTP 503|Approve the report)[^\n…]*…", r"\1…", text)
    text = re.sub(r"agentflow \d+\.\d+\.\d+ · .*", "agentflow VERSION · SYSTEM", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "ISO", text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "@", text)
    text = re.sub(r"\b\d+(\.\d+)?(ms|s|m)( \d\ds)?\b", "#", text)
    return [re.sub(r" {2,}", "  ", line.replace("\r", "").rstrip(" ")) for line in text.split("\n")]


def same(lines: Sequence[str], transcript: str) -> None:
    """Compare lines with a transcript, in which `...` stands for any lines."""
    wanted = [line.rstrip("\n") for line in transcript.removesuffix("\n").split("\n")]
    wanted = [re.sub(r"^ +(?=[-|]|\^)", "  ", line) for line in wanted]
    given = [re.sub(r"^ +(?=[-|]|\^)", "  ", line) for line in lines]
    while given and not given[-1]:
        given = given[:-1]
    at = 0
    for n, line in enumerate(wanted):
        if line == "...":
            following = wanted[n + 1]
            while at < len(given) and given[at] != following:
                at += 1
            continue
        assert at < len(given), f"it ends before {line!r}:\n" + "\n".join(given)
        assert given[at] == line, "\n".join(given)
        at += 1
    assert at == len(given), "\n".join(given[at:])


@dataclass(frozen=True, slots=True)
class Look:
    """One command line, looked at."""

    project: Project
    words: list[str]
    scene: Scene
    port: int
    wait: str

    def piped(self, way: str) -> None:
        """Look at it in a pipe, as text or JSON."""
        done = self.project.run(*self.words, *(["--json"] if way == "json" else []))
        parks = self.scene.keys and way in ("pipe", "json")
        self._ends(done, 75 if parks else self.scene.code)
        assert "\x1b" not in done.stdout + done.stderr
        if way == "json":
            (document,) = [json.loads(text) for text in (done.stdout, done.stderr) if text.strip()]
            text = json.dumps(document)
            assert [each for each in self.scene.json if each not in text] == []
        else:
            told = (done.stderr, done.stdout) if self.scene.command.startswith("run ") else (done.stdout, done.stderr)
            same(normal("".join(told), names_of(self.project, self.wait), self.port), self.scene.pipe)

    def _ends(self, done: subprocess.CompletedProcess[str], code: int) -> None:
        assert done.returncode == code, done.stderr

    def drawn(self, way: str) -> None:
        """Look at it on a terminal."""
        plain = way == "no colour"
        environ = {**self.project.environ, **({"NO_COLOR": "1"} if plain else {})}
        columns = COLUMNS.get(way, 100)
        keys = self.scene.plain_keys if plain else self.scene.keys
        seen = typed([COMMAND, *self.words], keys, cwd=self.project.folder, environ=environ, columns=columns)
        assert seen.code == self.scene.code, seen.raw
        assert not plain or "\x1b" not in seen.raw
        text = {"60 columns": self.scene.narrow, "200 columns": self.scene.wide, "no colour": self.scene.plain}.get(
            way
        ) or self.scene.terminal
        same(normal("\n".join(seen.lines), names_of(self.project, self.wait), self.port), text)
        if self.scene.name in TABLES:
            assert max(map(cells, seen.lines)) <= columns


def cases() -> list[Any]:
    """Return every scene in every way."""
    found: list[Any] = []
    for scene in SCENES:
        for way in WAYS:
            marks = [] if (scene.name, way) in QUICK else [pytest.mark.slow]
            found.append(pytest.param(scene, way, id=f"{scene.name}: {way}", marks=marks))
    return found


@pytest.mark.parametrize(("scene", "way"), cases())
def test_a_command_shows_what_its_transcript_says(scene: Scene, way: str, world: World, tmp_path: Path) -> None:
    project = world.project(scene, tmp_path)
    wait = "" if scene.before else wait_in(project)
    for before in scene.before:
        assert project.run(*filled(project, before, wait)).returncode in (0, 75)
        wait = wait or wait_in(project)
    look = Look(project, filled(project, scene.command, wait), scene, world.port, wait)
    if way in ("pipe", "json"):
        look.piped(way)
    else:
        look.drawn(way)
