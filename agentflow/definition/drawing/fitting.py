"""Positions across: near to the neighbours, in the given order, with room for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_ROUNDS = 8
_STRAIGHT = 4.0
"""How much more a passing line wants to be straight than a node to be in the middle."""


class Sized(Protocol):
    """What has a width and a port."""

    @property
    def width(self) -> int:
        """Its width."""
        ...

    @property
    def height(self) -> int:
        """Its height; a line that passes has none."""
        ...

    @property
    def port(self) -> int:
        """Where its edges are, from its left."""
        ...


def _apart(left: Sized, right: Sized, across: int) -> int:
    return left.width - left.port + across + right.port


def packed(
    layers: Sequence[Sequence[int]], sizes: Sequence[Sized], above: Sequence[Sequence[int]], across: int
) -> list[int]:
    """Return positions as far left as may be: each below the first of its neighbours above, where there is room."""
    x = [0] * len(sizes)
    for layer in layers:
        before: int | None = None
        for item in layer:
            wanted = min((x[one] for one in above[item]), default=0)
            gap = across if before is not None and sizes[before].height else 1
            least = sizes[item].port if before is None else x[before] + _apart(sizes[before], sizes[item], gap)
            x[item] = max(wanted, least)
            before = item
    return x


def fitted(
    layers: Sequence[Sequence[int]],
    sizes: Sequence[Sized],
    above: Sequence[Sequence[int]],
    below: Sequence[Sequence[int]],
    across: int,
    nodes: int,
) -> list[int]:
    """Return positions in the middle of the neighbours above and below, as near as order and distances let them.

    Args:
        layers: items in their order.
        sizes: of all items.
        above: each item's neighbours in the layer above.
        below: and in the one below.
        across: the distance between neighbours in a layer.
        nodes: items from this number on are lines that pass.
    """
    x = [0.0] * len(sizes)
    weights = [1.0 if item < nodes else _STRAIGHT for item in range(len(sizes))]
    for layer in layers:
        _place(layer, [0.0] * len(layer), weights, sizes, across, x)
    for number in range(_ROUNDS):
        sides = (above, below, None)[number % 3] if number < _ROUNDS - 2 else None
        for layer in layers if number % 2 == 0 else reversed(layers):
            wanted: list[float] = []
            for item in layer:
                near = sides[item] if sides is not None else [*above[item], *below[item]]
                wanted.append(sum(x[one] for one in near) / len(near) if near else x[item])
            _place(layer, wanted, weights, sizes, across, x)
    return _rounded(layers, sizes, across, x)


def _place(
    layer: Sequence[int],
    wanted: Sequence[float],
    weights: Sequence[float],
    sizes: Sequence[Sized],
    across: int,
    x: list[float],
) -> None:
    """Set the positions of a layer nearest to what is wanted: an isotonic regression, by pooling neighbours."""
    offsets: list[float] = []
    for number, item in enumerate(layer):
        before = offsets[-1] + _apart(sizes[layer[number - 1]], sizes[item], across) if number else 0.0
        offsets.append(before)
    pools: list[tuple[float, float, int]] = []
    for item, want, offset in zip(layer, wanted, offsets, strict=True):
        mean, weight, count = want - offset, weights[item], 1
        while pools and pools[-1][0] > mean:
            other, more, several = pools.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, count = weight + more, count + several
        pools.append((mean, weight, count))
    number = 0
    for mean, _, count in pools:
        for _ in range(count):
            x[layer[number]] = mean + offsets[number]
            number += 1


def _rounded(layers: Sequence[Sequence[int]], sizes: Sequence[Sized], across: int, x: Sequence[float]) -> list[int]:
    found = [0] * len(sizes)
    for layer in layers:
        for number, item in enumerate(layer):
            found[item] = round(x[item])
            if number:
                before = layer[number - 1]
                found[item] = max(found[item], found[before] + _apart(sizes[before], sizes[item], across))
    return found
