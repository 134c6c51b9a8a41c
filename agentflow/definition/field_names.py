"""How a model's fields are called in files."""

from __future__ import annotations

from pydantic.fields import FieldInfo


def written(name: str, info: FieldInfo) -> str:
    """Return the name of a model's field as YAML writes it: `with` for `with_`."""
    alias = info.alias or info.validation_alias
    return alias if isinstance(alias, str) else name
