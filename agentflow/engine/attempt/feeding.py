"""Values of `env` that are tokens of connections: until a step is executed a text stands for each, in its fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from agentflow.credentials import NotConnected
from agentflow.engine.attempt.ports import Port, Process
from agentflow.engine.authorising import scopes_of
from agentflow.engine.exchange import Attempt


async def fed(process: Process, port: Port, attempt: Attempt) -> Attempt:
    """Return an attempt with the tokens of its run's owner in its fields; raises NotConnected where there are none."""
    texts = list(_texts((attempt.config, attempt.values)))
    marks = [mark for mark in process.fed if any(mark in text for text in texts)]
    if not marks:
        return attempt
    tokens: dict[str, str] = {}
    for mark in marks:
        name = process.fed[mark]
        wanted = scopes_of(attempt.needs, name)
        try:
            found = await port.credentials(attempt, name, wanted, None)
        except NotConnected as lack:
            lack.service, lack.scopes = name, wanted or lack.scopes
            raise
        process.gate.learn(found)
        tokens[mark] = found.value
    return attempt._replace(config=_filled(attempt.config, tokens), values=_filled(attempt.values, tokens))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, Any]", value).items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[Any]", value):
            yield from _texts(item)


def _filled(value: Any, tokens: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for mark, token in tokens.items():
            value = value.replace(mark, token)
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {_filled(key, tokens): _filled(item, tokens) for key, item in items}
    if isinstance(value, list | tuple):
        return [_filled(item, tokens) for item in cast("list[Any]", value)]
    return value
