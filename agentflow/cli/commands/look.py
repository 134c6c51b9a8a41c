"""`publish`, `steps`, `explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options
from agentflow.cli.complete import codes, step_types


@options.shared("config", "store", "json", "quiet", "no_color")
def publish(
    common: options.Common,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="What the event is about.")],
    data: Annotated[str, typer.Option("--data", metavar="JSON", help="Its data; @file or - reads it.")] = "null",
    event_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The same id again is the same event.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Only store it; don't carry runs on.")] = False,
) -> int:
    """Publish an event; runs that wait for it go on.

    \f
    agentflow publish payment.received --data '{"order": 17}'
    """
    from agentflow.cli.actions.answer import publish as do  # noqa: PLC0415  help must not pay for it

    return do(common, topic, data, event_id, detach=detach)


@options.shared("json", "no_color")
def steps(
    common: options.Common,
    name: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="Show its fields.", autocompletion=step_types)
    ] = None,
) -> int:
    """List the step types, or the fields of one.

    \f
    agentflow steps
    agentflow steps api_call
    """
    from agentflow.cli.actions.reference import steps as do  # noqa: PLC0415  help must not pay for it

    return do(common, name)


@options.shared("json", "no_color")
def explain(
    common: options.Common,
    code: Annotated[str, typer.Argument(metavar="CODE", help="Such as AF-WAIT-OPEN.", autocompletion=codes)],
) -> int:
    """Say what an error code means and what to do.

    \f
    agentflow explain AF-WAIT-OPEN
    """
    from agentflow.cli.actions.explain import explain as do  # noqa: PLC0415  help must not pay for it

    return do(common, code)
