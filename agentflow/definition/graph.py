"""A workflow as a picture: Mermaid, DOT and JSON, in definition order, byte-identical from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentflow.definition.models import Step, Workflow
from agentflow.definition.scopes import Located, Scope, walk
from agentflow.redaction import current

EdgeKind = Literal["after", "any", "branch", "again", "on_success", "on_failure", "finally", "compensate"]
_LOOPS: dict[str, str] = {"for_each": "next", "while": "again", "until": "again", "recur": "again"}
"""Step types whose bodies come again, and what is written on the way back."""
_DOTTED = ("on_failure", "compensate")
_HOOK_KINDS: dict[str, EdgeKind] = {
    "on_success": "on_success",
    "on_failure": "on_failure",
    "finally": "finally",
    "compensate": "compensate",
}
_WAITS: dict[str, str] = {
    "wait_for_input": "waits for a person",
    "wait_for_event": "waits for an event",
    "external_tool_call": "waits for a tool",
    "delay": "waits",
}
"""Step types that wait, and for what."""
_END = "#end"
_MOST = 100
"""A block that waits for a block is drawn with all its edges up to this number, else through a point."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step, the start or end of a block, or a hook's beginning."""

    id: str
    """The step's address, or a name of its own for points."""
    step: str | None
    type: str
    label: str
    holds: bool = False
    """It holds other steps."""
    calls: str | None = None
    """The workflow that it starts."""
    marks: tuple[str, ...] = ()
    """What keeps it from beginning, or from counting, at once: gates and waits."""

    @property
    def named(self) -> str:
        """Its type, and which workflow it starts."""
        return self.type if self.calls is None else f"{self.type} {self.calls}"

    @property
    def kind(self) -> str:
        """What is written below its name."""
        return " · ".join((self.named, *self.marks))


@dataclass(frozen=True, slots=True)
class Edge:
    """From one node to another."""

    source: str
    target: str
    kind: EdgeKind
    label: str = ""


@dataclass(slots=True)
class Cluster:
    """A scope: what is drawn inside one frame."""

    id: str
    label: str
    holder: str | None = None
    """Address of the step that holds it."""
    nodes: list[Node] = field(default_factory=list[Node])
    clusters: dict[str, list[Cluster]] = field(default_factory=dict[str, list["Cluster"]])
    """The frames inside, by the node that holds them; "" for those of the scope itself."""


@dataclass(slots=True)
class Graph:
    """A workflow's nodes, frames and edges."""

    name: str
    roots: list[Cluster]
    edges: list[Edge]


def build(workflow: Workflow) -> Graph:
    """Work out the graph of a workflow."""
    roots: list[Cluster] = []
    edges: list[Edge] = []
    clusters: dict[Scope, Cluster] = {}
    for scope in walk(workflow):
        cluster = Cluster(_scope_id(scope), _scope_label(scope), scope.owner.address if scope.owner else None)
        clusters[scope] = cluster
        if scope.owner is None:
            roots.append(cluster)
        else:
            outer = clusters[scope.owner.scope]
            outer.clusters.setdefault(scope.owner.address, []).append(cluster)
        for located in scope.located:
            cluster.nodes.append(_node(located))
        if scope.kind == "hook" and scope.owner is None:
            edges.extend(_hook(scope))
        edges.extend(_entering(scope))
        edges.extend(_inside(scope, cluster))
        edges.extend(_back(scope))
        if scope.kind == "main" and (workflow.on_success or workflow.on_failure or workflow.finally_):
            edges.extend(_ending(scope, cluster))
    return Graph(workflow.id, roots, edges)


def to_data(workflow: Workflow) -> dict[str, Any]:
    """Return the graph as JSON data: scopes, nodes and edges in definition order."""
    graph = build(workflow)
    nodes: list[dict[str, Any]] = []
    frames: list[Cluster] = [graph.roots[0]]
    scopes: list[dict[str, Any]] = [_scope(graph.roots[0])]
    for _, event, item in events(graph):
        if event == "open":
            frames.append(item)
            scopes.append(_scope(item))
        elif event == "close":
            frames.pop()
        else:
            entry = {"id": item.id, "step": item.step, "type": item.type, "label": item.label, "scope": frames[-1].id}
            entry["calls"] = item.calls
            nodes.append({name: value for name, value in entry.items() if value is not None})
    edges = [
        {"from": edge.source, "to": edge.target, "kind": edge.kind, **({"label": edge.label} if edge.label else {})}
        for edge in graph.edges
    ]
    return {"workflow": graph.name, "scopes": scopes, "nodes": nodes, "edges": edges}


def _scope(cluster: Cluster) -> dict[str, Any]:
    return {"id": cluster.id, "label": cluster.label, "holder": cluster.holder}


def to_dot(workflow: Workflow) -> str:
    """Return the graph in DOT, from left to right, scopes as clusters."""
    graph = build(workflow)
    lines = [f"digraph {_dot(graph.name)} {{", "  rankdir=LR;", '  node [shape=box, style="rounded"];']
    for depth, event, item in events(graph):
        pad = "  " * (depth + 1)
        if event == "open":
            lines += [f"{pad}subgraph {_dot('cluster_' + item.id)} {{", f"{pad}  label={_dot(item.label)};"]
        elif event == "close":
            lines.append(f"{pad}}}")
        else:
            lines.append(f"{pad}{_dot(item.id)} [{_dot_node(item)}];")
    for edge in graph.edges:
        marks = [f"label={_dot(edge.label)}"] if edge.label else []
        if edge.kind in _DOTTED:
            marks.append("style=dotted")
        elif edge.kind in ("any", "again", "finally", "on_success"):
            marks.append("style=dashed")
        end = f" [{', '.join(marks)}]" if marks else ""
        lines.append(f"  {_dot(edge.source)} -> {_dot(edge.target)}{end};")
    return "\n".join([*lines, "}", ""])


def to_mermaid(workflow: Workflow) -> str:
    """Return the graph as a Mermaid flowchart, scopes as subgraphs."""
    graph = build(workflow)
    names: dict[str, str] = {}
    lines = ["flowchart LR"]
    for depth, event, item in events(graph):
        pad = "  " * (depth + 1)
        if event == "open":
            name = names.setdefault(f"frame {item.id}", f"s{len(names)}")
            lines.append(f'{pad}subgraph {name}["{_text(item.label)}"]')
        elif event == "close":
            lines.append(f"{pad}end")
        else:
            name = names.setdefault(item.id, f"n{len(names)}")
            lines.append(f"{pad}{name}{_mermaid_node(item)}")
    for edge in graph.edges:
        arrow = "-.->" if edge.kind != "after" and edge.kind != "branch" else "-->"
        label = f'|"{_text(edge.label)}"|' if edge.label else ""
        lines.append(f"  {names[edge.source]} {arrow}{label} {names[edge.target]}")
    return "\n".join([*lines, ""])


def events(graph: Graph) -> Iterator[tuple[int, Literal["open", "close", "node"], Any]]:
    """Yield nodes, and frames as they open and close, in definition order, without recursion."""
    stack: list[tuple[int, Literal["open", "close", "node"], Any]] = []

    def push(cluster: Cluster, depth: int) -> None:
        items: list[tuple[int, Literal["open", "close", "node"], Any]] = []
        for node in cluster.nodes:
            items.append((depth, "node", node))
            items.extend((depth, "open", inner) for inner in cluster.clusters.get(node.id, []))
        stack.extend(reversed(items))

    for number, root in enumerate(reversed(graph.roots)):
        stack.append((0, "open" if number < len(graph.roots) - 1 else "node", root))
    while stack:
        depth, event, item = stack.pop()
        if not isinstance(item, Cluster):
            yield depth, event, item
        elif event == "node":
            push(item, depth)
        elif event == "open":
            yield depth, "open", item
            stack.append((depth, "close", item))
            push(item, depth + 1)
        else:
            yield depth, "close", item


def _scope_id(scope: Scope) -> str:
    holder = scope.owner.address if scope.owner else ""
    return f"{holder}#{scope.key}" if scope.kind in ("hook", "compensate") else f"{holder}/{scope.key}"


def _scope_label(scope: Scope) -> str:
    if scope.owner is None:
        return "" if scope.kind == "main" else scope.key
    return f"{scope.owner.step.name}: {scope.key}"


def _node(located: Located) -> Node:
    step = located.step
    calls = step.config.get("workflow") if step.type == "workflow" else None
    called = str(calls) if calls is not None else None
    return Node(located.address, step.id, step.type, step.name, bool(step.bodies), called, tuple(_marks(step)))


def _marks(step: Step) -> Iterator[str]:
    if step.if_ is not None or step.skip_if is not None:
        yield "if"
    if step.for_each is not None:
        yield "for each"
    if step.delay is not None or step.at is not None:
        yield "later"
    if step.approve is not None:
        yield "approve"
    if step.type in _WAITS:
        yield _WAITS[step.type]
    if step.review is not None:
        yield "review"


def _inside(scope: Scope, cluster: Cluster) -> Iterator[Edge]:
    """Yield a scope's own edges, grouped by the step that waits, in definition order."""
    order = scope.order
    waits: list[list[tuple[int, EdgeKind]]] = [[] for _ in order.successors]
    for node, followers in enumerate(order.successors):
        for follower in followers:
            waits[follower].append((node, "after"))
    names = [located.address for located in scope.located]
    for barrier in range(order.size, len(order.successors)):
        sources, targets = waits[barrier], order.successors[barrier]
        if len(sources) * len(targets) <= _MOST:
            for target in targets:
                waits[target] = [one for one in waits[target] if one[0] != barrier] + sources
            names.append("")
            continue
        name = f"{cluster.id}*{barrier - order.size}"
        names.append(name)
        cluster.nodes.append(Node(name, None, "join", ""))
        yield from (Edge(names[source], name, "after") for source, _ in sources)
    for number in range(order.size):
        several: list[tuple[int, EdgeKind]] = [(other, "any") for other in order.any_of[number]]
        edges = sorted({*waits[number], *several})
        for source, kind in edges:
            if names[source]:
                yield Edge(names[source], names[number], kind, "any" if kind == "any" else "")


def _entering(scope: Scope) -> Iterator[Edge]:
    """Yield the edges from what holds a scope to the scope's first steps."""
    holder = scope.owner
    if holder is None:
        return
    kind = _HOOK_KINDS.get(scope.key, "branch") if scope.kind != "body" else "branch"
    label = _branch_label(holder.step, scope.key) if kind == "branch" else scope.key
    for number in _first(scope):
        yield Edge(holder.address, scope.located[number].address, kind, label)


def _ending(scope: Scope, cluster: Cluster) -> Iterator[Edge]:
    """Add the point where the workflow's own steps end, from which its hooks start."""
    cluster.nodes.append(Node(_END, None, "join", ""))
    order = scope.order
    for located in scope.located:
        if not order.successors[located.number] and not order.any_successors[located.number]:
            yield Edge(located.address, _END, "after")


def _back(scope: Scope) -> Iterator[Edge]:
    """Yield the edges from the last steps of a loop's body to the loop."""
    holder, order = scope.owner, scope.order
    if holder is None or scope.kind != "body" or holder.step.type not in _LOOPS:
        return
    for located in scope.located:
        if not order.successors[located.number] and not order.any_successors[located.number]:
            yield Edge(located.address, holder.address, "again", _LOOPS[holder.step.type])


def _hook(scope: Scope) -> Iterator[Edge]:
    for number in _first(scope):
        yield Edge(_END, scope.located[number].address, _HOOK_KINDS[scope.key], scope.key)


def _first(scope: Scope) -> list[int]:
    return [n for n in range(scope.order.size) if not scope.order.waiting[n] and not scope.order.any_of[n]]


def _branch_label(holder: Step, key: str) -> str:
    """Return what is written on the edge into a branch: its condition."""
    config = holder.config
    if key in ("if_true", "if_false") and "expression" in config:
        return str(config["expression"]) if key == "if_true" else "else"
    if key.startswith("case["):
        cases: Sequence[Any] = config.get("cases") or []
        number = int(key[5:-1])
        return str(cases[number]) if number < len(cases) else key
    if key == "default":
        return "else"
    if holder.type in ("while", "until") and "condition" in config:
        return f"{holder.type} {config['condition']}"
    if holder.type == "for_each" and "in" in config:
        return f"each of {config['in']}" if isinstance(config["in"], str) else "each"
    return "" if key == "steps" else key


def _shape(node: Node) -> Literal["choice", "loop", "wait", "join", "step"]:
    if node.type in ("condition", "switch"):
        return "choice"
    if node.type in ("wait_for_input", "wait_for_event", "external_tool_call"):
        return "wait"
    if node.step is None:
        return "join"
    return "loop" if node.holds else "step"


def _dot_node(node: Node) -> str:
    shapes = {"choice": "diamond", "wait": "parallelogram", "loop": "hexagon", "join": "point", "step": "box"}
    shape = _shape(node)
    if shape == "join":
        return "shape=point"
    label = _dot(f"{node.label}\n{node.kind}")
    return f"label={label}" if shape == "step" else f"label={label}, shape={shapes[shape]}"


def _mermaid_node(node: Node) -> str:
    label = f"{_text(node.label)}<br/>{_text(node.kind)}"
    match _shape(node):
        case "choice":
            return f'{{"{label}"}}'
        case "loop":
            return f'{{{{"{label}"}}}}'
        case "wait":
            return f'[/"{label}"/]'
        case "join":
            return '((" "))'
        case _:
            return f'["{label}"]'


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "\\n")
    return f'"{escaped}"'


def _text(text: str) -> str:
    short = current().head(text, 60)
    # Mermaid's own entities: `#` begins them, so it goes first.
    for raw, entity in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("\n", " ")):
        short = short.replace(raw, entity)
    return short
