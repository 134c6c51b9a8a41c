"""Who is surely done before whom: topological order, cycles and ancestors of one scope, all without recursion.

Questions of ancestry are answered many at once: each asked-for step is one bit, and the bits flow along the edges in
topological order. A scope with as many questions as steps costs V·E/64 word operations instead of V searches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from agentflow.definition.order import Order

_BITS = 4096


def sort(order: Order) -> list[int]:
    """Return the nodes in topological order (Kahn); those on or behind a cycle are missing."""
    waiting = list(order.waiting)
    for number, members in enumerate(order.any_of):
        waiting[number] += len(members)
    ready = deque(number for number, count in enumerate(waiting) if count == 0)
    done: list[int] = []
    while ready:
        node = ready.popleft()
        done.append(node)
        for follower in successors(order, node):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    return done


def successors(order: Order, node: int) -> Sequence[int]:
    """Return who waits for a node in any way."""
    if node < order.size and order.any_successors[node]:
        return (*order.successors[node], *order.any_successors[node])
    return order.successors[node]


def components(order: Order, nodes: Iterable[int]) -> list[list[int]]:
    """Return the sets of nodes that wait for each other (Tarjan, iterative), each sorted, in definition order."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: list[list[int]] = []
    edges: dict[int, Sequence[int]] = {}
    for root in nodes:
        if root in index:
            continue
        work: list[tuple[int, int]] = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            following = edges.get(node)
            if following is None:
                following = edges[node] = successors(order, node)
            for place in range(position, len(following)):
                other = following[place]
                if other not in index:
                    work.append((node, place + 1))
                    work.append((other, 0))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                if low[node] == index[node]:
                    found.append(_pop(stack, on_stack, node))
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    cyclic = [group for group in found if len(group) > 1 or group[0] in successors(order, group[0])]
    return sorted(cyclic)


def _pop(stack: list[int], on_stack: set[int], node: int) -> list[int]:
    group: list[int] = []
    while True:
        member = stack.pop()
        on_stack.discard(member)
        group.append(member)
        if member == node:
            return sorted(group)


def shortest(order: Order, group: Iterable[int], start: int, goal: int) -> list[int]:
    """Return the shortest way between two nodes of a group, from who is waited for to who waits; else an empty list."""
    members = set(group)
    came: dict[int, int] = {start: start}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        if node == goal:
            way = [node]
            while way[-1] != start:
                way.append(came[way[-1]])
            return way[::-1]
        for follower in successors(order, node):
            if follower in members and follower not in came:
                came[follower] = node
                queue.append(follower)
    return []


def before(order: Order, sequence: Sequence[int], questions: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return those questions (earlier, later) where the earlier step is surely done before the later one starts.

    Args:
        order: the scope's edges. One of several `depends_on_any` isn't sure; a single one is.
        sequence: all nodes in topological order.
        questions: pairs of step numbers.
    """
    asked = set(questions)
    sure = (
        {pair for pair in asked if pair[1] in order.successors[pair[0]]} if len(asked) < 64 else _direct(order, asked)
    )
    rest = asked - sure
    targets = sorted({earlier for earlier, _ in rest})
    for first in range(0, len(targets), _BITS):
        batch = {node: bit for bit, node in enumerate(targets[first : first + _BITS])}
        bits = _flow(order, sequence, batch)
        sure |= {pair for pair in rest if pair[0] in batch and bits[pair[1]] >> batch[pair[0]] & 1}
    return sure


def _direct(order: Order, asked: set[tuple[int, int]]) -> set[tuple[int, int]]:
    sources = {earlier for earlier, _ in asked}
    return {(node, later) for node in sources for later in order.successors[node] if (node, later) in asked}


def _flow(order: Order, sequence: Sequence[int], batch: dict[int, int]) -> list[int]:
    bits = [0] * len(order.successors)
    for node in sequence:
        if node < order.size and len(order.any_of[node]) == 1:
            only = order.any_of[node][0]
            bits[node] |= bits[only] | (1 << batch[only] if only in batch else 0)
        carried = bits[node] | (1 << batch[node] if node in batch else 0)
        if carried:
            for follower in order.successors[node]:
                bits[follower] |= carried
    return bits
