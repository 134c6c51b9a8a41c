"""`run`, `validate`, `workflows`, `graph`, `schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from agentflow.cli import options
from agentflow.cli.complete import entry_points, graph_formats
from agentflow.cli.complete import workflows as known

Workflow = Annotated[
    str | None,
    typer.Argument(metavar="[WORKFLOW]", help="Its id, or a file, or file.yaml:id.", autocompletion=known),
]


@options.shared("config", "store", "json", "jsonl", "quiet", "no_color")
def run(
    common: options.Common,
    workflow: Workflow = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-i", metavar="KEY=VALUE", help="One input; repeat it. @file: all.")
    ] = None,
    input_json: Annotated[
        str | None, typer.Option("--input-json", metavar="JSON", help="All input; @file or - reads it.")
    ] = None,
    entry_point: Annotated[
        str | None,
        typer.Option("--entry-point", "-e", metavar="ID", help="Where to start.", autocompletion=entry_points),
    ] = None,
    answers: options.Answers = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; repeat it.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", metavar="KEY", help="The same key again is the same run.")
    ] = None,
    timeout: options.Timeout = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay while it waits for an answer from elsewhere.")] = False,
    no_ask: options.NoAsk = False,
    cancel_on_interrupt: options.Interrupt = False,
) -> int:
    """Start a workflow and follow it to its end.

    \f
    agentflow run
    agentflow run report --input region=emea
    agentflow run flow.yaml --input-json @input.json --json
    agentflow run report --answer review=@answer.json < /dev/null
    """
    from agentflow.cli.actions.start import Start, start  # noqa: PLC0415  help must not pay for it

    wanted = Start(
        workflow=workflow,
        inputs=tuple(inputs or ()),
        input_json=input_json,
        entry_point=entry_point,
        answers=tuple(answers or ()),
        labels=tuple(labels or ()),
        key=key,
        timeout=timeout,
        wait=wait,
        ask=not no_ask,
        cancel_on_interrupt=cancel_on_interrupt,
    )
    return start(common, wanted)


@options.shared("config", "json", "no_color")
def validate(
    common: options.Common,
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Files; - reads stdin.")] = None,
    shape: Annotated[str, typer.Option("--format", help="text, json, github or sarif.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever a file changes.")] = False,
    online: Annotated[
        bool,
        typer.Option("--online", help="Ask the servers of `tools` and `agents`, too: do these exist, do inputs fit."),
    ] = False,
    no_import: Annotated[
        bool, typer.Option("--no-import", help="Import no Python modules: functions stay unchecked.")
    ] = False,
) -> int:
    """Check a config and its workflows; all problems at once.

    \f
    agentflow validate
    agentflow validate flows/*.yaml --format github
    agentflow validate --online
    """
    from agentflow.cli.actions.definitions import validate as do  # noqa: PLC0415  help must not pay for it

    shape = "json" if common.json else shape
    return do(common, list(files or ()), shape, strict=strict, watch=watch, online=online, imports=not no_import)


@options.shared("config", "store", "json", "no_color")
def workflows(
    common: options.Common,
) -> int:
    """List the workflows with their inputs and last runs.

    \f
    agentflow workflows
    agentflow workflows --json | jq -r '.workflows[].id'
    """
    from agentflow.cli.actions.workflows import list_workflows as do  # noqa: PLC0415  help must not pay for it

    return do(common)


@options.shared("config", "json", "no_color")
def graph(
    common: options.Common,
    workflow: Workflow = None,
    shape: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="text, svg, mermaid, dot or json.", autocompletion=graph_formats
        ),
    ] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.")] = None,
) -> int:
    """Draw a workflow: here, as SVG, Mermaid or DOT.

    \f
    agentflow graph report
    agentflow graph report -o report.svg
    agentflow graph report --format mermaid
    """
    from agentflow.cli.actions.graph import graph as do  # noqa: PLC0415  help must not pay for it

    return do(common, workflow, "json" if common.json else shape, output)


@options.shared("config", "no_color")
def schema(
    common: options.Common,
    workflow: Annotated[
        str | None,
        typer.Argument(
            metavar="[WORKFLOW]", help="A workflow: its input's. With --write: a FILE.json.", autocompletion=known
        ),
    ] = None,
    draft: Annotated[
        str, typer.Option("--draft", metavar="DRAFT", help="2020-12, or 7 for older editors.")
    ] = "2020-12",
    write: Annotated[bool, typer.Option("--write", help="Write it beside the config, where editors look.")] = False,
) -> int:
    """Print the JSON Schema of the config, or of an input.

    \f
    agentflow schema --write
    agentflow schema --draft 7 --write editors/agentflow.json
    agentflow schema report
    """
    from agentflow.cli.actions.schema import schema as do  # noqa: PLC0415  help must not pay for it

    return do(common, workflow, draft, write=write)
