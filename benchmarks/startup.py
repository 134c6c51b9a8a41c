"""Start-up as ratios: `import agentflow` against pydantic's, `agentflow --help` against a bare typer app's.

Runs alternate, so that a busy machine slows all of them; medians are compared.
"""

from __future__ import annotations

import argparse
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


def medians(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Run the commands in turn, `rounds` times, and return the median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn:  # the first round only warms the page cache and writes .pyc files
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


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
    conclude(measure(parser.parse_args().rounds))
