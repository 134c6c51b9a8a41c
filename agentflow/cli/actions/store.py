"""`store backup|restore|check|vacuum`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio

from agentflow.cli.ask import yes_or_no
from agentflow.cli.console import Console
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.projects import find_project
from agentflow.cli.shown import made
from agentflow.errors import StoreError
from agentflow.store import care

_EXISTS = "AF-STORE-EXISTS"


def backup(common: Common, file: str, *, yes: bool) -> int:
    """Copy the store into a file."""
    console, place = common.console(), find_project(common, config="none").store
    target = Path(file)
    there = target.is_file()

    async def work() -> int:
        replace = yes or (there and await _agreed(console, f"Replace {file}?"))
        report = await care.backup(place, target, replace=replace, progress=_Progress(console, "copied"))
        if console.mode != "text":
            console.data({"file": str(target), "bytes": report.bytes, "runs": report.runs, "schema": report.schema})
        else:
            console.result(f"{plural(report.runs, 'run')} in {file}, {size(report.bytes)}")
        return 0

    return anyio.run(work)


def restore(common: Common, file: str, *, yes: bool, damaged: bool = False) -> int:
    """Put a copy in place of the store."""
    console, place = common.console(), find_project(common, config="none").store

    async def work() -> int:
        try:
            done = await care.restore(place, Path(file), replace=yes, damaged=damaged)
        except StoreError as error:
            question = f"{error.what} {error.why or ''} Put {file} in its place?"
            if error.code != _EXISTS or not await _agreed(console, question):
                raise
            done = await care.restore(place, Path(file), replace=True, damaged=damaged)
        if console.mode != "text":
            console.data({"runs": done.runs, "kept": done.kept})
            return 0
        console.result(f"{plural(done.runs, 'run')} restored")
        if done.kept:
            console.say(f"what was there before is in {done.kept}")
        return 0

    return anyio.run(work)


def check(common: Common) -> int:
    """Look for damage."""
    console, place = common.console(), find_project(common, config="none").store

    async def work() -> int:
        report = await care.check(place)
        if console.mode != "text":
            names = ("path", "schema", "bytes", "free", "runs", "steps", "results")
            data = {name: getattr(report, name) for name in names}
            console.data({**data, "problems": [finding.to_data() for finding in report.findings]})
        else:
            _tell(console, report)
        return 1 if report.findings else 0

    return anyio.run(work)


def _tell(console: Console, report: care.Report) -> None:
    mark = console.paint("✘", "error", out=True) if report.findings else console.paint("✔", "green", out=True)
    console.result(
        f"{mark} {report.path}: schema {report.schema}, {plural(report.runs, 'run')}, {plural(report.steps, 'step')}, "
        f"{plural(report.results, 'result')}, {size(report.bytes)}, {size(report.free)} of it free"
    )
    for finding in report.findings:
        place = " ".join(
            f"{name} {value}"
            for name, value in (("run", finding.run), ("step", finding.step), ("page", finding.page))
            if value is not None
        )
        console.result(f"  {place + ': ' if place else ''}{finding.message}")
        for line in finding.hint.splitlines():
            console.result(f"    fix: {line}")
    if report.findings:
        console.say(plural(len(report.findings), "problem"))


def vacuum(common: Common, *, full: bool) -> int:
    """Give space back."""
    console, place = common.console(), find_project(common, config="none").store

    async def work() -> int:
        count = await care.vacuum(place, full=full, progress=_Progress(console, "given back"))
        console.data({"bytes": count}) if console.mode != "text" else console.result(f"{size(count)} given back")
        return 0

    return anyio.run(work)


# shared


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count} B"
    value, units = count / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.1f} {units[0]}" if value < 10 else f"{value:.0f} {units[0]}"


async def _agreed(console: Console, question: str) -> bool:
    return console.asks and await yes_or_no(console, question)


@dataclass(slots=True)
class _Progress:
    """Tells how far something long is, on one line of a terminal."""

    console: Console
    what: str
    _shown: int = -1

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if not self.console.live or percent == self._shown:
            return
        self._shown = percent
        start = made("\r\x1b[K")
        self.console.put(f"{start}{percent} % {self.what}{start if done >= total else ''}")
