"""Texts that somebody outside may choose, and where they can be shown: a project, and the command lines that show it.

Run as a script in the project's folder, this file is a process that carries all those command lines out, one after the
other, on the streams that it was given: `python hostile.py MODE`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio

TEXTS = (
    "clear\x1b[2J", "home\x1b[H", "red\x1b[31mred", "conceal\x1b[8m!", "title\x1b]0;t\x07", "clip\x1b]52;c;aGk=\x07",
    "link\x1b]8;;http://x\x1b\\", "query\x1b[6n", "dcs\x1bP+q\x1b\\", "apc\x1b_x\x1b\\", "reset\x1bc", "alt\x1b[?1049h",
    "mouse\x1b[?1000h", "csi\u009b31m", "osc\u009d52;c\u009c", "nel\u0085x", "bell\x07", "back\x08\x08", "del\x7f",
    "shift\x0e", "vt\x0bff\x0c", "carriage\rreturn", "rlo\u202etxt", "lre\u202ax\u202c", "isolate\u2066x\u2069",
    "marks\u200e\u200f\u061c", "line\u2028x", "para\u2029x", "zero\u200bwidth", "bom\ufeffx", "word\u2060x",
    "shy\u00adx", "tag\U000e0041\U000e0042", "filler\u3164x", "join\u200dx", "vary\ufe00\ufe01x", "invisible\u2063x",
)  # fmt: skip
"""Each begins with a word that is found again where it is shown."""
MODES = ("text", "json", "jsonl")
ALL = " ".join(TEXTS)


def quoted(text: str) -> str:
    """Return a text as YAML writes it, whatever is in it."""
    plain = re.compile(r"[A-Za-z0-9 _:;./-]")
    return '"' + "".join(c if plain.fullmatch(c) else f"\\U{ord(c):08x}" for c in text) + '"'


def config() -> str:
    """Return the project's config."""
    labelled = "\n".join(
        f"      - {{id: s{n}, type: set, label: {quoted(text)}, value: {quoted(text)}}}" for n, text in enumerate(TEXTS)
    )
    waits = "\n".join(
        f"      - {{id: w{n}, type: wait_for_input, execution: parallel, message: {quoted(text)}, schema: {{type: "
        f"object, properties: {{ {quoted(text)}: {{title: {quoted(text)}, enum: [{quoted(text)}]}}}}}}}}"
        for n, text in enumerate(TEXTS)
    )
    return f"""\
skills: [native:shell]
python: {{modules: [helpers]}}
workflows:
  all:
    description: {quoted(ALL)}
    input: {{v: {{type: string, default: {quoted(ALL)}}}}}
    output: "{{input.v}}"
    steps:
{labelled}
  waits:
    steps:
{waits}
  wait:
    steps:
      - {{id: w, type: wait_for_input, message: {quoted(chr(10).join(TEXTS))}, default: {quoted(ALL)}}}
  event:
    steps: [{{id: e, type: wait_for_event, topic: {quoted(ALL)}}}]
  raises:
    steps: [{{id: r, type: python, function: "helpers:boom", input: {{text: {quoted(ALL)}}}}}]
  script:
    steps:
      - {{id: f, type: script, on_error: suspend, run: 'printf "%s" "$V" >&2; exit 2', env: {{V: {quoted(ALL)}}}}}
  prints:
    steps: [{{id: p, type: python, function: "helpers:prints", input: {{text: {quoted(ALL)}}}}}]
"""


HELPERS = """\
import logging
import os
import sys
import warnings

def boom(text):
    raise RuntimeError(text)

def prints(text):
    print(text)
    sys.stdout.buffer.write(text.encode())
    os.write(1, text.encode() + b"\\n")
    print(text, file=sys.stderr)
    logging.getLogger("theirs").error(text)
    warnings.warn(text)
    return text
"""
BROKEN = f"""\
workflows:
  w:
    {quoted(ALL)}: 1
    steps: [{{id: {quoted(ALL)}, type: {quoted(ALL)}, depends_on: [{quoted(ALL)}], if: {quoted("== " + ALL)}}}]
"""


def pushed() -> None:
    """Keep receivers of push notifications with such texts: their clients, and their answers, choose them."""
    from agentflow.engine import Engine  # noqa: PLC0415  so that a test imports only the texts
    from agentflow.store.outbox import Push  # noqa: PLC0415

    async def keep() -> None:
        async with Engine.open(Path(".agentflow") / "runs.db") as engine:
            task_id = await engine.find("@last")
            for n, text in enumerate(TEXTS):
                push = Push(task_id, text, text, text, "", text, "", 0, 0.0)
                await engine.store.outbox.put(push)
                (kept,) = await engine.store.outbox.claim([n + 1], ())
                await engine.store.outbox.settle(kept._replace(state="failed", error=text), release=True)

    anyio.run(keep)


def commands(mode: str) -> Iterator[list[str]]:
    """Yield the command lines that show the texts.

    Args:
        mode: text, json or jsonl, which only `run` knows.
    """
    flags = {"text": [], "json": ["--json"], "jsonl": ["--jsonl"]}[mode]
    yield from (line for line in _commands(flags) if mode != "jsonl" or line[0] == "run")


def _commands(flags: list[str]) -> Iterator[list[str]]:
    yield ["run", "all", *flags, "--label", f"k{TEXTS[0]}={ALL}"]
    yield ["runs", "show", "@last", *flags]
    yield ["runs", "show", "@last", "--tree", *flags]
    yield ["runs", "show", "@last", "--events", *flags]
    yield ["runs", "show", "@last", "--step", "s1", *flags]
    for name in ("waits", "wait", "event", "raises", "script", "prints"):
        yield ["run", name, "--no-ask", *flags]
        yield ["runs", "show", "@last", *flags]
    yield ["runs", "show", "@last", "--step", "p", *flags]
    yield ["runs", "list", *flags]
    yield ["waits", "list", *flags]
    yield ["waits", "show", "nowhere" + ALL, *flags]
    pushed()
    yield ["push", "list", *flags]
    yield ["push", "list", "--task", ALL, *flags]
    yield ["push", "retry", "--all", *flags]
    yield ["push", "retry", ALL, "--id", ALL, *flags]
    yield ["publish", "nobody waits " + ALL, "--data", "{}", *flags]
    yield ["publish", ALL, "--data", '{"a": 1}', "--detach", *flags]
    yield ["graph", "all", *flags]
    yield ["graph", "all", "--format", "dot", *flags]
    yield ["validate", "broken.yaml", *flags]
    yield ["validate", "broken.yaml", "--format", "github"]
    yield ["schema", "all"]
    yield ["explain", ALL, *flags]
    yield ["steps", ALL, *flags]
    yield ["run", ALL, *flags]
    yield ["run", "all", "-i", ALL, *flags]
    yield ["run", "all", "--answer", ALL, *flags]
    yield ["runs", "show", ALL, *flags]
    yield ["runs", "list", "--state", ALL, *flags]
    yield ["runs", "list", "--store", f"{ALL}/x.db", *flags]
    yield ["runs", "list", "-f", ALL, *flags]
    yield ["runs", ALL]
    yield [ALL]
    yield ["run", "all", f"--{ALL}"]
    yield ["run", "all", "--timeout", ALL, *flags]
    yield ["store", "check", "--store", f"{ALL}://x", *flags]


def main(mode: str) -> None:
    """Carry the command lines out."""
    from agentflow.cli.app import command, execute  # noqa: PLC0415  so that a test imports only the texts
    from agentflow.cli.streams import take  # noqa: PLC0415

    streams = take()
    for arguments in commands(mode):
        streams.out.write(f"== {len(arguments)}\n")
        execute(arguments)
    sys.exit(command(streams, ["explain", "AF-DEFECT"]))


if __name__ == "__main__":
    main(sys.argv[1])
