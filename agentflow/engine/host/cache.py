"""The trees that a host holds: a cache of their rows, which nobody else writes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from agentflow.engine.plan.nodes import Node
from agentflow.engine.plan.state import RunState, Tree


class TreeCache:
    """Trees by the key of their root, and their runs."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.trees: dict[int, Tree] = {}
        self.runs: dict[int, RunState] = {}
        self.keys: dict[str, int] = {}
        """Keys of these runs by id."""
        self.unreadable: dict[int, Exception] = {}
        """Roots that this process can't go on with: their definitions are damaged, or need what it lacks."""

    def adopt(self, tree: Tree) -> None:
        """Hold a tree from now on."""
        self.trees[tree.key] = tree
        self.keep_runs(tree)

    def replace(self, old: Tree, tree: Tree) -> None:
        """Hold a tree that was read anew: there is no moment, for threads either, in which its runs aren't here."""
        self.adopt(tree)
        for key, run in old.runs.items():
            if self.runs.get(key) is run:  # it isn't stored
                self.runs.pop(key)
                self.keys.pop(run.id, None)

    def keep_runs(self, tree: Tree) -> None:
        """Know all runs of a held tree."""
        for key, run in tree.runs.items():
            self.runs[key] = run
            self.keys[run.id] = key

    def forget_run(self, run: RunState) -> None:
        """Forget a run below others: it has ended."""
        run.tree.runs.pop(run.key, None)
        self.runs.pop(run.key, None)
        self.keys.pop(run.id, None)

    def drop(self, tree: Tree) -> None:
        """Forget a tree; its rows are all there is."""
        self.trees.pop(tree.key, None)
        for key, run in tree.runs.items():
            self.runs.pop(key, None)
            self.keys.pop(run.id, None)

    def working(self, run_id: str) -> int | None:
        """Return the key of a run that this process is at work on: whoever waits for it needn't read it."""
        key = self.keys.get(run_id)
        return key if key is not None and self.runs[key].state == "working" else None

    def live(self) -> Iterator[Node]:
        """Yield the nodes of all runs here that are in progress."""
        for run in self.runs.values():
            yield from run.live.values()
