"""`connections list|logout|test`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from agentflow.cli.format import ago, iso
from agentflow.cli.options import Common
from agentflow.cli.projects import exists, find_project
from agentflow.cli.session import Session, drive
from agentflow.cli.tables import Column, layout, tabbed
from agentflow.errors import AgentflowError
from agentflow.principal import LOCAL, Principal
from agentflow.requirements.connections.book import Line, Tested

COLUMNS = (
    Column("NAME"),
    Column("STATE"),
    Column("OWNER", drop=2),
    Column("ACCOUNT", cut=True, least=8),
    Column("SCOPES", cut=True, least=8),
    Column("EXPIRES", drop=1),
)
_STYLES = {"connected": "green", "fixed": "green", "not connected": "dim", "expired": "yellow", "revoked": "yellow"}


def list_connections(common: Common) -> int:
    """List the connections of the config."""
    console = common.console()
    project = find_project(common, config="needed")

    async def work(session: Session) -> int:
        lines = await session.engine.core.env.book.lines(LOCAL)
        if console.mode != "text":
            console.data({"connections": [line_data(line) for line in lines]})
        elif not lines:
            console.say("The config has no connections. See: agentflow explain AF-AUTH-NEEDED")
        else:
            _write(session, lines)
        return 0

    return drive(console, project, work, host="none", makes=True)


def logout(common: Common, name: str, owner: str, tenant: str) -> int:
    """Forget tokens, and revoke them."""
    console = common.console()
    project = find_project(common, config="needed")

    async def work(session: Session) -> int:
        book = session.engine.core.env.book
        try:
            revoked = await book.logout(name, Principal(owner, tenant))
        except AgentflowError as error:
            hint = "what was forgotten here may still be valid there: revoke it at the service"
            raise AgentflowError(error.what, code=error.code, why=error.why, hint=error.hint or hint) from None
        if console.mode != "text":
            console.data({"connection": name, "signed_out": revoked is not None, "revoked": bool(revoked)})
        elif revoked is None:
            console.say(f"Nobody was signed in to {name}.")
        else:
            more = "revoked at the service" if revoked else "the service has no way to revoke them"
            console.result(f"signed out of {name}: tokens forgotten, {more}")
        return 0

    return drive(console, project, work, host="none", makes=exists(project))


def try_out(common: Common, name: str, owner: str, tenant: str) -> int:
    """Get credentials as a step would."""
    console = common.console()
    project = find_project(common, config="needed")

    async def work(session: Session) -> int:
        tested = await session.engine.core.env.book.test(name, Principal(owner, tenant))
        if console.mode != "text":
            data = {"connection": tested.name, "asked": tested.asked, "account": tested.account}
            console.data({**data, "scopes": list(tested.scopes), "expires_at": iso(tested.expires_at)})
        else:
            console.result(console.paint("✔ ", "green", out=True) + _tested(tested))
        return 0

    return drive(console, project, work, host="none", makes=True)


def line_data(line: Line) -> dict[str, Any]:
    """Return a line as JSON data; no token is in it."""
    return {
        "name": line.name, "type": line.type or None, "state": line.state, "owner": line.owner or None,
        "tenant": line.tenant, "account": line.account, "scopes": list(line.scopes),
        "expires_at": iso(line.expires_at), "refreshable": line.refreshable, "why": line.why,
    }  # fmt: skip


def _tested(tested: Tested) -> str:
    if not tested.asked:
        return f"{tested.name}: there are credentials; nobody was asked whether they are good"
    who = f", signed in as {tested.account}" if tested.account else ""
    scopes = f", scopes: {', '.join(tested.scopes)}" if tested.scopes else ""
    return f"{tested.name}: the service takes them{who}{scopes}"


def _expires(line: Line, now: float) -> str:
    if line.state != "connected" or line.expires_at is None:
        return "-"
    return "renewed by itself" if line.refreshable else ago(line.expires_at, now)


def _write(session: Session, lines: Sequence[Line]) -> None:
    """Write the table: for a terminal, or tab-separated for a pipe."""
    console, now = session.console, time.time()
    if not console.out_terminal:
        rows = [
            [
                line.name, line.state, line.owner or "-", line.account or "-", ", ".join(line.scopes) or "-",
                iso(line.expires_at) or "-",
            ]
            for line in lines
        ]  # fmt: skip
        console.page(tabbed([column.title for column in COLUMNS], rows))
        return
    rows = [
        [
            line.name, line.state, line.owner or "-", line.why or line.account or "-", ", ".join(line.scopes) or "-",
            _expires(line, now),
        ]
        for line in lines
    ]  # fmt: skip
    head, *table = layout(COLUMNS, rows, console.width)
    painted = (
        console.paint("  ".join(row).rstrip(), _STYLES.get(line.state, "red"), out=True)
        for row, line in zip(table, lines, strict=True)
    )
    console.page([console.paint("  ".join(head).rstrip(), "dim", out=True), *painted])
