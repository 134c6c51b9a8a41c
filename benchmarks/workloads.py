"""The workloads: the same steps, edges and payloads for every system. Standard library only: peers import it too."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

WIDTH = 100
"""Steps of a layer of the graph."""
PER_RUN = 3
"""Steps of each of the many runs."""
TEXT = 10_000
"""Bytes that each step of `ctx` adds."""
MAX_PARALLEL = 50
"""How many items of `for_each` are under way at once."""

SIZES = {"chain": 100, "fan": 100, "runs": 1_000, "dag10k": 100, "ctx": 200, "for_each": 10_000, "while": 10_000}
"""Workload → what `scale` multiplies: steps, branches, runs, layers, steps, items, iterations."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step of a run: `index` is its place in `Workload.nodes` and the number in its result."""

    index: int
    id: str
    after: tuple[int, ...]


@dataclass(frozen=True)
class Workload:
    """What is to be done; `size` is the scaled number of `SIZES`."""

    name: str
    size: int
    scale: float

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The steps of one run with the indexes they depend on, in an order that respects that; of loops none."""
        if self.name in {"chain", "ctx", "runs"}:
            count = PER_RUN if self.name == "runs" else self.size
            return tuple(Node(n, f"s{n}", (n - 1,) if n else ()) for n in range(count))
        if self.name == "fan":
            branches = tuple(range(1, self.size + 1))
            middle = tuple(Node(n, f"s{n}", (0,)) for n in branches)
            return (Node(0, "s0", ()), *middle, Node(self.size + 1, f"s{self.size + 1}", branches))
        if self.name == "dag10k":
            return tuple(Node(n, f"s{n}", _above(n)) for n in range(self.size * WIDTH))
        return ()

    @property
    def runs(self) -> int:
        """How many runs are started, all at once."""
        return self.size if self.name == "runs" else 1

    @property
    def items(self) -> int:
        """Items of `for_each`, iterations of `while`; 0 for the others."""
        return 0 if self.nodes else self.size

    @property
    def planned_steps(self) -> int:
        """How many steps are executed in all."""
        return self.items or len(self.nodes) * self.runs

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text that each step of `ctx` adds; made before the clock starts."""
        if self.name != "ctx":
            return ()
        source = random.Random(20_000)  # the same texts for everybody
        letters = string.ascii_letters + string.digits + "-_"
        return tuple("".join(source.choices(letters, k=TEXT)) for _ in range(self.size))

    @property
    def payload_bytes(self) -> int:
        """What `ctx` has to keep."""
        return sum(map(len, self.texts))


def _above(n: int) -> tuple[int, ...]:
    layer, place = divmod(n, WIDTH)
    if layer == 0:
        return ()
    first = (layer - 1) * WIDTH
    return first + place, first + (place + 1) % WIDTH


def workload(name: str, scale: float = 1.0) -> Workload:
    """Return a workload at a scale: 1 as described, 10 for its growth, 0.1 for a quick look."""
    return Workload(name, max(1, round(SIZES[name] * scale)), scale)


def value(index: int) -> dict[str, int]:
    """Return what step `index` of a run (item or iteration `index` of a loop) gives."""
    return {"ok": index}


def check_order(nodes: Sequence[Node], order: Sequence[int]) -> str | None:
    """Tell what is wrong with the order in which the steps of one run were executed, by index; None: nothing."""
    place = {index: at for at, index in enumerate(order)}
    if len(place) != len(order):
        return f"{len(order) - len(place)} steps ran more than once"
    if len(place) != len(nodes):
        return f"{len(place)} of {len(nodes)} steps ran"
    for node in nodes:
        if any(place[other] > place[node.index] for other in node.after):
            return f"{node.id} ran before a step that it depends on"
    return None
