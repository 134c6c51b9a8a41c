"""The application: which commands there are, and how every one of them ends."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

from agentflow.cli.commands import connections, flows, look, mcp, push, runs, serving, store, waits
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
        "explain",
        "validate",
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
SETTINGS = {"help_option_names": ["-h", "--help"]}


def version(value: bool) -> None:
    """Print the version and leave."""
    if value:
        from importlib.metadata import version as installed  # noqa: PLC0415  only here

        from agentflow.cli.console import make_console  # noqa: PLC0415  not needed for help

        make_console().result(f"agentflow {installed('agentflow-workflows')}")
        raise typer.Exit


def root(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=version, is_eager=True)
    ] = False,
) -> None:
    """Workflows as data: they survive crashes and wait for people.

    \f
    agentflow run report --input region=emea
    agentflow validate
    agentflow waits
    agentflow waits answer w5d1kq --set decision=approve
    agentflow runs watch @last
    """


def build() -> typer.Typer:
    """Put the commands together; nothing that they need is imported before one of them runs."""
    app = _group(root, top=True)
    _add(app, RUN, "run", flows.run)
    _add(app, RUN, "validate", flows.validate)
    _add(app, RUN, "graph", flows.graph)
    waits_app = _group(waits.waits, alone=True)
    _add(waits_app, None, "list", waits.list_waits)
    _add(waits_app, None, "show", waits.show)
    _add(waits_app, None, "answer", waits.answer)
    _add(waits_app, None, "open", waits.open_wait)
    app.add_typer(waits_app, name="waits", rich_help_panel=ANSWER)
    _add(app, ANSWER, "publish", look.publish)
    runs_app = _group(runs.runs)
    for name, function in runs.COMMANDS.items():
        _add(runs_app, None, name, function)
    app.add_typer(runs_app, name="runs", rich_help_panel=LOOK)
    _add(app, LOOK, "steps", look.steps)
    _add(app, LOOK, "schema", flows.schema)
    _add(app, LOOK, "explain", look.explain)
    _add(app, OPERATE, "serve", serving.serve)
    _add(app, OPERATE, "mcp", mcp.mcp)
    connections_app = _group(connections.connections)
    for name, function in connections.COMMANDS.items():
        _add(connections_app, None, name, function)
    app.add_typer(connections_app, name="connections", rich_help_panel=OPERATE)
    push_app = _group(push.push)
    for name, function in push.COMMANDS.items():
        _add(push_app, None, name, function)
    app.add_typer(push_app, name="push", rich_help_panel=OPERATE)
    store_app = _group(store.store)
    for name, function in store.COMMANDS.items():
        _add(store_app, None, name, function)
    app.add_typer(store_app, name="store", rich_help_panel=OPERATE)
    return app


@cache
def parser() -> Callable[..., Any]:
    """Return what reads a command line and runs its command; making it reads the signatures of all commands."""
    return get_command(build())


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
        code = parser()(args=arguments, prog_name="agentflow", standalone_mode=False)
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
    from agentflow.errors import AgentflowError  # noqa: PLC0415

    error = errors.unwrap(error)
    mode = "json" if "--json" in arguments else "jsonl" if "--jsonl" in arguments else "text"
    console = make_console(mode=mode, no_color="--no-color" in arguments)
    if errors.debugging():
        errors.show_trace(console, error)
    shown = error if isinstance(error, AgentflowError) else errors.as_defect(error)
    errors.show(console, shown)
    return errors.exit_code(shown)
