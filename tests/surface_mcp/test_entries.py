"""What clients are to be told stands in the README and in the docs as the commands print it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

from agentflow_mcp.entries import over_http, over_streams
from tests.cli.forks import COMMAND
from tests.surface_mcp.served import Shop

ROOT = Path(__file__).parents[2]


def shown(page: str) -> list[str]:
    """Return the entries that a page shows."""
    [block] = re.findall(r"```text\n(Claude Code.*?)\n```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    return block.splitlines()


def test_the_readme_shows_what_serve_prints(shop: Shop) -> None:
    command = [COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=shop.folder, env=shop.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        printed: list[str] = []
        while not printed or not printed[-1].startswith("Cursor"):
            line = server.stdout.readline()
            assert line, printed
            printed.append(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8745", line.strip()))
        server.send_signal(signal.SIGTERM)
        server.stdout.read()
    assert printed[-3:] == shown("README.md")


def test_the_docs_show_what_print_config_prints(shop: Shop) -> None:
    done = subprocess.run(
        [COMMAND, "mcp", "--print-config"], cwd=shop.folder, env=shop.environ, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    printed = done.stdout.replace(COMMAND, "/path/to/agentflow").replace(str(shop.folder), "/path/to")
    assert printed.splitlines() == shown("docs/reference/mcp.md")


def test_entries_are_valid_where_they_are_pasted() -> None:
    shell, code, cursor = over_http("My shop: café", "https://shop.example/mcp", tokens=True)
    assert shlex.split(shell.text)[-2:] == ["--header", "Authorization: Bearer TOKEN"]
    told = {"url": "https://shop.example/mcp", "headers": {"Authorization": "Bearer TOKEN"}}
    assert json.loads(code.text) == {"servers": {"My-shop-caf": {"type": "http", **told}}}
    assert json.loads(cursor.text) == {"mcpServers": {"My-shop-caf": told}}
    shell, _, cursor = over_streams("!", "/my tools/agentflow", ["mcp", "/a b.yaml"])
    assert shlex.split(shell.text) == [
        "claude",
        "mcp",
        "add",
        "agentflow",
        "--",
        "/my tools/agentflow",
        "mcp",
        "/a b.yaml",
    ]
    assert json.loads(cursor.text)["mcpServers"]["agentflow"]["args"] == ["mcp", "/a b.yaml"]
