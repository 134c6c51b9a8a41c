"""How an extra gets into the environment that this process runs in: by which program, and from where agentflow came."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAME = "agentflow-workflows"


def installing(*extras: str) -> str:
    """Return the command that adds extras to this environment, to be pasted."""
    return shlex.join([*_program(), *_source(f"[{','.join(extras)}]")])


def _program() -> list[str]:
    if find_spec("pip") is None:
        return ["uv", "pip", "install", "--python", sys.executable]
    found = shutil.which("pip")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return ["pip", "install"]
    return [sys.executable, "-m", "pip", "install"]


def _source(wanted: str) -> list[str]:
    """Return what is installed anew with what is wanted: the folder, archive or repository that it was, or its name."""
    origin = _origin()
    url = str(origin.get("url", ""))
    match origin:
        case {"dir_info": folder} if url.startswith("file:"):
            from urllib.parse import urlsplit  # noqa: PLC0415  only who lacks something pays for it
            from urllib.request import url2pathname  # noqa: PLC0415

            place = url2pathname(urlsplit(url).path) + wanted
            return ["-e", place] if folder.get("editable") else [place]
        case {"vcs_info": {"vcs": vcs, "commit_id": commit}}:
            return [f"{NAME}{wanted} @ {vcs}+{url}@{commit}"]
        case {"archive_info": _}:
            return [f"{NAME}{wanted} @ {url}"]
        case _:
            return [NAME + wanted]


def _origin() -> Mapping[str, Any]:
    """Return what installers keep of where a package came from (PEP 610); empty if it came from an index."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415  costs its import

    try:
        return json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
