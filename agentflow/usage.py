"""What calls of models use: tokens, and what they cost, to the last digit.

Costs are whole numbers of trillionths of the currency: sums of them are exact, in memory, in the store and in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, TypedDict, cast

DIGITS = 12
"""Digits behind the point that a cost has."""
MOST_COST = 10**6
"""Largest cost of one call."""
MOST_TOKENS = 10**12
"""Most tokens of one call."""
LONGEST_MODEL = 200
DEFAULT_CURRENCY = "USD"
UNNAMED = ""
"""Model of calls that didn't say theirs."""
_ONE = 10**DIGITS
_STEP = Decimal(1).scaleb(-DIGITS)
_MOST_STORED = 2**63 - 1
_DATED = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")
_NAMES = ("calls", "input_tokens", "output_tokens", "cached_tokens", "unpriced_calls")
_SIGNS = re.compile(r"[/:]")


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls have used. Sums of it are exact."""

    calls: int = 0
    """How many calls were told."""
    input_tokens: int = 0
    """Tokens that were sent, those from a cache included."""
    output_tokens: int = 0
    """Tokens that came back."""
    cached_tokens: int = 0
    """Of the input: those that were read from a cache."""
    parts: int = 0
    """What it has cost, in trillionths of the currency."""
    unpriced: int = 0
    """Calls with tokens whose cost nobody told, and for whose model the config has no price."""
    currency: str = field(default="", compare=False)
    """Of the cost."""

    @property
    def cost(self) -> Decimal:
        """What it has cost, as far as that is known."""
        return decimal_of(self.parts)

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def row(self) -> tuple[int, int, int, int, int, int]:
        """All of it as integers, in the order of the fields."""
        return (
            self.calls, self.input_tokens, self.output_tokens, self.cached_tokens, self.parts, self.unpriced
        )  # fmt: skip

    @property
    def data(self) -> dict[str, Any]:
        """As JSON says it: the cost is a text, as numbers of JSON lose digits."""
        found: dict[str, Any] = {
            "cost": text_of(self.parts), "currency": self.currency or DEFAULT_CURRENCY,
            "input_tokens": self.input_tokens, "output_tokens": self.output_tokens,
            "calls": self.calls,
        }  # fmt: skip
        if self.cached_tokens:
            found["cached_tokens"] = self.cached_tokens
        if self.unpriced:
            found["unpriced_calls"] = self.unpriced
        return found

    def __add__(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(*map(int.__add__, self.row, other.row), currency=self.currency or other.currency)

    def __sub__(self, other: Usage) -> Usage:
        """Return what this is more than the other."""
        return Usage(*map(int.__sub__, self.row, other.row), currency=self.currency)

    def __bool__(self) -> bool:
        """Tell whether anything was used."""
        return self.calls > 0

    @property
    def stored(self) -> Usage:
        """It, with no number that a store can't keep."""
        return (
            self
            if max(self.row) <= _MOST_STORED
            else Usage(*(min(each, _MOST_STORED) for each in self.row), currency=self.currency)
        )


class Told(TypedDict, total=False):
    """What a step tells of calls of a model."""

    model: str
    """Its name: prices of the config are found by it."""
    input_tokens: int
    """Tokens that were sent, those from a cache included."""
    output_tokens: int
    """Tokens that came back."""
    cached_tokens: int
    """Of the input: those that were read from a cache."""
    cost: Decimal | float | str | None
    """What it has cost, in the config's currency; without it, what the config's prices make of the tokens."""
    calls: int
    """How many calls these are the sums of; one, unless it is said."""


NOTHING: Final = Usage()
Models = Mapping[str, Usage]
"""What was used, by model."""


class Price(NamedTuple):
    """What a million tokens of a model cost, in trillionths of the currency."""

    input: int
    output: int
    cached: int | None = None
    """Of input that is read from a cache; None: as any input."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What tokens cost."""

    models: Mapping[str, Price] = field(default_factory=dict[str, Price])
    """By the name of the model."""
    currency: str = DEFAULT_CURRENCY


def cost_of(value: object) -> int:
    """Return a cost in trillionths; raises ValueError for what is none.

    A float counts as what it is written as: 0.1 is a tenth.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"a cost is a number, not {type(value).__name__}")
    try:
        amount = Decimal(str(value))
        if not amount.is_finite() or not 0 <= amount <= MOST_COST:
            raise ValueError(f"a cost is between 0 and {MOST_COST}, not {value}")
        return int(amount.quantize(_STEP, ROUND_HALF_EVEN).scaleb(DIGITS))
    except InvalidOperation:
        raise ValueError(f'a cost is a number, not "{value}"') from None


def decimal_of(parts: int) -> Decimal:
    """Return trillionths as a decimal number, all digits of it."""
    return Decimal(parts).scaleb(-DIGITS) if parts < 10**20 else Decimal(text_of(parts))


def text_of(parts: int) -> str:
    """Return trillionths as a decimal text without needless zeros."""
    whole, rest = divmod(parts, _ONE)
    return f"{whole}.{rest:0{DIGITS}d}".rstrip("0").rstrip(".") if rest else str(whole)


def tokens_of(value: object) -> int:
    """Return a number of tokens; raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        raise ValueError(f"a number of tokens is a whole number from 0 on, not {value!r}")
    return value


def price_for(prices: Mapping[str, Price], model: str) -> Price | None:
    """Return the price of a model: of its name, of the name without a date, or without the provider in front."""
    if not prices or not model:
        return None
    name = model
    while True:
        for each in (name, _DATED.sub("", name)):
            if each in prices:
                return prices[each]
        found = _SIGNS.search(name)
        if found is None:
            return None
        name = name[found.end() :]


def priced(price: Price, sent: int, received: int, cached: int) -> int:
    """Return what tokens cost, in trillionths; a rest below one is rounded to the next even."""
    cached = min(cached, sent)
    cheap = price.input if price.cached is None else price.cached
    total = (sent - cached) * price.input + cached * cheap + received * price.output
    whole, rest = divmod(total, 10**6)
    return whole + (rest > 500_000 or (rest == 500_000 and whole % 2 == 1))


def one_call(prices: Mapping[str, Price], model: str, sent: int, received: int, cached: int, cost: int | None) -> Usage:
    """Return what one call has used; its cost, if it wasn't told, is that of its tokens."""
    if cost is None and sent + received:
        price = price_for(prices, model)
        cost = priced(price, sent, received, cached) if price is not None else None
        return Usage(1, sent, received, cached, cost or 0, int(cost is None))
    return Usage(1, sent, received, cached, cost or 0)


def models_data(models: Models) -> dict[str, Any]:
    """Return what was used by model as JSON data."""
    return {"models": {name: list(used.row) for name, used in models.items()}}


def models_of(data: object) -> dict[str, Usage]:
    """Read what `models_data` writes; raises ValueError."""
    models = cast("Mapping[str, Any]", data).get("models") if isinstance(data, Mapping) else None
    if not isinstance(models, Mapping):
        raise ValueError("no usage")
    found: dict[str, Usage] = {}
    for name, row in cast("Mapping[Any, Any]", models).items():
        values = cast("list[Any]", row) if isinstance(row, list) else []
        if len(values) != 6 or not all(type(each) is int and each >= 0 for each in values):
            raise ValueError("no usage")
        found[str(name)] = Usage(*values)
    return found


def usage_of(data: object) -> Usage:
    """Read what `Usage.data` has told; nothing where it is none."""
    if not isinstance(data, Mapping):
        return NOTHING
    told = cast("Mapping[str, Any]", data)
    try:
        whole, _, rest = str(told.get("cost", "0")).partition(".")
        parts = int(whole) * _ONE + int(rest[:DIGITS].ljust(DIGITS, "0"))
        calls, sent, received, cached, unpriced = (int(told.get(name) or 0) for name in _NAMES)
        return Usage(calls, sent, received, cached, parts, unpriced, str(told.get("currency") or ""))
    except (TypeError, ValueError):
        return NOTHING
