"""`doctor`: makes its checks at once, and tells what they found."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Mapping, Sequence

from agentflow import __version__
from agentflow.cli.checks import CHECKS, Found, Patient, look
from agentflow.cli.console import Console
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.shown import redacted_data
from agentflow.cli.tables import pad
from agentflow.cli.values import usage
from agentflow.codes import door

LIMIT = 3.0
"""Seconds that the checks get."""
_MARKS = {"ok": ("✔", "green"), "warning": ("!", "warning"), "problem": ("✘", "error"), "skipped": ("-", "dim")}
_LATE = Found("warning", f"no answer within {LIMIT:g} s")


def doctor(common: Common, only: str | None, port: int) -> int:
    """Make the checks."""
    console = common.console()
    names = [name.strip() for name in only.split(",")] if only is not None else list(CHECKS)
    for name in names:
        if name not in CHECKS:
            raise usage(f'there is no check "{name}"', f"some of: {','.join(CHECKS)}")
    patient = Patient(common.config, common.store, port)
    patient.load()
    found = examine(names, patient)
    every = [each for some in found.values() for each in some]
    problems, warnings = (sum(each.state == state for each in every) for state in ("problem", "warning"))
    if console.mode != "text":
        console.data(_data(found, problems, warnings))
    else:
        _tell(console, found)
        console.say(
            f"{plural(problems, 'problem')}, {plural(warnings, 'warning')}" if problems + warnings else "all good"
        )
    return door("AF-INSTALL").exit_code if problems else 0


def examine(names: Sequence[str], patient: Patient, limit: float = LIMIT) -> Mapping[str, Sequence[Found]]:
    """Make checks at once; one that takes longer than `limit` is left alone, and ends with the process."""
    found: dict[str, Sequence[Found]] = {}

    def check(name: str) -> None:
        found[name] = look(name, patient)

    threads = [threading.Thread(target=check, args=(name,), name=f"doctor-{name}", daemon=True) for name in names]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.0))
    return {name: found.get(name, [_LATE]) for name in names}


def _tell(console: Console, found: Mapping[str, Sequence[Found]]) -> None:
    console.result(
        f"agentflow {__version__} · Python {platform.python_version()} · {platform.system()} {platform.machine()}"
    )
    console.result("")
    width = max(len(name) for name in found)
    for name, each in ((name, each) for name, some in found.items() for each in some):
        mark, style = _MARKS[each.state]
        console.result(f"{console.paint(mark, style, out=True)} {pad(name, width)}  {each.text}")
        for line in (each.fix or "").splitlines():
            console.result(f"  {' ' * width}  fix: {line}")
    console.result("")


def _data(found: Mapping[str, Sequence[Found]], problems: int, warnings: int) -> dict[str, object]:
    return redacted_data(
        {
            "agentflow": __version__,
            "python": platform.python_version(),
            "platform": f"{platform.system()} {platform.machine()}",
            "checks": [
                {"check": name, "state": each.state, "text": each.text, "fix": each.fix}
                for name, some in found.items()
                for each in some
            ],
            "problems": problems,
            "warnings": warnings,
        }
    )
