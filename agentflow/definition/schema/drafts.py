"""The drafts of JSON Schema that the config's schema is written in."""

from __future__ import annotations

from typing import Any, Literal

from agentflow.data import is_array, is_object

Draft = Literal["2020-12", "draft-07"]
SCHEMAS: dict[Draft, str] = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft-07": "http://json-schema.org/draft-07/schema#",
}


def draft7(schema: Any) -> Any:
    """Rewrite a schema of 2020-12 as one of draft 7."""
    if is_array(schema):
        return [draft7(item) for item in schema]
    if not is_object(schema):
        return schema.replace("#/$defs/", "#/definitions/") if isinstance(schema, str) else schema
    result: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "prefixItems":
            result["items"] = draft7(value)
        elif name == "$ref" and len(schema) > 1:
            result["allOf"] = [{"$ref": draft7(value)}]  # draft 7 ignores what stands beside a $ref
        else:
            result["definitions" if name == "$defs" else name] = draft7(value)
    return result
