"""`mcp`."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from agentflow.cli.options import Common
from agentflow.cli.projects import find_project, no_config
from agentflow.cli.session import Session, drive
from agentflow.cli.streams import wire
from agentflow.cli.values import read_timeout, usage
from agentflow.cli.verdict import tell_broken
from agentflow.errors import AgentflowError
from agentflow.extras import installing

LONGEST = 600.0


def tell_entries(common: Common) -> int:
    """Print what makes clients start this command, with whole paths: they have a `PATH` of their own."""
    from agentflow_mcp.entries import over_streams  # noqa: PLC0415  only what serves loads the server

    console = common.console()
    project = find_project(common, config="needed")
    config = project.config
    if config is None or config.file is None:
        raise no_config(common.config)
    arguments = ["mcp", str(config.file.absolute())]
    if common.store is not None:
        arguments += ["--store", common.store if "://" in common.store else str(Path(common.store).absolute())]
    for each in over_streams(config.name, _command(), arguments):
        console.result(str(each))
    return 0


def _command() -> str:
    """Return where this program is."""
    found = shutil.which(sys.argv[0]) or shutil.which("agentflow")
    return os.path.abspath(found) if found is not None else "agentflow"


def serve(common: Common, hold: str, url: str | None) -> int:
    """Serve the config's workflows to the client that has started this process, until it goes.

    Raises:
        AgentflowError: the SDK isn't installed.
        DefinitionError: the config isn't valid, or two tools have one name.
    """
    if find_spec("mcp") is None:
        raise AgentflowError(
            '`mcp` needs the package "mcp"',
            code="AF-INSTALL",
            hint=installing("mcp"),
        )
    seconds = read_timeout(hold) or 0.0
    if seconds > LONGEST:
        raise usage(f"--hold is at most {LONGEST:g}s: clients give calls a minute", "45s")
    console = common.console()
    project = find_project(common, config="needed")
    config = project.config
    if config is None:
        raise no_config(common.config)
    tell_broken(console, config)

    async def work(session: Session) -> int:
        from agentflow.server import connecting  # noqa: PLC0415  as below
        from agentflow.server.answering import link_to  # noqa: PLC0415
        from agentflow_mcp.controls import CONTROLS  # noqa: PLC0415  only what serves loads the server
        from agentflow_mcp.desk import Desk  # noqa: PLC0415
        from agentflow_mcp.protocol import serve_lines  # noqa: PLC0415

        page = None if url is None else partial(link_to, session.engine, url.rstrip("/"))
        if url is not None:
            session.engine.connections.page = partial(connecting.link_to, session.engine, url.rstrip("/"))
        desk = Desk(session.engine, CONTROLS, seconds, page=page)
        if console.in_terminal:
            tools = ", ".join(tool.name for tool in desk.tools if tool.name not in CONTROLS)
            console.say(f"MCP on stdin and stdout, for a client to start. Tools: {tools or 'none'}. Ctrl+C ends it.")
        await serve_lines(desk, config.name, *wire())
        return 0

    return drive(console, project, work, host="all", makes=True)
