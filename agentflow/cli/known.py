"""What a config defines, by name, for completion: read without checks, so it is quick and helps while it is edited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentflow.config.plain import find_config
from agentflow.data import is_array, is_object
from agentflow.errors import DefinitionError

_MOST = 100
"""So many included files are looked into."""


def workflows(file: str | None = None) -> dict[str, Mapping[str, Any]]:
    """Return the workflows of a config as they are written.

    Args:
        file: the config; default: the nearest.
    """
    path = Path(file) if file is not None else find_config()
    found: dict[str, Mapping[str, Any]] = {}
    files = [path] if path is not None else []
    for number, each in enumerate(files):
        data = _read(each)
        if "steps" in data and "workflows" not in data:
            name = data.get("id")
            found[name if isinstance(name, str) else each.stem] = data
        several = data.get("workflows")
        listed = several.items() if is_object(several) else _by_id(several)
        found.update((name, flow) for name, flow in listed if is_object(flow))
        included = data.get("include")
        patterns = [included] if isinstance(included, str) else included
        for pattern in patterns if is_array(patterns) and number == 0 else ():
            files += sorted(each.parent.glob(str(pattern)))[:_MOST]
    return found


def _read(path: Path) -> Mapping[str, Any]:
    from agentflow.definition.source import load_document  # noqa: PLC0415  not without a config

    try:
        data = load_document(path.read_text(encoding="utf-8"), str(path)).data
    except (OSError, ValueError, DefinitionError):
        return {}
    inner = data.get("definition") if is_object(data) else None
    if is_object(inner):  # a file of distri
        return {"id": data.get("name"), **inner}
    return data if is_object(data) else {}


def _by_id(several: Any) -> Iterator[tuple[str, Any]]:
    for flow in several if is_array(several) else ():
        if is_object(flow) and isinstance(flow.get("id"), str):
            yield flow["id"], flow


def entry_points(flow: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of a workflow's entry points."""
    points = flow.get("entry_points")
    for point in points if is_array(points) else ():
        if is_object(point) and isinstance(point.get("id"), str):
            yield point["id"]


def steps(flow: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield the addresses of a workflow's steps, nested ones after what holds them; those of hooks and cases apart."""
    listed = flow.get("steps")
    for step in listed if is_array(listed) else ():
        if not is_object(step) or not isinstance(step.get("id"), str):
            continue
        address = f"{before}{step['id']}"
        yield address
        yield from steps(step, f"{address}/")
        for name in ("if_true", "if_false", "default"):
            body = step.get(name)
            if is_array(body):
                yield from steps({"steps": body}, f"{address}/{name}/")
