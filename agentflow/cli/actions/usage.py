"""`runs usage`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agentflow.cli.desk import Desk
from agentflow.cli.format import one_line
from agentflow.cli.looking import look
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project
from agentflow.cli.spent import money
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.cli.values import read_timeout
from agentflow.cli.values import usage as wrong
from agentflow.store.usage_rows import By, UsageQuery

_WAYS: dict[str, By] = {"workflow": "workflow", "model": "model", "owner": "owner"}
_COLUMNS = (
    Column("RUNS", drop=3), Column("CALLS", drop=2), Column("INPUT", drop=1), Column("OUTPUT", drop=1), Column("COST"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `runs usage` was asked."""

    by: str = "workflow"
    owner: str | None = None
    since: str | None = None


def usage(common: Common, wanted: Wanted) -> int:
    """Tell what runs have used, in sums."""
    console = common.console()
    by = _WAYS.get(wanted.by)
    if by is None:
        raise wrong(f'there are no sums by "{wanted.by}"', f"one of: {', '.join(_WAYS)}")
    seconds = read_timeout(wanted.since)
    since = time.time() - seconds if seconds is not None else None
    project = find_project(common, config="none")

    async def work(desk: Desk) -> int:
        sums = await desk.reader.store.usage_sums(UsageQuery(by, wanted.owner, since=since))
        if console.mode != "text":
            rows = [{"name": each.name, "runs": each.runs, **each.usage.data} for each in sums]
            console.data({"by": by, "usage": rows})
            return 0
        if not sums:
            console.say("Nothing was used.")
            return 0
        texts = [
            [
                one_line(each.name, 200) or "-", str(each.runs), f"{each.usage.calls:,}",
                f"{each.usage.input_tokens:,}", f"{each.usage.output_tokens:,}",
                money(each.usage),
            ]
            for each in sums
        ]  # fmt: skip
        columns = (Column(by.upper(), cut=True, least=6), *_COLUMNS)
        if not console.out_terminal:
            console.page(tabbed([column.title for column in columns], texts))
            return 0
        table = ["  ".join(line).rstrip() for line in layout(columns, texts, console.width)]
        console.page([console.paint(table[0], "dim", out=True), *table[1:]])
        return 0

    if not exists(project):
        if console.mode != "text":
            console.data({"by": by, "usage": []})
        else:
            console.say("Nothing was used.")
        return 0
    return look(console, project, work)
