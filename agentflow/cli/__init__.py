"""The command line. Importing it loads nothing: `main` does, and each command loads what it needs."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process and exit."""
    import sys  # noqa: PLC0415  importing this package should cost nothing

    from agentflow.cli.app import command  # noqa: PLC0415
    from agentflow.cli.streams import take  # noqa: PLC0415

    sys.exit(command(take(), sys.argv[1:]))
