"""Measures what is served, over A2A and over MCP, beside the SDKs' own servers; prints the ratios.

    python benchmarks/served.py [--rounds 5] [--seconds 2] [--publish]

Exits with 1 when a ratio doesn't hold. `--publish` puts them into docs/explanation/benchmarks.json and its page.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import over_a2a
import over_mcp
import page
from verdict import Ratio, conclude

OURS = ("A2A", "MCP")
"""What the names of these ratios begin with."""


def measure(rounds: int, seconds: float) -> list[Ratio]:
    """Measure both; prints the figures."""
    servers = [over_a2a.ours(), *over_a2a.peers()]
    return [*over_a2a.measure(servers, rounds, seconds), *over_mcp.measure(rounds, seconds)]


def publish(ratios: Sequence[Ratio]) -> None:
    """Put ratios in the place of those of the last time."""
    summary = json.loads((page.DOCS / "benchmarks.json").read_text(encoding="utf-8"))
    others = [each for each in summary["ratios"] if not each["name"].startswith(OURS)]
    summary["ratios"] = [*others, *(each._asdict() | {"verdict": each.verdict} for each in ratios)]
    page.write(summary)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--publish", action="store_true", help="write docs/explanation/benchmarks.* with them")
    given = parser.parse_args()
    measured = measure(given.rounds, given.seconds)
    if given.publish:
        publish(measured)
    conclude(measured)
