"""`validate`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentflow.cli import schema_file
from agentflow.cli.console import Console
from agentflow.cli.errors import definition_lines, problem_data, tell_lines
from agentflow.cli.format import plural
from agentflow.cli.options import Common
from agentflow.cli.projects import hide_secrets, no_config
from agentflow.cli.shown import redacted_data
from agentflow.cli.targets import split_target
from agentflow.cli.values import read_text, usage
from agentflow.codes import CODES, door
from agentflow.definition.nested import all_steps
from agentflow.errors import AgentflowError, DefinitionError, Problem

if TYPE_CHECKING:
    from agentflow.config import Config
    from agentflow.requirements import Preflight
    from agentflow.requirements.preflight import Lack

STDIN = "agentflow-stdin-"
_NEEDY = frozenset({"api_call", "script", "python", "tool_call", "agent_run"})
"""Step types that need something by themselves, or by what they name."""
FORMATS = ("text", "json", "github", "sarif")


class Checked:
    """What checking some files found."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.problems: list[Problem] = []
        self.texts: dict[str, str] = {}
        self.files = 0
        self.workflows = 0
        self.steps = 0
        self.seen: set[str] = set()
        self.needs: dict[str, Preflight] = {}
        """What workflows lack, by id."""

    def take(self, config: Config) -> None:
        """Count a config that could be loaded."""
        self.problems += config.warnings
        self.texts |= {name: document.text for name, document in config.documents.items()}
        self.seen |= {str(file) for file in config.documents}
        self.workflows += len(config.workflows)
        self.steps += sum(1 for workflow in config.workflows.values() for _ in all_steps(workflow))

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(problem.count for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return sum(problem.count for problem in self.problems if problem.severity == "warning")

    @property
    def warned(self) -> str:
        """How many warnings there are, to follow something else."""
        if not self.warnings:
            return ""
        some = any(problem.count > 1 and problem.severity == "warning" for problem in self.problems)
        return f", {'at least ' if some else ''}{plural(self.warnings, 'warning')}"


def validate(
    common: Common, files: Sequence[str], shape: str, *, strict: bool, watch: bool, online: bool, imports: bool
) -> int:
    """Check configs and tell every problem; `online` asks servers of tools, `imports` looks at functions, too."""
    if shape not in FORMATS:
        raise usage(f'there is no format "{shape}"', f"one of: {', '.join(FORMATS)}")
    console = Common(config=common.config, json=shape == "json", no_color=common.no_color).console()
    names = list(files) or [_nearest(common)]
    check = partial(_check, online=online, imports=imports)
    if watch:
        return _watch(console, names, shape, strict=strict, check=check)
    return _report(console, check(names), shape, strict=strict)


def _nearest(common: Common) -> str:
    from agentflow.config import find_config  # noqa: PLC0415  reads files

    if common.config:
        return common.config
    found = find_config()
    if found is None:
        raise no_config(None)
    return os.path.relpath(found)


def _check(names: Sequence[str], *, online: bool, imports: bool) -> Checked:
    from agentflow.config import load_config  # noqa: PLC0415  reads files

    checked = Checked()
    for name in names:
        checked.files += 1
        with _source(name) as path:
            try:
                config = load_config(path, heard=hide_secrets)
                checked.take(config)
                if config.file is not None and not path.name.startswith(STDIN):
                    main = next(iter(config.documents.values()))
                    stale = schema_file.problem(config.file, main.text, main.file)
                    checked.problems += [] if stale is None else [stale]
                checked.needs |= _needs(config)
                if imports and not path.name.startswith(STDIN):  # whose folder nobody knows
                    checked.problems += _functions(config)
                if online:
                    from agentflow.cli.actions.online import check_online  # noqa: PLC0415  makes what steps use

                    checked.problems += [_named(checked, problem, path) for problem in check_online(config)]
            except DefinitionError as error:
                checked.problems += [_named(checked, problem, path) for problem in error.problems]
    return checked


def _functions(config: Config) -> list[Problem]:
    """Return what is wrong with the Python functions that a config names; most name none, and nothing is imported."""
    if not config.python_modules:
        return []
    from agentflow.config.functions import check_functions  # noqa: PLC0415  imports modules of the user

    return check_functions(config)


def _needs(config: Config) -> dict[str, Preflight]:
    """Return what workflows lack; most need nothing, and nothing is opened for them."""
    steps = (step for workflow in config.workflows.values() for step in all_steps(workflow))
    if not any(step.requires or step.type in _NEEDY or "connection" in step.config for step in steps):
        return {}
    from agentflow.cli.actions.needed import needs_of  # noqa: PLC0415  opens an engine

    return needs_of(config)


def _named(checked: Checked, problem: Problem, path: Path) -> Problem:
    """Return a problem under the name that its file was given: a person knows stdin by that."""
    place = problem.place
    if place is None or not path.name.startswith(STDIN) or Path(place.file).name != path.name:
        return problem
    checked.texts["<stdin>"] = path.read_text(encoding="utf-8")
    return replace(problem, place=place._replace(file="<stdin>"))


class _source:
    """The file of a name; stdin becomes a file for as long as it is checked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.made: Path | None = None

    def __enter__(self) -> Path:
        if self.name != "-":
            if not Path(self.name).exists():
                raise no_config(self.name)
            return Path(self.name)
        import tempfile  # noqa: PLC0415  only for stdin

        text = read_text("-")
        with tempfile.NamedTemporaryFile(
            "w",
            prefix=STDIN,
            suffix=".json" if text.lstrip()[:1] == "{" else ".yaml",
            delete=False,
            encoding="utf-8",
        ) as file:
            file.write(text)
        self.made = Path(file.name)
        return self.made

    def __exit__(self, *_: object) -> None:
        if self.made is not None:
            self.made.unlink()


def _report(console: Console, checked: Checked, shape: str, *, strict: bool) -> int:
    failed = bool(checked.errors or (strict and checked.warnings))
    if shape == "json":
        console.data(
            {
                "ok": not failed,
                "workflows": checked.workflows,
                "steps": checked.steps,
                "problems": redacted_data([problem_data(problem) for problem in checked.problems]),
                "needs": {name: needs.to_data() for name, needs in checked.needs.items()},
            }
        )
    elif shape == "sarif":
        console.data(redacted_data(sarif(checked.problems)))
    elif shape == "github":
        for line in github(checked.problems):
            console.result(line)
    else:
        _tell(console, checked)
    return door("AF-CONFIG-INVALID").exit_code if failed else 0


def _tell(console: Console, checked: Checked) -> None:
    if checked.problems:
        tell_lines(console, definition_lines(checked.problems, checked.texts))
        console.tell("")
    files = f" in {plural(checked.files, 'file')}"
    warned = checked.warned
    if checked.errors:
        known = f" ({plural(checked.workflows, 'workflow')} checked)" if checked.workflows else ""
        console.tell(f"{plural(checked.errors, 'error')}{warned}{files}{known}")
    else:
        console.say(f"ok: {plural(checked.workflows, 'workflow')}, {plural(checked.steps, 'step')}{warned}")
    for name, needs in checked.needs.items():
        lines = replace(needs, lacks=tuple(lack for lack in needs.lacks if not _warned(checked, lack))).lines()
        for line in [f"{name} lacks:", *(f"  {line}" for line in lines)] if lines else ():
            console.say(line)


def _warned(checked: Checked, lack: Lack) -> bool:
    """Whether a problem with its place has told already what is lacking."""
    return any(each.code == "AF-SKILL-MISSING" and lack.name in each.message for each in checked.problems)


def github(problems: Sequence[Problem]) -> Iterator[str]:
    """Yield problems as workflow commands of GitHub Actions."""
    for problem in problems:
        place = problem.place
        where = f" file={place.file},line={place.line},col={place.column}," if place is not None else " "
        text = " ".join(part for part in (problem.message, problem.label, problem.hint) if part)
        text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        yield f"::{problem.severity}{where}title={problem.code}::{text}"


def sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return problems as a SARIF 2.1.0 log."""
    codes = sorted({problem.code for problem in problems})
    rules = [
        {"id": code, "shortDescription": {"text": CODES[code].means}, "help": {"text": CODES[code].fix}}
        for code in codes
        if code in CODES
    ]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "agentflow", "rules": rules}},
                "results": [_sarif_result(problem) for problem in problems],
            }
        ],
    }


def _sarif_result(problem: Problem) -> Mapping[str, Any]:
    text = " ".join(part for part in (problem.message, problem.label, problem.hint) if part)
    result: dict[str, Any] = {"ruleId": problem.code, "level": problem.severity, "message": {"text": text}}
    place = problem.place
    if place is not None:
        region = {"startLine": place.line, "startColumn": place.column, "endColumn": place.column + place.length}
        location = {"artifactLocation": {"uri": Path(place.file).as_posix()}, "region": region}
        result["locations"] = [{"physicalLocation": location}]
    return result


def _watch(
    console: Console, names: Sequence[str], shape: str, *, strict: bool, check: Callable[[Sequence[str]], Checked]
) -> int:
    """Check again whenever a file changes, until Ctrl+C."""
    code, seen = 0, dict[str, float]()
    try:
        while True:
            checked: Checked | None = None
            files = {*names, *seen}
            now = {name: Path(name).stat().st_mtime for name in files if Path(name).exists()}
            if now != seen:
                try:
                    checked = check(names)
                    code = _report(console, checked, shape, strict=strict)
                except AgentflowError as error:
                    code = door(error.code).exit_code
                    tell_lines(console, [f"error[{error.code}]: {error.what}"])
                more = checked.seen if checked is not None else set[str]()
                seen = {n: Path(n).stat().st_mtime for n in {*files, *more} if Path(n).exists()}
            time.sleep(0.3)
    except KeyboardInterrupt:
        return code


def load(common: Common, target: str | None) -> tuple[Config, str | None, str | None]:
    """Load the config that a command names, with the workflow and the file of its argument."""
    from agentflow.config import load_config  # noqa: PLC0415  reads files

    file, name = split_target(target) if target is not None else (None, None)
    path = file or _nearest(common)
    if not Path(path).exists():
        raise no_config(path)
    return load_config(path, heard=hide_secrets), name, file
