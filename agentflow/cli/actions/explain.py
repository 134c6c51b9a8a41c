"""`explain`: what an error code means."""

from __future__ import annotations

from agentflow.cli.options import Common
from agentflow.codes import CODES, door
from agentflow.definition.suggest import nearest
from agentflow.errors import NotFoundError


def explain(common: Common, wanted: str) -> int:
    """Say what an error code means and what to do."""
    console = common.console()
    name = wanted.upper().strip("[]")
    name = name if name.startswith("AF-") else f"AF-{name}"
    code = CODES.get(name)
    if code is None:
        bare = name.removeprefix("AF-")  # what all have in common makes none of them near
        area = [known for known in CODES if known.startswith(f"AF-{bare}-")]
        near = area or [f"AF-{known}" for known in nearest(bare, [known.removeprefix("AF-") for known in CODES])]
        hint = f"did you mean {', '.join(near[:3])}?" if near else None
        raise NotFoundError(f'there is no code "{wanted}"', code="AF-CODE-UNKNOWN", hint=hint)
    told = door(name)
    if console.mode != "text":
        console.data(
            {"code": name, "category": code.category, "means": code.means, "fix": code.fix, "exit_code": told.exit_code}
            | {"http": told.http, "json_rpc": told.json_rpc}
        )
        return 0
    console.result(f"{name}: {code.means}")
    console.result(f"  fix:  {code.fix}")
    console.result(f"  exit code {told.exit_code}")
    return 0
