"""Places the nodes of a graph without circles in layers, and leads its edges between them by right angles.

Edges that leave the same node, or come to the same one, share their way as far as they can (a net): a fork and a join
are a comb each, and what shares a line really has an end in common. Inside a layer the order follows the neighbours'
(the barycentre method); positions are the least squares fit to the neighbours' that keeps the order and the distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agentflow.definition.drawing.fitting import fitted, packed
from agentflow.definition.drawing.tracks import Span, assign

Point = tuple[int, int]

_FAR = 16
"""An edge over so many layers runs beside all of them."""
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Size:
    """How much room a node takes."""

    width: int
    height: int
    port: int
    """Where edges come in and go out, from its left."""
    out: int
    """Where they go out, from its top."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Distances."""

    across: int
    """Between neighbours in a layer."""
    down: int
    """Between layers, at least."""
    track: int
    """Between lines that run across in one gap."""
    line: int
    """What a line takes that passes a layer."""
    widest: int
    """A layer takes no more nodes than fit into this."""
    centred: bool = True
    """Nodes stand in the middle of their neighbours, or below the first of them."""


@dataclass(slots=True)
class Layout:
    """Where everything is."""

    places: list[Point]
    """The upper left corners of the nodes."""
    routes: list[tuple[Point, ...]]
    """The corners of each edge's way, from its source to its target."""
    width: int
    height: int


@dataclass(slots=True)
class _Net:
    """Edges with an end in common, and the items that they pass."""

    first: int
    last: int
    """Layers of its ends."""
    passing: dict[int, int] = field(default_factory=dict[int, int])
    """Layer → the item that stands for the line there."""
    lane: int | None = None
    """Beside all layers: which lane."""
    uppers: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """Gap → items above it that belong to the net; a gap has the number of the layer above."""
    lowers: dict[int, list[int]] = field(default_factory=dict[int, list[int]])


def lay_out(sizes: Sequence[Size], edges: Sequence[tuple[int, int]], gaps: Gaps) -> Layout:
    """Place nodes and edges.

    Args:
        sizes: the nodes.
        edges: pairs of their numbers; without circles.
        gaps: distances.
    """
    return _Layering(sizes, edges, gaps).layout()


class _Layering:
    def __init__(self, sizes: Sequence[Size], edges: Sequence[tuple[int, int]], gaps: Gaps) -> None:
        self.sizes = list(sizes)
        self.edges = edges
        self.gaps = gaps
        self.count = len(sizes)
        self.successors: list[list[int]] = [[] for _ in sizes]
        self.predecessors: list[list[int]] = [[] for _ in sizes]
        for source, target in dict.fromkeys(edges):
            self.successors[source].append(target)
            self.predecessors[target].append(source)
        self.rank = self._ranks()
        self.layers: list[list[int]] = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for node, rank in enumerate(self.rank):
            self.layers[rank].append(node)
        self.nets: dict[tuple[bool, int], _Net] = {}
        self.of_edge = [self._net_of(*edge) for edge in edges]
        self._pass()
        self.x: list[int] = []

    def layout(self) -> Layout:
        self._sort()
        self.x = self._positions()
        right = max((x + size.width - size.port for x, size in zip(self.x, self.sizes, strict=True)), default=0)
        left = min((x - size.port for x, size in zip(self.x, self.sizes, strict=True)), default=0)
        self.x = [x - left for x in self.x]
        width, lanes = right - left, self._lanes()
        tops, tracks, height = self._heights(width)
        places = [(self.x[n] - self.sizes[n].port, tops[self.rank[n]]) for n in range(self.count)]
        routes = [
            self._route(edge, self.nets[key], key, width, tops, tracks)
            for edge, key in zip(self.edges, self.of_edge, strict=True)
        ]
        return Layout(places, routes, width + lanes * (self.gaps.line + self.gaps.across), height)

    def _ranks(self) -> list[int]:
        """Return each node's layer: below all that it waits for, where there is still room."""
        rank, room = [0] * self.count, dict[int, int]()
        waiting = [len(before) for before in self.predecessors]
        ready = [node for node in range(self.count) if not waiting[node]]
        for node in ready:
            here = max((rank[one] + 1 for one in self.predecessors[node]), default=0)
            wide = self.sizes[node].width + self.gaps.across
            while here in room and room[here] + wide > self.gaps.widest:
                here += 1
            room[here] = room.get(here, 0) + wide
            rank[node] = here
            for follower in self.successors[node]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
        return rank

    def _net_of(self, source: int, target: int) -> tuple[bool, int]:
        by_source = len(self.successors[source]) >= len(self.predecessors[target])
        key = (by_source, source if by_source else target)
        net = self.nets.get(key)
        if net is None:
            net = self.nets[key] = _Net(self.rank[source], self.rank[target])
        net.first, net.last = min(net.first, self.rank[source]), max(net.last, self.rank[target])
        return key

    def _pass(self) -> None:
        """Give long nets an item in each layer that they pass, and tell which items they join in each gap."""
        for (by_source, end), net in self.nets.items():
            far = net.last - net.first > _FAR
            for layer in range(net.first + 1, net.last) if not far else ():
                net.passing[layer] = len(self.sizes)
                here = self.layers[layer]
                here.insert(len(here) // 2, len(self.sizes))  # in the middle: rows of a wide fork stay below each other
                self.sizes.append(Size(self.gaps.line, 0, self.gaps.line // 2, 0))
            if far:
                net.lane = 0
            if by_source:
                net.uppers[net.first] = [end]
            else:
                net.lowers[net.last - 1] = [end]
            for layer, item in net.passing.items():
                net.lowers.setdefault(layer - 1, []).append(item)
                net.uppers.setdefault(layer, []).append(item)
        for (source, target), key in dict(zip(self.edges, self.of_edge, strict=True)).items():
            by_source, net = key[0], self.nets[key]
            if by_source:
                net.lowers.setdefault(self.rank[target] - 1, []).append(target)
            else:
                net.uppers.setdefault(self.rank[source], []).append(source)

    def _links(self) -> Iterator[tuple[int, int]]:
        """Yield which items are neighbours in layers that follow each other."""
        for net in self.nets.values():
            for gap, uppers in net.uppers.items():
                for lower in net.lowers.get(gap, ()):
                    yield from ((upper, lower) for upper in uppers)

    def _neighbours(self) -> tuple[list[list[int]], list[list[int]]]:
        above: list[list[int]] = [[] for _ in self.sizes]
        below: list[list[int]] = [[] for _ in self.sizes]
        for upper, lower in self._links():
            above[lower].append(upper)
            below[upper].append(lower)
        return above, below

    def _sort(self) -> None:
        """Order each layer by where its neighbours stand; of all orders tried the one that crosses least is kept."""
        above, below = self._neighbours()
        best, least = [list(layer) for layer in self.layers], self._crossings(below)
        for sweep in range(_SWEEPS):
            if not least:
                break
            sides, layers = (above, self.layers[1:]) if sweep % 2 == 0 else (below, self.layers[-2::-1])
            place = {item: number for layer in self.layers for number, item in enumerate(layer)}
            for layer in layers:
                mean = {
                    item: sum(place[one] for one in sides[item]) / len(sides[item]) if sides[item] else place[item]
                    for item in layer
                }
                layer.sort(key=mean.__getitem__)
                place.update((item, number) for number, item in enumerate(layer))
            found = self._crossings(below)
            if found < least:
                best, least = [list(layer) for layer in self.layers], found
        self.layers = best

    def _crossings(self, below: list[list[int]]) -> int:
        from bisect import bisect_right, insort  # noqa: PLC0415  beside its only use

        place = {item: number for layer in self.layers for number, item in enumerate(layer)}
        count = 0
        for layer in self.layers:
            seen: list[int] = []
            for item in layer:
                ends = sorted(place[one] for one in below[item])
                count += sum(len(seen) - bisect_right(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return count

    def _positions(self) -> list[int]:
        """Return where each item's port is across."""
        above, below = self._neighbours()
        if not self.gaps.centred:
            # lines that pass run on the left, where they don't push nodes out of the picture
            self.layers = [sorted(layer, key=lambda item: item < self.count) for layer in self.layers]
            return packed(self.layers, self.sizes, above, self.gaps.across)
        return fitted(self.layers, self.sizes, above, below, self.gaps.across, self.count)

    def _lanes(self) -> int:
        """Give nets that run beside the layers a lane each, which those share that aren't beside each other."""
        ends: list[int] = []
        for net in sorted((net for net in self.nets.values() if net.lane is not None), key=lambda net: net.first):
            free = next((number for number, end in enumerate(ends) if end < net.first), len(ends))
            ends[free : free + 1] = [net.last]
            net.lane = free
        return len(ends)

    def _lane(self, net: _Net, width: int) -> int:
        return width + self.gaps.across + (net.lane or 0) * (self.gaps.line + self.gaps.across)

    def _heights(self, width: int) -> tuple[list[int], dict[tuple[int, tuple[bool, int]], int], int]:
        """Return the layers' tops, where each net runs across in each gap, and the whole height."""
        tops: list[int] = []
        tracks: dict[tuple[int, tuple[bool, int]], int] = {}
        spans: list[dict[tuple[bool, int], Span]] = [{} for _ in self.layers]
        for key, net in self.nets.items():
            for gap in sorted({*net.uppers, *net.lowers}):
                uppers = [self.x[item] for item in net.uppers.get(gap, ())]
                lowers = [self.x[item] for item in net.lowers.get(gap, ())]
                if net.lane is not None:
                    (lowers if uppers and not lowers else uppers).append(self._lane(net, width))
                spans[gap][key] = Span(tuple(uppers), tuple(lowers))
        y = 0
        for number, layer in enumerate(self.layers):
            tops.append(y)
            y += max(self.sizes[item].height for item in layer)
            if number == len(self.layers) - 1:
                break
            numbers, several = assign(spans[number])
            room = max(self.gaps.down, (several + 1) * self.gaps.track if self.gaps.centred else several)
            start = y + (room - (several - 1) * self.gaps.track) // 2 if self.gaps.centred else y + room - several
            for key, track in numbers.items():
                tracks[number, key] = start + track * self.gaps.track
            y += room
        return tops, tracks, y

    def _route(
        self,
        edge: tuple[int, int],
        net: _Net,
        key: tuple[bool, int],
        width: int,
        tops: list[int],
        tracks: dict[tuple[int, tuple[bool, int]], int],
    ) -> tuple[Point, ...]:
        source, target = edge
        x, first, last = self.x[source], self.rank[source], self.rank[target]
        points: list[Point] = [(x, tops[first] + self.sizes[source].out)]
        for gap in range(first, last):
            if net.lane is not None and last - first > 1:
                following = self._lane(net, width) if gap < last - 1 else self.x[target]
            else:
                following = self.x[target] if gap == last - 1 else self.x[net.passing[gap + 1]]
            if following != x:
                across = tracks[gap, key]
                points += [(x, across), (following, across)]
                x = following
        points.append((x, tops[last]))
        return tuple(points)
