"""The application: which commands there are, and how every one of them ends."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.main import get_command

from agentflow.cli.help import Command, Group, WrongUse, suggestion
from agentflow.codes import door

if TYPE_CHECKING:
    from agentflow.cli.streams import Streams

RUN, ANSWER, LOOK, OPERATE = "Run", "Answer", "Look", "Operate"
LOST = "AF-OUTPUT-LOST"
LOOKING = frozenset(
    {
        "graph",
        "mcp",
        "steps",
        "schema",
        "doctor",
        "explain",
        "validate",
        "workflows",
        "waits",
        "waits list",
        "waits show",
        "runs list",
        "runs show",
        "push list",
        "connections list",
    }
)
"""Commands that only show something, or serve whoever reads: who stops to read has seen enough, nothing is lost."""
HELP = frozenset({"-h", "--help", "--version"})
COMPLETION = "_AGENTFLOW_COMPLETE"
"""The variable by which a shell asks for completions."""
SETTINGS = {"help_option_names": ["-h", "--help"]}


def version(value: bool) -> None:
    """Print the version and leave."""
    if value:
        from agentflow import __version__  # noqa: PLC0415  only here
        from agentflow.cli.streams import standard  # noqa: PLC0415  a console would load more

        standard()[0].write(f"agentflow {__version__}\n")
        raise typer.Exit


def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=version, is_eager=True)
    ] = False,
) -> None:
    """Workflows as data: they survive crashes and wait for people.

    \f
    agentflow init demo
    agentflow run report --input region=emea
    agentflow waits answer w5d1kq --set decision=approve
    """


class Entry(NamedTuple):
    """A command of the top, or a group of them: which module has it, and where the help shows it."""

    name: str
    section: str
    module: str
    group: bool = False
    alone: bool = False
    """Whether the group does something without a command."""


ENTRIES = (
    Entry("init", RUN, "project"),
    Entry("run", RUN, "flows"),
    Entry("validate", RUN, "flows"),
    Entry("graph", RUN, "flows"),
    Entry("waits", ANSWER, "waits", group=True, alone=True),
    Entry("publish", ANSWER, "look"),
    Entry("workflows", LOOK, "flows"),
    Entry("runs", LOOK, "runs", group=True),
    Entry("steps", LOOK, "look"),
    Entry("schema", LOOK, "flows"),
    Entry("explain", LOOK, "look"),
    Entry("serve", OPERATE, "serving"),
    Entry("mcp", OPERATE, "mcp"),
    Entry("connections", OPERATE, "connections", group=True),
    Entry("push", OPERATE, "push", group=True),
    Entry("doctor", OPERATE, "project"),
    Entry("store", OPERATE, "store", group=True),
)


def build(entries: Sequence[Entry] = ENTRIES) -> typer.Typer:
    """Put the commands together; nothing that they need is imported before one of them runs."""
    app = _group(root, top=True)
    for entry in entries:
        module = import_module(f"agentflow.cli.commands.{entry.module}")
        if not entry.group:
            _add(app, entry.section, entry.name, getattr(module, entry.name))
            continue
        group = _group(getattr(module, entry.name), alone=entry.alone)
        commands: Mapping[str, Callable[..., Any]] = module.COMMANDS
        for name, function in commands.items():
            _add(group, None, name, function)
        app.add_typer(group, name=entry.name, rich_help_panel=entry.section)
    return app


@cache
def parser(name: str | None = None) -> Callable[..., Any]:
    """Return what reads a command line and runs its command.

    Making it reads the signatures of the commands: of all, or only of what is called `name`.
    """
    return get_command(build([entry for entry in ENTRIES if name is None or entry.name == name]))


def _named(arguments: Sequence[str]) -> str | None:
    """Return the name that a command line begins with, if there is such a command."""
    typed = list(arguments[:1])
    if COMPLETION in os.environ:
        text = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
        words = text.split()[1:]
        typed = words[:1] if len(words) > 1 or text[-1:].isspace() else []  # else it may begin other names
    if typed == ["--version"]:
        return ENTRIES[-1].name  # any: typer makes no group of nothing
    return typed[0] if typed and any(entry.name == typed[0] for entry in ENTRIES) else None


def _group(callback: Callable[..., Any], *, top: bool = False, alone: bool = False) -> typer.Typer:
    return typer.Typer(
        cls=Group,
        callback=callback,
        help=callback.__doc__,
        no_args_is_help=not alone,
        invoke_without_command=alone,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=top,
        context_settings=SETTINGS,
    )


def _add(app: typer.Typer, section: str | None, name: str, function: Callable[..., Any]) -> None:
    app.command(name, cls=Command, rich_help_panel=section or "Commands", context_settings=SETTINGS)(function)


def command(streams: Streams, arguments: list[str]) -> int:
    """Run the command line of this process and return its exit code.

    A result that couldn't be written has an exit code of its own, unless the command has failed anyhow, or only shows
    what there is and its reader has gone.
    """
    try:
        code = execute(arguments)
    except SystemExit as end:  # completion of a shell ends so
        code = end.code if isinstance(end.code, int) else 0
    try:
        error = streams.end()
    except KeyboardInterrupt:
        return 130
    if error is None:
        return code
    from agentflow.cli import writer  # noqa: PLC0415  hardly ever

    if not writer.gone(error):
        return code or _report(arguments, _lost(error))
    return code if _only_shows(arguments) else code or door(LOST).exit_code


def _asks_for_help(arguments: list[str]) -> bool:
    return not HELP.isdisjoint(arguments)


def _only_shows(arguments: list[str]) -> bool:
    words = list(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments))
    known = " ".join(words[: 2 if words[:1] in (["waits"], ["runs"], ["push"], ["connections"]) else 1])
    return known in LOOKING or _asks_for_help(arguments)


def _lost(error: OSError) -> Exception:
    from agentflow.errors import AgentflowError  # noqa: PLC0415  hardly ever

    why = f"stdout: {(error.strerror or 'error').lower()}"
    return AgentflowError(
        "the result couldn't be written", code=LOST, why=why, hint="what the command did is done: agentflow runs list"
    )


def execute(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        if not _asks_for_help(arguments):
            _need_folder()
        code = parser(_named(arguments))(args=arguments, prog_name="agentflow", standalone_mode=False)
    except WrongUse as error:
        return _wrong_use(arguments, error.what, error.hint)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            from agentflow.cli.console import make_console  # noqa: PLC0415  not needed for other help

            console = make_console()
            for line in error.format_message().rstrip().split("\n"):
                console.tell(line)
            return 2
        what, hint = suggestion(error)
        return _wrong_use(arguments, what, hint)
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the one place where every error becomes text and an exit code
        return _report(arguments, error)
    return code if isinstance(code, int) else 0


def _need_folder() -> None:
    """Refuse to work in a folder that was deleted: nothing can be looked for from there, not even our own modules."""
    try:
        os.getcwd()
    except OSError:
        from agentflow.errors import NotFoundError  # noqa: PLC0415  hardly ever

        raise NotFoundError(
            "the folder that this command was started in doesn't exist any more, or can't be entered",
            code="AF-CONFIG-NOT-FOUND",
            hint="go to one that exists: cd FOLDER",
        ) from None


def _wrong_use(arguments: list[str], what: str, hint: str | None) -> int:
    from agentflow.errors import InputError  # noqa: PLC0415  not needed for help

    return _report(arguments, InputError(what, code="AF-USAGE", hint=hint))


def _report(arguments: list[str], error: Exception) -> int:
    from agentflow.cli import errors  # noqa: PLC0415  not needed for help
    from agentflow.cli.console import make_console  # noqa: PLC0415
    from agentflow.errors import AgentflowError, Defect  # noqa: PLC0415

    error = errors.unwrap(error)
    mode = "json" if "--json" in arguments else "jsonl" if "--jsonl" in arguments else "text"
    console = make_console(mode=mode, no_color="--no-color" in arguments)
    if errors.debugging():
        errors.show_trace(console, error)
    if isinstance(error, AgentflowError) and not isinstance(error, Defect):
        shown = error
    else:
        from agentflow.cli.defects import as_defect  # noqa: PLC0415  hardly ever

        shown = as_defect(error, arguments)
    errors.show(console, shown)
    return errors.exit_code(shown)
