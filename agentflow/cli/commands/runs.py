"""`runs list|show|watch|resume|usage|cancel|pause|unpause|retry|purge`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from agentflow.cli import options
from agentflow.cli.complete import run_ids, run_states, step_addresses, workflows

Run = Annotated[str, typer.Argument(metavar="RUN", help="An ending of its id, or @last.", autocompletion=run_ids)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def runs() -> None:
    """Runs: list, follow, stop and repeat them.

    \f
    agentflow runs list --failed
    agentflow runs show @last
    agentflow runs watch 7q3k2f
    agentflow runs retry 7q3k2f --from send
    """


@options.shared("config", "store", "json", "quiet", "no_color")
def list_runs(
    common: options.Common,
    states: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only this state.", autocompletion=run_states)
    ] = None,
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", metavar="ID", help="Only this one.", autocompletion=workflows)
    ] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Only with it.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Started in the last 2h, 3d …")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="RUN", help="Only older ones.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed ones.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for an answer.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10000, help="At most this many.")] = 20,
) -> int:
    """List runs, newest first.

    \f
    agentflow runs list
    agentflow runs list --failed --since 2h
    agentflow runs list --json | jq -r '.runs[].id'
    """
    from agentflow.cli.actions import runs as actions  # noqa: PLC0415  help must not pay for it

    wanted = actions.Listing(tuple(states or ()), workflow, tuple(labels or ()), since, before, failed, waiting, limit)
    return actions.list_runs(common, wanted)


@options.shared("config", "store", "json", "no_color")
def show(
    common: options.Common,
    run: Run = "@last",
    step: Annotated[
        str | None, typer.Option("--step", "-s", metavar="STEP", help="One step.", autocompletion=step_addresses)
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="The log of its events.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="Every step, nested ones and child runs too.")] = False,
) -> int:
    """Show a run: its steps, what they gave, and why one isn't running.

    \f
    agentflow runs show @last
    agentflow runs show 61c9d4 --step send
    """
    from agentflow.cli.actions.show import show as do  # noqa: PLC0415  help must not pay for it

    return do(common, run, step, events=events, tree=tree)


@options.shared("config", "store", "json", "jsonl", "quiet", "no_color")
def watch(
    common: options.Common,
    run: Run = "@last",
    answers: options.Answers = None,
    timeout: options.Timeout = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay while it waits for an answer.")] = True,
    no_ask: options.NoAsk = False,
    cancel_on_interrupt: options.Interrupt = False,
) -> int:
    """Follow a run to its end; carry it on where its process has died.

    \f
    agentflow runs watch @last
    agentflow runs watch 7q3k2f --jsonl
    """
    from agentflow.cli.actions import start as actions  # noqa: PLC0415  help must not pay for it

    wanted = actions.Watch(run, tuple(answers or ()), timeout, wait, not no_ask, cancel_on_interrupt)
    return actions.watch(common, wanted)


@options.shared("config", "store", "json", "jsonl", "quiet", "no_color")
def resume(
    common: options.Common,
    run: Run = "@last",
    answers: options.Answers = None,
    timeout: options.Timeout = None,
    no_ask: options.NoAsk = False,
    cancel_on_interrupt: options.Interrupt = False,
) -> int:
    """Carry a run on that was paused or left, and follow it until it ends or waits.

    \f
    agentflow runs resume @last
    agentflow runs resume 7q3k2f --answer review=@answer.json
    """
    from agentflow.cli.actions import start as actions  # noqa: PLC0415  help must not pay for it

    wanted = actions.Watch(run, tuple(answers or ()), timeout, False, not no_ask, cancel_on_interrupt, resume=True)
    return actions.watch(common, wanted)


@options.shared("config", "store", "json", "quiet", "no_color")
def cancel(
    common: options.Common,
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs.", autocompletion=run_ids)],
    force: Annotated[bool, typer.Option("--force", help="Without compensation and `finally` steps.")] = False,
) -> int:
    """Cancel runs: what runs is interrupted, what waits is closed.

    \f
    agentflow runs cancel 6ff0ab
    """
    from agentflow.cli.actions.change import cancel as do  # noqa: PLC0415  help must not pay for it

    return do(common, list(runs), force=force)


@options.shared("config", "store", "json", "quiet", "no_color")
def pause(
    common: options.Common,
    run: Run,
) -> int:
    """Pause a run: nothing new starts until it goes on.

    \f
    agentflow runs pause 6ff0ab
    """
    from agentflow.cli.actions.change import pause as do  # noqa: PLC0415  help must not pay for it

    return do(common, run)


@options.shared("config", "store", "json", "quiet", "no_color")
def unpause(
    common: options.Common,
    run: Run,
) -> int:
    """Let a paused run go on.

    \f
    agentflow runs unpause 6ff0ab
    """
    from agentflow.cli.actions.change import unpause as do  # noqa: PLC0415  help must not pay for it

    return do(common, run)


@options.shared("config", "store", "json", "jsonl", "quiet", "no_color")
def retry(
    common: options.Common,
    run: Run,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Default: what failed.", autocompletion=step_addresses),
    ] = None,
    inputs: Annotated[list[str] | None, typer.Option("--input", "-i", metavar="KEY=VALUE", help="Change it.")] = None,
    input_json: Annotated[str | None, typer.Option("--input-json", metavar="JSON", help="Replace all input.")] = None,
    new_definition: Annotated[
        bool,
        typer.Option("--new-definition", help="By the config's workflow of now; keeps what it hasn't changed."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would happen.")] = False,
    yes: Yes = False,
    answers: options.Answers = None,
    timeout: options.Timeout = None,
) -> int:
    """Run it again from a step on, keeping what is done; tells first what that means.

    \f
    agentflow runs retry 61c9d4 --from send
    agentflow runs retry @last --new-definition --yes
    """
    from agentflow.cli.actions import retry as actions  # noqa: PLC0415  help must not pay for it

    wanted = actions.Retry(
        run, start, tuple(inputs or ()), input_json, new_definition, dry_run, yes, tuple(answers or ()), timeout
    )
    return actions.retry(common, wanted)


@options.shared("config", "store", "json", "quiet", "no_color")
def purge(
    common: options.Common,
    older_than: Annotated[str, typer.Option("--older-than", metavar="TIME", help="Ended longer ago: 30d, 12h.")],
    states: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Default: every final state.")
    ] = None,
    yes: Yes = False,
) -> int:
    """Delete runs that ended long ago.

    \f
    agentflow runs purge --older-than 30d
    """
    from agentflow.cli.actions.change import purge as do  # noqa: PLC0415  help must not pay for it

    return do(common, older_than, tuple(states or ()), yes=yes)


@options.shared("config", "store", "json", "no_color")
def usage(
    common: options.Common,
    by: Annotated[str, typer.Option("--by", metavar="WHAT", help="workflow, model or owner.")] = "workflow",
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only this one's.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Used in the last 2h, 3d …")] = None,
) -> int:
    """Tell what runs have used: tokens of models, and what they cost.

    \f
    agentflow runs usage
    agentflow runs usage --by model --since 7d
    """
    from agentflow.cli.actions import usage as actions  # noqa: PLC0415  help must not pay for it

    wanted = actions.Wanted(by, owner, since)
    return actions.usage(common, wanted)


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "list": list_runs,
    "show": show,
    "watch": watch,
    "resume": resume,
    "usage": usage,
    "cancel": cancel,
    "pause": pause,
    "unpause": unpause,
    "retry": retry,
    "purge": purge,
}
"""Commands of the group, in the order of its help."""
