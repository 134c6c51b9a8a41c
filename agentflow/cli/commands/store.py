"""`store backup|restore|check|vacuum`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from agentflow.cli import options
from agentflow.cli.commands.runs import Yes


def store() -> None:
    """The database of the runs: copy it, restore it, look for damage.

    \f
    agentflow store backup runs-backup.db
    agentflow store check
    """


@options.shared("config", "store", "json", "quiet", "no_color")
def backup(
    common: options.Common,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where the copy goes.")],
    yes: Yes = False,
) -> int:
    """Copy the store into one file, while runs go on; the copy is checked.

    \f
    agentflow store backup runs-backup.db
    agentflow store backup /backups/runs.db --yes
    """
    from agentflow.cli.actions.store import backup as do  # noqa: PLC0415  help must not pay for it

    return do(common, file, yes=yes)


@options.shared("config", "store", "json", "quiet", "no_color")
def restore(
    common: options.Common,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `backup` has written.")],
    yes: Yes = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Take a damaged copy too, as it is.")] = False,
) -> int:
    """Put a copy in place of the store; what was there is kept beside it.

    \f
    agentflow store restore runs-backup.db
    """
    from agentflow.cli.actions.store import restore as do  # noqa: PLC0415  help must not pay for it

    return do(common, file, yes=yes, damaged=damaged)


@options.shared("config", "store", "json", "quiet", "no_color")
def check(
    common: options.Common,
) -> int:
    """Look for damage, and name each run and step that has some.

    \f
    agentflow store check
    agentflow store check --store runs-backup.db
    """
    from agentflow.cli.actions.store import check as do  # noqa: PLC0415  help must not pay for it

    return do(common)


@options.shared("config", "store", "json", "quiet", "no_color")
def vacuum(
    common: options.Common,
    full: Annotated[bool, typer.Option("--full", help="Write the file anew; nobody may use it meanwhile.")] = False,
) -> int:
    """Give space back that deleted runs have left, while runs go on.

    \f
    agentflow runs purge --older-than 30d
    agentflow store vacuum
    """
    from agentflow.cli.actions.store import vacuum as do  # noqa: PLC0415  help must not pay for it

    return do(common, full=full)


COMMANDS: Mapping[str, Callable[..., Any]] = {"backup": backup, "restore": restore, "check": check, "vacuum": vacuum}
"""Commands of the group, in the order of its help."""
