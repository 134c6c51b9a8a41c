"""A project for end-to-end tests: a folder with a config, and the real command in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.forks import COMMAND, Forker
from tests.servers import relayed

LIMIT = 60

CONFIG = """\
python:
  modules: [helpers]
workflows:
  hello:
    input: {name: {type: string, default: world}}
    steps:
      - {id: greet, type: set, values: {text: "hello {input.name}"}}
  report:
    input: {region: {type: string, default: emea}}
    steps:
      - id: fetch
        for_each: [10, 20, 30]
        type: python
        function: "helpers:fetch"
        input: {n: "{item}"}
        retry: {max_attempts: 3, base: 10ms}
      - {id: summarise, type: set, values: {total: 60}}
      - id: review
        type: wait_for_input
        message: |-
          Approve the report?
          Total is {steps.summarise.total} for region {input.region}.
        schema:
          type: object
          properties:
            decision: {enum: [approve, reject], description: What should happen to the report}
            amount: {type: number, minimum: 0, maximum: 1000, description: Budget in EUR, default: 250}
            note: {type: string}
          required: [decision]
      - {id: send, type: set, values: {sent: 12, decision: "{steps.review.decision}", amount: "{steps.review.amount?}"}}
  failing:
    steps:
      - {id: first, type: set, values: {a: 1}}
      - {id: boom, type: python, function: "helpers:boom"}
      - {id: after, type: set, values: {b: 2}}
  event:
    steps:
      - {id: pay, type: wait_for_event, topic: paid}
  slow:
    steps:
      - {id: begin, type: set, values: {a: 1}}
      - {id: hang, type: python, function: "helpers:hang"}
      - {id: end, type: set, values: {done: true}}
"""
HELPERS = """\
import asyncio
import os
from pathlib import Path

seen = set()


def fetch(n):
    if n == 20 and n not in seen:
        seen.add(n)
        raise RuntimeError("the first try of 20 fails")
    return {"n": n}


def boom():
    raise RuntimeError("upstream down")


async def hang():
    Path("hanging").write_text(str(os.getpid()))
    while not Path("go").exists():
        await asyncio.sleep(0.02)
    return {"pid": os.getpid()}
"""


@dataclass(frozen=True, slots=True)
class Project:
    """The folder."""

    folder: Path
    forker: Forker

    @property
    def environ(self) -> dict[str, str]:
        """Return an environment without settings of whoever runs the tests."""
        return clean_environ()

    def run(self, *arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end: forked if that does the same as starting it."""
        env = {**self.environ, **environ}
        if sys.platform == "linux" and self.forker.fits(env):
            return self.forker.run(arguments, cwd=self.folder, environ=env, stdin=stdin, limit=LIMIT)
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on by itself; the test ends it. What is told its number is its relay's."""
        return subprocess.Popen(
            relayed([COMMAND, *arguments], self.environ),
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json_of(self, *arguments: str, **environ: str) -> Any:
        """Return the document that a command printed; it must succeed."""
        done = self.run(*arguments, **environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def json(self, *arguments: str) -> Any:
        """Return the document of a command with `--json`."""
        return json.loads(self.run(*arguments, "--json").stdout)


def clean_environ() -> dict[str, str]:
    """Return an environment without settings of whoever runs the tests."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "AGENTFLOW_DEBUG")}
    return {**kept, "TERM": "xterm-256color", "PYTHONUTF8": "1", "COLUMNS": "100", "LINES": "40", "PAGER": "cat"}


def make(folder: Path, forker: Forker) -> Project:
    """Write a project into a folder."""
    (folder / "agentflow.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "helpers.py").write_text(HELPERS, encoding="utf-8")
    return Project(folder, forker)
