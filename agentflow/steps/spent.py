"""Reads what calls of models have used from what they return, and tells it the run.

Only the shapes of the data count, no SDK is imported: results of OpenAI (chat completions, responses), Anthropic
(messages), pydantic-ai, LangChain and LangGraph, and openai-agents; and the metadata of remote agents and tools.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from agentflow.data import is_array, is_object
from agentflow.errors import StepError
from agentflow.steps.contract import Context
from agentflow.usage import MOST_TOKENS, cost_of

OURS = ("urn:agentflow:a2a:tasks:v1", "agentflow/usage")
"""Where agents and tools that are agentflow tell what their runs have used."""
_PLAIN = frozenset({str, int, float, bool, bytes, list, type(None)})
_KEYS = frozenset({"messages", "usage_metadata", "context_wrapper", "all_messages", "usage"})
"""An object of JSON that says anything has one of these."""
_OBJECTS = frozenset({"chat.completion", "response", "message"})
_REPORTS = ("usage", "usage_metadata", "usageMetadata", "adk_usage_metadata")
_SENT = ("input_tokens", "inputTokens", "prompt_tokens", "promptTokens", "promptTokenCount", "prompt_token_count")
_RECEIVED = (
    "output_tokens", "outputTokens", "completion_tokens", "completionTokens", "candidatesTokenCount",
    "candidates_token_count",
)  # fmt: skip
_CACHED = (
    "cached_tokens", "cachedTokens", "cache_read_input_tokens", "cachedContentTokenCount", "cached_content_token_count",
)  # fmt: skip
_COST = ("cost", "total_cost", "totalCost", "cost_usd")
_MOST_MESSAGES = 1000


class Call(NamedTuple):
    """What one call, or several of one model, have used."""

    model: str
    sent: int
    received: int
    cached: int = 0
    calls: int = 1
    cost: str | None = None


def tell_found(ctx: Context, value: object) -> None:
    """Tell the run what a returned value says of usage, unless the step's code has told that itself."""
    if type(value) in _PLAIN or (is_object(value) and value.keys().isdisjoint(_KEYS)) or ctx.told_usage:
        return
    _tell(ctx, calls_in(value))


def tell_reported(ctx: Context, metadata: object) -> None:
    """Tell the run what the metadata of a remote agent or tool says of usage."""
    if is_object(metadata) and metadata:
        _tell(ctx, reported(metadata, ctx.services.prices.currency))


def _tell(ctx: Context, calls: Iterator[Call]) -> None:
    for call in calls:
        try:
            ctx.usage(
                model=call.model, input_tokens=call.sent, output_tokens=call.received, cached_tokens=call.cached,
                cost=call.cost, calls=call.calls,
            )  # fmt: skip
        except StepError:  # somebody else's numbers: none of them fails a step that has its result
            continue


def calls_in(value: object) -> Iterator[Call]:
    """Yield what a returned value says of usage."""
    if type(value) in _PLAIN:
        return
    messages = value.get("messages") if is_object(value) else None
    if is_array(messages):
        yield from _of_turn(messages)
        return
    found = _langchain(value) or _agents(value) or _pydantic_ai(value) or _response(value)
    if found is not None:
        yield found


def reported(metadata: Mapping[str, Any], currency: str) -> Iterator[Call]:
    """Yield what metadata says of usage. A cost in another currency is none here."""
    for name in OURS:
        told = metadata.get(name)
        inner = told.get("usage") if is_object(told) and "usage" in told else told
        if is_object(inner) and "cost" in inner and "calls" in inner:
            yield from _ours(inner, currency)
            return
    for name in _REPORTS:
        told = metadata.get(name)
        if is_object(told):
            model = told.get("model") or metadata.get("model")
            sent, received, cached = (_first(told, names) for names in (_SENT, _RECEIVED, _CACHED))
            cost = _cost(told, currency)
            if sent or received or cost is not None:
                yield Call(model if isinstance(model, str) else "", sent, received, min(cached, sent), cost=cost)
                return


def _ours(told: Mapping[str, Any], currency: str) -> Iterator[Call]:
    calls = _count(told.get("calls"))
    if calls:
        sent, received, cached = (_count(told.get(n)) for n in ("input_tokens", "output_tokens", "cached_tokens"))
        unpriced = _count(told.get("unpriced_calls"))
        cost = None if unpriced == calls else _cost(told, currency)
        yield Call("", sent, received, cached, calls, cost)


def _cost(told: Mapping[str, Any], currency: str) -> str | None:
    if told.get("currency", currency) != currency:
        return None
    for name in _COST:
        if told.get(name) is not None:
            try:
                cost_of(told[name])
            except ValueError:
                continue
            return str(told[name])
    return None


def _of_turn(messages: list[Any]) -> Iterator[Call]:
    """Yield the calls of a LangGraph state: those after the last message of a person, the others were there before."""
    turn: list[Call] = []
    for message in reversed(messages[-_MOST_MESSAGES:]):
        if _get(message, "type") == "human" or _get(message, "role") == "user":
            break
        found = _langchain(message)
        if found is not None:
            turn.append(found)
    yield from reversed(turn)


def _langchain(value: object) -> Call | None:
    used = _get(value, "usage_metadata")
    if not is_object(used) or "input_tokens" not in used:
        return None
    details, about = used.get("input_token_details"), _get(value, "response_metadata")
    about = about if is_object(about) else {}
    model = about.get("model_name") or about.get("model")
    return _call(model, used, cached=_get(details, "cache_read"))


def _agents(value: object) -> Call | None:
    """Read a result of openai-agents: it sums its requests, and names a model where its agent does."""
    used = _get(_get(value, "context_wrapper"), "usage")
    if used is None:
        return None
    model = _get(_get(value, "last_agent"), "model")
    found = _call(model, used, cached=_get(_get(used, "input_tokens_details"), "cached_tokens"))
    return None if found is None else found._replace(calls=max(_count(_get(used, "requests")), 1))


def _pydantic_ai(value: object) -> Call | None:
    if _get(value, "all_messages") is None:
        return None
    used = _get(value, "usage")
    used = cast("Any", used)() if callable(used) and _get(used, "input_tokens") is None else used
    found = _call(_get(_get(value, "response"), "model_name"), used, cached=_get(used, "cache_read_tokens"))
    return None if found is None else found._replace(calls=max(_count(_get(used, "requests")), 1))


def _response(value: object) -> Call | None:
    """Read an answer of OpenAI's or Anthropic's."""
    used = _get(value, "usage")
    kind = _get(value, "object") or _get(value, "type")
    if used is None or kind not in _OBJECTS:
        return None
    model = _get(value, "model")
    if _get(used, "prompt_tokens") is not None:
        sent, received = _count(_get(used, "prompt_tokens")), _count(_get(used, "completion_tokens"))
        cached = _count(_get(_get(used, "prompt_tokens_details"), "cached_tokens"))
        return Call(model if isinstance(model, str) else "", sent, received, min(cached, sent))
    read = _count(_get(used, "cache_read_input_tokens"))
    written = _count(_get(used, "cache_creation_input_tokens"))
    if kind == "message":  # Anthropic counts what goes through its cache apart
        sent = _count(_get(used, "input_tokens")) + read + written
        return Call(model if isinstance(model, str) else "", sent, _count(_get(used, "output_tokens")), read)
    return _call(model, used, cached=_get(_get(used, "input_tokens_details"), "cached_tokens"))


def _call(model: object, used: object, *, cached: object) -> Call | None:
    sent, received = _count(_get(used, "input_tokens")), _count(_get(used, "output_tokens"))
    if not sent and not received:
        return None
    return Call(model if isinstance(model, str) else "", sent, received, min(_count(cached), sent))


def _get(value: object, name: str) -> Any:
    """Return a key of an object of JSON, or an attribute; None where that is missing, or raises."""
    if is_object(value):
        return value.get(name)
    if value is None or type(value) in _PLAIN:
        return None
    try:
        return getattr(value, name, None)
    except Exception:  # a property of the user's may raise anything
        return None


def _first(told: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((count for name in names if (count := _count(told.get(name)))), 0)


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value <= MOST_TOKENS else 0
