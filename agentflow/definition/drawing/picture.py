"""A workflow's graph with everything in its place: what a step holds is drawn inside of it, each thing once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agentflow.definition.drawing.layers import Gaps, Point, Size, lay_out
from agentflow.definition.graph import Cluster, Edge, Graph, Node

HOOKS = ("on_success", "on_failure", "finally", "compensate")


class Look(Protocol):
    """What a kind of picture needs to know before things have places."""

    @property
    def gaps(self) -> Gaps:
        """Distances between nodes."""
        ...

    @property
    def boxed(self) -> bool:
        """Whether a step that holds steps is a box around them, with lines from its head to the first of them."""
        ...

    @property
    def frame(self) -> tuple[int, int, int, int]:
        """What a frame takes left, above, right and below of what is inside."""
        ...

    @property
    def margin(self) -> int:
        """What stands left of the frames that a step holds, and right of them where it is a box."""
        ...

    @property
    def apart(self) -> int:
        """What is between frames, and between a step's head and them."""
        ...

    def node(self, node: Node, note: str, room: int) -> Size:
        """Return the size of a step's box, or of the head of one that holds steps."""
        ...

    def caption(self, text: str) -> int:
        """Return how wide a frame must be for its caption."""
        ...


@dataclass(frozen=True, slots=True)
class Shape:
    """A node or a frame in its place."""

    x: int
    y: int
    width: int
    height: int
    node: Node | None = None
    head: int = 0
    """Height of what tells of the node itself."""
    caption: str = ""
    """What a node adds about itself, or what a frame is for."""
    back: str = ""
    """What is written where a loop goes back."""
    hook: bool = False
    """A frame of what is only done when something has ended, or is undone."""


@dataclass(frozen=True, slots=True)
class Line:
    """An edge in its place."""

    edge: Edge
    points: tuple[Point, ...]
    inward: bool = False
    """It comes from the head of what is around it."""


@dataclass(slots=True)
class Block:
    """A part of the picture with coordinates of its own."""

    width: int
    height: int
    port: int
    out: int
    shapes: list[Shape] = field(default_factory=list[Shape])
    lines: list[Line] = field(default_factory=list[Line])
    entry: int | None = None
    """Where lines come in from the head, from its left."""
    leave: Point | None = None
    """Where the line back to the head begins."""
    back: Edge | None = None

    def put(self, other: Block, x: int, y: int) -> None:
        """Add another block's parts at a place."""
        self.shapes += [replace(each, x=each.x + x, y=each.y + y) for each in other.shapes]
        self.lines += [replace(each, points=tuple((a + x, b + y) for a, b in each.points)) for each in other.lines]


@dataclass(slots=True)
class _Edges:
    """The edges of one cluster."""

    inside: list[Edge] = field(default_factory=list[Edge])
    entering: list[Edge] = field(default_factory=list[Edge])
    back: list[Edge] = field(default_factory=list[Edge])


def draw(graph: Graph, look: Look, room: int) -> Block:
    """Place everything of a graph.

    Args:
        graph: what is drawn.
        look: how.
        room: the width that there is; what can't be narrower takes more.
    """
    return _Drawing(graph, look).root(room)


class _Drawing:
    def __init__(self, graph: Graph, look: Look) -> None:
        self.graph = graph
        self.look = look
        self.edges: dict[str, _Edges] = {}
        home: dict[str, Cluster] = {}
        stack = list(graph.roots)
        while stack:
            cluster = stack.pop()
            self.edges[cluster.id] = _Edges()
            home.update((node.id, cluster) for node in cluster.nodes)
            stack += [inner for several in cluster.clusters.values() for inner in several]
        for edge in graph.edges:
            source, target = home[edge.source], home[edge.target]
            if source is target:
                self.edges[source.id].inside.append(edge)
            elif edge.kind == "again":
                self.edges[source.id].back.append(edge)
            else:
                self.edges[target.id].entering.append(edge)

    def root(self, room: int) -> Block:
        """Draw the workflow's own steps, and below them what follows their end."""
        main, *hooks = self.graph.roots
        frames = [self._framed(hook, room) for hook in hooks]
        units = [self._unit(node, main, room) for node in main.nodes]
        end = next((number for number, node in enumerate(main.nodes) if node.id == "#end"), 0)
        extra = [(end, len(units) + number) for number in range(len(frames))]
        into = [self.edges[hook.id].entering[0] for hook in hooks]
        return self._layered([*units, *frames], main, extra, into)

    def _scope(self, cluster: Cluster, room: int) -> Block:
        """Draw the steps of one scope, with where lines come in and go back."""
        units = [self._unit(node, cluster, room) for node in cluster.nodes]
        edges = self.edges[cluster.id]
        if not self.look.boxed or not edges.entering or cluster.holder is None:
            return self._layered(units, cluster, [], [])
        numbers = {node.id: number for number, node in enumerate(cluster.nodes)}
        units.append(Block(0, 0, 0, 0))
        entry = len(units) - 1
        extra = [(entry, numbers[edge.target]) for edge in edges.entering]
        if edges.back:
            units.append(Block(0, 0, 0, 0))
            extra += [(numbers[edge.source], len(units) - 1) for edge in edges.back]
        made = self._layered(units, cluster, extra, [*edges.entering, *edges.back])
        made.back = edges.back[0] if edges.back else None
        return made

    def _layered(
        self, units: Sequence[Block], cluster: Cluster, extra: Sequence[tuple[int, int]], further: Sequence[Edge]
    ) -> Block:
        """Put units and edges in layers.

        Args:
            units: the nodes of the cluster, and more.
            cluster: whose they are.
            extra: pairs of units that have an edge beside the cluster's own.
            further: those edges.
        """
        numbers = {node.id: number for number, node in enumerate(cluster.nodes)}
        inside = self.edges[cluster.id].inside
        pairs = [*((numbers[edge.source], numbers[edge.target]) for edge in inside), *extra]
        sizes = [Size(unit.width, unit.height, unit.port, unit.out) for unit in units]
        layout = lay_out(sizes, pairs, self.look.gaps)
        made = Block(layout.width, layout.height, 0, layout.height)
        for unit, (x, y) in zip(units, layout.places, strict=True):
            made.put(unit, x, y)
        for edge, points in zip([*inside, *further], layout.routes, strict=True):
            made.lines.append(Line(edge, points, edge.kind != "again" and edge.source == cluster.holder))
        count = len(cluster.nodes)
        if self.look.boxed and cluster.holder is not None and len(units) > count:
            made.entry = layout.places[count][0]
            made.leave = layout.places[count + 1] if len(units) > count + 1 else None
        return made

    def _unit(self, node: Node, cluster: Cluster, room: int) -> Block:
        """Draw a node with all that it holds."""
        look = self.look
        frames = cluster.clusters.get(node.id, [])
        bare = look.boxed and len(frames) == 1 and not _is_hook(frames[0])
        note = self._caption(frames[0]) if bare else ""
        size = look.node(node, note, room)
        head = Shape(0, 0, size.width, size.height, node, size.height, note)
        if not frames:
            return Block(size.width, size.height, size.port, size.out, [head])
        inner = room - look.margin * (2 if look.boxed else 1)
        if bare:
            return self._around(head, size, [self._scope(frames[0], inner)], room, below=0)
        below = look.apart if look.boxed else 0
        return self._around(head, size, [self._framed(one, inner) for one in frames], room, below=below)

    def _around(self, head: Shape, size: Size, parts: Sequence[Block], room: int, *, below: int) -> Block:
        """Draw a head with parts below it, as many side by side as there is room for."""
        look = self.look
        made = Block(size.width, 0, size.port, size.out)
        x, y, tall = look.margin, size.height + below, 0
        lines: list[Line] = []
        for part in parts:
            if x > look.margin and x + part.width > room - (look.margin if look.boxed else 0):
                x, y, tall = look.margin, y + tall + look.apart, 0
            made.put(part, x, y)
            lines += self._joined(part, x, y, size.height)
            made.width = max(made.width, x + part.width + (look.margin if look.boxed else 0))
            x, tall = x + part.width + look.apart, max(tall, part.height)
        made.height = y + tall + (look.apart if look.boxed else 0)
        made.lines += lines
        if look.boxed:
            made.shapes.insert(0, replace(head, width=made.width, height=made.height))
            made.port, made.out = made.width // 2, made.height
        else:
            made.shapes.insert(0, head)
        return made

    def _joined(self, part: Block, x: int, y: int, head: int) -> list[Line]:
        """Return the line from a part back to the head around it."""
        if part.back is None or part.leave is None:
            return []
        left, bottom = self.look.margin // 2, y + part.height
        start = (x + part.leave[0], y + part.leave[1])
        return [Line(part.back, (start, (start[0], bottom), (left, bottom), (left, head)))]

    def _framed(self, cluster: Cluster, room: int) -> Block:
        """Draw a scope in a frame that says what it is for."""
        left, above, right, below = self.look.frame
        inner = self._scope(cluster, room - left - right)
        caption = self._framed_caption(cluster)
        back = self.edges[cluster.id].back
        label = back[0].label if back else ""
        width = max(inner.width + left + right, self.look.caption(caption), self.look.caption(label))
        made = Block(width, inner.height + above + below, width // 2 if self.look.boxed else 0, 0)
        made.shapes.append(
            Shape(0, 0, width, made.height, None, above, caption, label, _is_hook(cluster) or cluster.holder is None)
        )
        x = (left + width - right - inner.width) // 2 if self.look.boxed else left
        made.put(inner, x, above)
        made.out = made.height
        made.lines += self._joined(inner, x, above, above)
        return made

    def _caption(self, cluster: Cluster) -> str:
        entering = self.edges[cluster.id].entering
        label = entering[0].label if entering else ""
        return "undo" if entering and entering[0].kind == "compensate" else label

    def _framed_caption(self, cluster: Cluster) -> str:
        """Return what a frame is for: that of a body without a condition holds the steps."""
        return self._caption(cluster) or "steps"


def _is_hook(cluster: Cluster) -> bool:
    return cluster.id.rpartition("#")[2] in HOOKS
