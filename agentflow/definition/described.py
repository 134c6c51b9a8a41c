"""What stands under the fields of our models becomes their descriptions in JSON Schema, when one is asked for.

Pydantic would read the source of each model whenever it is imported (`use_attribute_docstrings`): a fifth of the time
that `agentflow validate` takes.
"""

from __future__ import annotations

import ast
import inspect
import typing
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel


@cache
def described(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model whose fields, and those of the models inside of it, have their descriptions."""
    for each in _inside(model, set()):
        texts: dict[str, str] = {}
        for one in reversed(each.__mro__):
            if one is not BaseModel and issubclass(one, BaseModel):
                texts.update(_texts(one))
        missing = [name for name in texts.keys() & each.model_fields.keys() if not each.model_fields[name].description]
        for name in missing:
            each.model_fields[name].description = texts[name]
        each.model_rebuild(force=True)
    return model


def _inside(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Yield the models that a model's fields hold, and last itself: each is built of those before it."""
    if model in seen:
        return
    seen.add(model)
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            yield from _inside(inner, seen)
    yield model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models(part)


@cache
def _texts(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands under each field in a model's source."""
    try:
        source = dedent(inspect.getsource(model))
    except (OSError, TypeError):  # made while running
        return {}
    body = next((node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)), list[ast.stmt]())
    found: dict[str, str] = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[field.target.id] = inspect.cleandoc(value.value)
    return found
