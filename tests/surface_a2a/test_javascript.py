"""The official JavaScript client at a real server: each scenario is a script of `tests/node/a2a` that asserts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.node.tools import HERE, Node
from tests.surface_a2a.served import MODES, WORKFLOWS, Mode, Server
from tests.surface_a2a.test_serving import ENV, TOKENS

SCENARIOS = sorted(path.stem for path in (HERE / "a2a").glob("*.mjs") if path.stem != "client")
LEFT_OUT = {
    ("JSONRPC", "0.3"): {"list"},  # 0.3 has no such operation
    ("HTTP+JSON", "0.3"): {"list", "card", "push", "stream"},  # this client has forms of its own for them, no proto's
}
SPOKEN = [mode for mode in MODES if mode.binding in ("JSONRPC", "HTTP+JSON")]
SHORT = {
    ("HTTP+JSON", "1.0"): {"push", "send", "stream", "waits"},
    ("JSONRPC", "0.3"): {"stream", "waits"},
    ("HTTP+JSON", "0.3"): {"waits"},
}
"""What the default suite tries, where it isn't all; the slow one tries the rest."""
CASES = [
    pytest.param(mode, name, marks=() if name in SHORT.get(mode, SCENARIOS) else pytest.mark.slow)
    for mode in SPOKEN
    for name in SCENARIOS
    if name not in LEFT_OUT.get(mode, ())
]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server for those who bring a token; it may push to this machine."""
    with TemporaryDirectory(prefix="af", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder), config=f"{WORKFLOWS}\npush: {{private: true}}\n{TOKENS}", env=ENV)
        try:
            yield made
        finally:
            made.end()


@pytest.mark.parametrize(
    ("mode", "scenario"), CASES, ids=lambda each: each if isinstance(each, str) else "-".join(each)
)
def test_the_javascript_client_is_served(guarded: Server, node: Node, scenario: str, mode: Mode) -> None:
    told = {"A2A_URL": guarded.url, "A2A_BINDING": mode.binding, "A2A_VERSION": mode.version, "A2A_TOKEN": "of ann"}
    done = subprocess.run(
        node.script(f"a2a/{scenario}.mjs"),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **told},
    )
    assert done.returncode == 0, done.stderr or done.stdout
