"""Help and wrong use: commands grouped by task, examples first, nearest names for a mistyped one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from typer.core import TyperCommand, TyperGroup

from agentflow.cli.parameters import spared
from agentflow.cli.streams import guard
from agentflow.definition.suggest import nearest

ORDER = (
    "init",
    "run",
    "validate",
    "graph",
    "waits",
    "publish",
    "workflows",
    "runs",
    "steps",
    "schema",
    "explain",
    "doctor",
    "store",
)
"""Top-level commands by task; others keep their order."""

MEANT: Mapping[str, str] = {
    "answer": "waits answer",
    "resume": "waits answer",
    "approve": "waits answer",
    "inbox": "waits",
    "list": "runs list",
    "ls": "runs list",
    "status": "runs list",
    "ps": "runs list",
    "show": "runs show",
    "logs": "runs show",
    "watch": "runs watch",
    "follow": "runs watch",
    "cancel": "runs cancel",
    "stop": "runs cancel",
    "kill": "runs cancel",
    "pause": "runs pause",
    "retry": "runs retry",
    "rerun": "runs retry",
    "new": "init",
    "create": "init",
    "start": "run",
    "exec": "run",
    "check": "validate",
    "lint": "validate",
    "emit": "publish",
    "send": "publish",
    "flows": "workflows",
    "types": "steps",
    "error": "explain",
    "backup": "store backup",
    "restore": "store restore",
    "vacuum": "store vacuum",
    "db": "store",
}
"""Words people try first, and the command that does it."""


OF_RUNS: Mapping[str, tuple[str, ...]] = {
    "continue": ("runs resume", "waits answer"),
    "answer": ("waits answer",),
    "stop": ("runs cancel",),
    "kill": ("runs cancel",),
    "logs": ("runs show",),
    "follow": ("runs watch",),
    "delete": ("runs purge",),
    "start": ("run",),
}
"""The same of commands for runs: a run that was left is carried on by `watch`, one that waits by an answer."""


class WrongUse(Exception):
    """The command line was used wrongly."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        """Make it from what is wrong and what would be right."""
        super().__init__(what)
        self.what = what
        self.hint = hint


class Command(TyperCommand):
    """A command whose help shows its examples first."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        _write_head(self, ctx, formatter)
        self.format_options(ctx, formatter)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, which take what is given without asking pydantic."""
        params = super().get_params(ctx)
        spared(params)
        return params

    def invoke(self, ctx: Any) -> Any:
        """Run the command: from here on stdout is for its result."""
        guard()
        return super().invoke(ctx)


class Group(TyperGroup):
    """A group of commands; a mistyped one is told the nearest."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, which take what is given without asking pydantic."""
        params = super().get_params(ctx)
        spared(params)
        return params

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands as the help shows them: by task, most used first."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help: what it is, examples, commands by task, options."""
        _write_head(self, ctx, formatter)
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            section = str(getattr(command, "rich_help_panel", None) or "Commands")
            sections.setdefault(section, []).append((name, command.get_short_help_str(limit=90)))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        options = [found for param in self.get_params(ctx) if (found := param.get_help_record(ctx))]
        if options:
            with formatter.section("Options"):
                formatter.write_dl(options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name.

        Raises:
            WrongUse: there is none; the hint names at most three, the nearest first.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            raise WrongUse(f'there is no command "{ctx.command_path} {name}"', did_you_mean(self, ctx, name))
        return super().resolve_command(ctx, args)


def did_you_mean(group: Group, ctx: Any, name: str) -> str:
    """Return a hint that names the commands somebody may have meant."""
    is_root = ctx.parent is None
    if is_root and name in MEANT:
        return f"did you mean: {ctx.command_path} {MEANT[name]}"
    if ctx.info_name == "runs" and name in OF_RUNS:
        return f"did you mean: {', '.join(f'{ctx.parent.command_path} {each}' for each in OF_RUNS[name])}"
    near = get_close_matches(name, group.list_commands(ctx), n=3, cutoff=0.55)
    if is_root and not near:
        near = [MEANT[word] for word in get_close_matches(name, MEANT, n=1, cutoff=0.75)]
    if near:
        return f"did you mean: {', '.join(f'{ctx.command_path} {each}' for each in near)}"
    return f"{ctx.command_path} --help lists them"


def _write_head(command: Any, ctx: Any, formatter: Any) -> None:
    text, _, examples = inspect.cleandoc(command.help or "").partition("\f")
    formatter.write(text.strip() + "\n")
    rows = [line.strip() for line in examples.strip().splitlines()]
    if rows:
        formatter.write("\nExamples:\n")
        formatter.write("".join(f"  {row}\n" for row in rows))
    formatter.write("\n")
    command.format_usage(ctx, formatter)


_OTHER_OPTIONS: Mapping[str, Sequence[str]] = {
    "--input": ("--data",), "--answer": ("--set", "--data"), "--data": ("--set", "--input-json"),
    "--param": ("--input",), "--params": ("--input",), "--set": ("--input",), "--file": ("--config", "--output"),
    "--follow": ("--timeout",), "--format": ("--json",), "--svg": ("--output",), "--force": ("--yes",),
}  # fmt: skip
"""Options that people try → ours, the first that a command has."""


_MUST_BE = r"Invalid value for '([^']+)'(?: / '[^']+')*: Input should be (.+?)(?:, unable to .*)?$"
_PLAINER = {
    "greater than or equal to": "at least", "less than or equal to": "at most", "greater than": "above",
    "less than": "below", "a valid integer": "a whole number", "a valid number": "a number",
}  # fmt: skip


def _plainer(message: str) -> str:
    """Say in our words what the command-line library says of a value."""
    found = re.match(_MUST_BE, message)
    if found is None:
        return message
    wanted = next((found[2].replace(long, ours) for long, ours in _PLAINER.items() if long in found[2]), found[2])
    return f"{found[1]} must be {wanted}"


def suggestion(error: object) -> tuple[str, str | None]:
    """Return what was wrong in a usage error of the command-line library, and a hint."""
    message = str(getattr(error, "message", "") or "")
    tell: Any = getattr(error, "format_message", None)
    message = _plainer(str(tell()) if tell is not None else message)
    ctx: Any = getattr(error, "ctx", None)
    path = str(ctx.command_path) if ctx is not None else "agentflow"
    option = getattr(error, "option_name", None)
    if isinstance(option, str) and "no such option" in message.lower():
        params: Sequence[Any] = getattr(getattr(ctx, "command", None), "params", ())
        known = [each for one in params for each in one.opts if each.startswith("--")]
        near = [each for each in _OTHER_OPTIONS.get(option, ()) if each in known]
        near = near or [f"--{each}" for each in nearest(option.lstrip("-"), [each[2:] for each in known])]
        message = f"{path} has no option {option}"
        return message, f"did you mean: {', '.join(near[:3])}" if near else f"{path} --help"
    return message[:1].lower() + message[1:].rstrip("."), f"{path} --help"
