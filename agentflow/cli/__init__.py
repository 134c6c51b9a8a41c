"""The command line. Importing it loads nothing: `main` does, and each command loads what it needs."""

from __future__ import annotations

RARE = (30_000, 10, 10)
"""When the garbage collector looks: what a command loads stays until its end, so each look finds nothing."""


def main() -> None:
    """Run the command line of this process and exit."""
    import gc  # noqa: PLC0415  importing this package should cost nothing
    import sys  # noqa: PLC0415

    gc.set_threshold(*RARE)

    from agentflow.cli.app import command  # noqa: PLC0415
    from agentflow.cli.streams import take  # noqa: PLC0415

    code = command(take(), sys.argv[1:])
    gc.freeze()  # the interpreter walks all that lives once more on its way out, in vain
    sys.exit(code)
