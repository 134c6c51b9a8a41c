"""Reads the definitions that runs were started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow.data import decode
from agentflow.definition.models import Workflow
from agentflow.definition.parse import parse_workflow
from agentflow.definition.types import TypeLookup
from agentflow.errors import StoreError

if TYPE_CHECKING:
    from agentflow.store.contract import Readable


async def workflow_of(store: Readable, digest: str, types: TypeLookup) -> Workflow:
    """Return the workflow of a stored definition; raises StoreError when it can't be read."""
    raw = await store.get_definition(digest)
    if raw is None:
        raise StoreError(f"the definition {digest} of a run isn't in the store", code="AF-STORE-DAMAGED")
    return parse_stored(types, decode(raw))


def parse_stored(types: TypeLookup, data: Any) -> Workflow:
    """Return the workflow of a stored definition's data; raises StoreError when it can't be read."""
    parsed = parse_workflow(data, types)
    if parsed.workflow is None or any(problem.severity == "error" for problem in parsed.problems):
        problems = "; ".join(problem.message for problem in parsed.problems)
        raise StoreError(f"a stored definition can't be read: {problems}", code="AF-STORE-DAMAGED")
    return parsed.workflow
