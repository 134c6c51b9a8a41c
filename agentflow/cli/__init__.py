"""The command line. Importing it loads nothing: `main` does, and each command loads what it needs."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process and exit."""
    import sys  # noqa: PLC0415  importing this package should cost nothing

    from agentflow.cli.app import execute  # noqa: PLC0415

    code = execute(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or 1
    sys.exit(code)
