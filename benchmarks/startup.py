"""Start-up as ratios: `import agentflow` against pydantic's, `agentflow --help` against a bare typer app's.

Commands that only look are told as ratios of processor time to `import typer, rich`, and `validate` of 2,000 steps,
right and broken, to the import of pydantic.

Runs alternate, so that a busy machine slows all of them; medians are compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from verdict import AT_MOST, Ratio, conclude

IMPORT_LIMIT = 1 / 3
HELP_LIMIT = 1.5
LOOK_LIMIT = 2


def environ() -> dict[str, str]:
    """Return this process's environment, with .pyc files written: else each start would compile all that it loads."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def medians(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Run the commands in turn, `rounds` times, and return the median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ())
            if turn:  # the first round only warms the page cache and writes .pyc files
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def processor(commands: Mapping[str, Sequence[str]], folder: Path, rounds: int) -> dict[str, float]:
    """Run the commands in turn in a folder, and return the median seconds of processor time of each."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                command, cwd=folder, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ()
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if turn:
                times[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {name: statistics.median(values) for name, values in times.items()}


def large(steps: int) -> str:
    """Return a config with one workflow of many steps, about 125 bytes each."""
    lines = ["workflows:", "  large:", "    input: {name: string}", "    steps:"]
    for number in range(0, steps, 4):
        lines += [
            f"      - id: s{number}",
            "        type: set",
            "        values:",
            f'          a: "{{input.name}} {number}"',
            "          note: a text that is long enough to be like one",
            f"      - id: s{number + 1}",
            "        type: set",
            "        values:",
            f'          b: "{{steps.s{number}.a}}"',
            f"      - id: s{number + 2}",
            "        type: delay",
            "        for: 1s",
            f"        label: wait a bit before step number {number + 3}",
            f"      - id: s{number + 3}",
            "        type: wait_for_input",
            f'        message: "Is this right? {{steps.s{number + 1}.b}}"',
            "        schema: {type: object, properties: {ok: {type: boolean}}}",
        ]
    return "\n".join(lines) + "\n"


def of_commands(rounds: int) -> list[Ratio]:
    """Measure commands that only look, and `validate`; prints the medians."""
    ours, python = str(Path(sys.executable).with_name("agentflow")), sys.executable
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agentflow.yaml").write_text(
            "workflows:\n  ask:\n    steps:\n      - {id: ask, type: wait_for_input, message: Well?}\n",
            encoding="utf-8",
        )
        right = large(2000)
        (folder / "large.yaml").write_text(right, encoding="utf-8")
        (folder / "broken.yaml").write_text(
            right.replace("for: 1s", "four: 1s").replace("{steps.", "{"), encoding="utf-8"
        )
        subprocess.run([ours, "run", "ask", "--no-ask"], cwd=folder, check=False, capture_output=True)
        took = processor(
            {
                "typer": [python, "-c", "import typer, rich"],
                "pydantic": [python, "-c", "from pydantic import BaseModel"],
                "--version": [ours, "--version"],
                "runs list": [ours, "runs", "list"],
                "waits": [ours, "waits"],
                "validate": [ours, "validate"],
                "large": [ours, "validate", "large.yaml"],
                "broken": [ours, "validate", "broken.yaml"],
            },
            folder,
            rounds,
        )
    for name, seconds in took.items():
        print(f"{name:10} {seconds * 1000:7.1f} ms of the processor")
    looks = [
        Ratio(f"agentflow {name} / import typer, rich", took[name] / took["typer"], AT_MOST, LOOK_LIMIT)
        for name in ("--version", "runs list", "waits", "validate")
    ]
    return [
        *looks,
        Ratio("validate 2,000 steps / from pydantic import BaseModel", took["large"] / took["pydantic"], AT_MOST, 5),
        Ratio("the same, broken / right", took["broken"] / took["large"], AT_MOST, 2),
    ]


def bare_app() -> str:
    """Return the source of a typer app with our commands and nothing behind them."""
    from typer.main import get_command  # noqa: PLC0415  this process measures others, but needn't import it to fail

    from agentflow.cli.app import build  # noqa: PLC0415

    lines = [
        "import typer",
        "new = lambda: typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)",
        "app = new()",
    ]
    for name, command in getattr(get_command(build()), "commands", {}).items():
        children = getattr(command, "commands", None)
        target = "app"
        if children is not None:
            target = f"group_{name}"
            lines += [f"{target} = new()", f"app.add_typer({target}, name={name!r}, help={command.help!r})"]
        for child, its in (children or {name: command}).items():
            lines += [f"@{target}.command({child!r}, help={its.help!r})", f"def f{len(lines)}() -> None: ..."]
    return "\n".join([*lines, "app()", ""])


def measure(rounds: int) -> list[Ratio]:
    """Measure; prints the medians."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(bare_app(), encoding="utf-8")
        took = medians(
            {
                "nothing": [python, "-c", ""],
                "agentflow": [python, "-c", "import agentflow"],
                "pydantic": [python, "-c", "from pydantic import BaseModel"],
                "help": [str(Path(python).with_name("agentflow")), "--help"],
                "bare": [python, str(bare), "--help"],
            },
            rounds,
        )
    for name, seconds in took.items():
        print(f"{name:10} {seconds * 1000:7.1f} ms")
    ours = (took["agentflow"] - took["nothing"]) / (took["pydantic"] - took["nothing"])
    return [
        Ratio("import agentflow / from pydantic import BaseModel, interpreter apart", ours, AT_MOST, IMPORT_LIMIT),
        Ratio("agentflow --help / bare typer app --help", took["help"] / took["bare"], AT_MOST, HELP_LIMIT),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    wanted = parser.parse_args().rounds
    conclude([*measure(wanted), *of_commands(wanted)])
