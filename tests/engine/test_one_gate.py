"""What the engine keeps passes its gate: a new door can't go past it without being seen here."""

from __future__ import annotations

import ast
from pathlib import Path

import agentflow.engine

ENGINE = Path(agentflow.engine.__file__).parent
ENCODES = {
    "host/withdrawing.py": "a state that the step's context has let in",
    "attempt/lending.py": "credentials for whoever executes a step elsewhere: nobody keeps them",
    "attempt/remote.py": "what goes to a step's code, and what the port there lets in",
    "attempt/wire.py": "what comes of an attempt, after the gate",
    "commands/connecting.py": "details of a wait, with the address of a page, which nobody keeps",
    "commands/answers.py": "an answer that was admitted, to compare and to tell it",
    "host/damaged.py": "what agentflow says of a damaged run",
    "gate.py": "the gate itself",
    "plan/carrying.py": "a message that was admitted",
    "plan/claims.py": "numbers of attempts",
    "plan/containers.py": "the output of an early end that was admitted",
    "decided.py": "decisions of agentflow's own, and states that were admitted",
    "plan/faults.py": "a failure that passed the gate",
    "plan/gate_texts.py": "what is shown, without secrets, to know it again; a message that then passes the gate",
    "plan/limits.py": "the key of a limit, as a text",
    "plan/reviewing.py": "a result that was admitted when the step gave it",
    "plan/runs.py": "what steps have left, and a definition's presets",
    "plan/shared.py": "two values, to know them again",
    "plan/waiting.py": "a wait that was admitted",
    "program.py": "a constant config, to know it again",
    "host/reducers.py": "two values, of which a reducer gets copies",
    "commands/retrying.py": "what is kept of the run before",
    "commands/starting.py": "what a start was given",
    "plan/spent.py": "sums of numbers that were read",
    "plan/state.py": "rows of what was admitted",
}
"""Modules that encode rows: each only what has come through the gate, or what agentflow says itself."""


def _uses(path: Path, names: set[str]) -> set[str]:
    """Return which of some names of `agentflow.data`, or of what encodes below it, a module imports."""
    imports = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in imports for alias in node.names if alias.name in names}


def _modules() -> dict[str, Path]:
    return {str(path.relative_to(ENGINE)): path for path in sorted(ENGINE.rglob("*.py"))}


def test_only_known_modules_encode_what_is_stored() -> None:
    found = {name for name, path in _modules().items() if _uses(path, {"encode", "to_json", "admit", "normalise"})}
    assert found == set(ENCODES), "let it pass `Gate.encoded` or `Gate.data`, or say why it needn't"


def test_no_module_logs_an_exception_past_the_gate() -> None:
    for name, path in _modules().items():
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                words = {keyword.arg for keyword in node.keywords}
                logs = isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
                assert not (logs and (node.func.attr == "exception" or "exc_info" in words)), f"{name}:{node.lineno}"
