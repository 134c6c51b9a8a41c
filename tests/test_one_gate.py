"""One gate for data: `agentflow.data`, and `engine/gate.py` before it, let values in. Nothing else encodes them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import agentflow

ROOT = Path(agentflow.__file__).parent
GATE = frozenset({"data.py", "engine/gate.py"})
MODULES = frozenset({"json", "pickle", "marshal", "orjson", "plistlib", "shelve"})
CODECS = frozenset({
    "to_json", "from_json", "to_jsonable_python", "TypeAdapter", "dump_json", "validate_json", "model_dump_json",
    "model_validate_json",
})  # fmt: skip
OURS = frozenset({"encode", "admit", "normalise"})
"""What of `agentflow.data` makes stored data."""

READ_OR_SHOWN = {
    "engine/typed.py": "makes an object of the user's type of an output that was read back",
    "steps/typed_arguments.py": "makes an argument of the type that the function of the user is annotated with",
    "definition/type_schema.py": "makes the JSON Schema of a type",
    "steps/deciding.py": "writes a literal into a condition, which is read back with the definition",
    "extras.py": "reads where installers say that agentflow came from",
    "unfit.py": "asks of an object whether it has a JSON form at all, and throws the answer away",
    "cli/actions/graph.py": "writes a definition's graph, redacted",
    "cli/schema_file.py": "writes the schema for editors",
    "cli/actions/show_step.py": "shows a result to people",
    "definition/form_parts.py": "shows choices and defaults of a schema to people",
    "cli/actions/waits.py": "shows a wait's schema to people",
    "cli/examples.py": "writes answers to paste for people",
    "cli/console.py": "prints what --json gives",
    "templates/agent/tools.py": "a new project's own code: its lines go into a file of its own",
    "templates/approval/steps.py": "as above",
    "cli/format.py": "shows values to people, shortened",
    "cli/forms.py": "shows values, and commands to paste, to people",
    "definition/check/policies.py": "measures a definition",
    "definition/check/schema_words.py": "shows a word of a schema to people",
    "definition/check/schemas.py": "looks into schemas that loaders have let in",
    "definition/durations.py": "reads a duration",
    "definition/json_loader.py": "reads definition files, with places and keys that are there twice",
    "definition/json_schema.py": "gives a schema, encoded canonically, to the library that compiles it",
    "engine/attempt/sealing.py": "writes a secret as JSON would, to find it inside of texts; nothing of that is kept",
    "engine/attempt/wire.py": "asks of what workers bring, which agentflow.data has read, whether it has its form",
    "expressions/forms.py": "compares with a literal of a condition",
    "expressions/reading.py": "writes a value that is data into a text of a template",
    "spellings.py": "knows how a secret is written as JSON",
    "steps/charsets.py": "asks in which encoding a text is",
    "steps/reply.py": "reads a button's fields",
}
"""Modules that know a codec: none of them encodes what is kept."""
AROUND = {
    "definition/canonical.py": "looks whether a workflow made in Python can be kept",
    "credentials.py": "names principals, for who keeps them apart",
    "engine/attempt/lending.py": "credentials for whoever executes a step elsewhere: nobody keeps them",
    "engine/attempt/remote.py": "encodes what goes to a step's code, and what was let in",
    "engine/attempt/wire.py": "encodes what comes of an attempt, which was let in",
    "engine/commands/connecting.py": "details of a wait, with the address of a page, which nobody keeps",
    "engine/commands/answers.py": "shows an answer that was there before",
    "engine/host/withdrawing.py": "encodes what a step saves, which its context has let in",
    "engine/host/damaged.py": "encodes events of its own words",
    "engine/plan/carrying.py": "encodes a message that its door has let in",
    "engine/plan/containers.py": "encodes an early end's output, which its door has let in, and numbers of its own",
    "engine/plan/faults.py": "encodes a failure of its own words",
    "engine/plan/reviewing.py": "a result that was admitted when its step gave it",
    "engine/plan/runs.py": "encodes outputs and inputs of child runs, which their doors have let in, and failures",
    "engine/decided.py": "encodes decisions of its own around what was let in",
    "requirements/connections/logins.py": "seals what proves a login, and tells what came of it, secrets taken out",
    "requirements/connections/oauth.py": "sends a form",
    "requirements/connections/tokens.py": "seals tokens, and what they are bound to",
    "server/links.py": "seals what an address of its own says",
    "engine/plan/claims.py": "encodes an event of its own words",
    "engine/plan/gate_texts.py": "what is shown without secrets, to know it again, and a message that passes the gate",
    "engine/plan/limits.py": "makes a key of a value that was let in",
    "engine/plan/shared.py": "compares what a reducer was given with what counts now",
    "engine/host/reducers.py": "gives a reducer copies that it may write into",
    "store/sqlite/vault.py": "stores names of permissions, which are texts that can be stored",
    "store/sqlite/creating.py": "stores labels and pins, which their doors have let in",
    "store/sqlite/queueing.py": "stores numbers of runs and a key that was let in",
    "engine/plan/waiting.py": "encodes answers and what waits say, which their doors have let in",
    "engine/program.py": "makes a key of a definition's literals, which isn't stored",
    "engine/commands/retrying.py": "encodes inputs and results of the run before, which were read back",
    "engine/commands/starting.py": "encodes an input and a message, which their doors have let in",
    "engine/plan/spent.py": "encodes sums of numbers that were read",
    "engine/plan/state.py": "encodes rows around what was let in",
    "steps/building.py": "lets the fields of steps made in Python in: it is their door",
    "steps/fields.py": "writes a value that is data into a text that a step sends",
    "steps/http_request.py": "sends a body, which isn't kept",
    "store/common.py": "compares two answers",
    "store/distri.py": "encodes a context that a program gives, which no door reaches",
    "store/sqlite/batch.py": "stores what the engine has let in",
    "store/sqlite/commands.py": "stores what the engine has let in",
    "store/sqlite/rows.py": "encodes lists of keys for a statement",
    "testing/processes/holder.py": "sends reasons to workers, which are agentflow's own",
    "testing/processes/link.py": "tells the holder what a worker is at",
    "testing/recording.py": "writes what was stored of a run for a test, which reads it back",
    "testing/store_suite/builders.py": "makes rows for the store suite",
    "testing/store_suite/task_log.py": "makes rows for the store suite",
    "testing/store_suite/usage.py": "makes rows for the store suite",
}
"""Modules that encode rows around values that were let in, or what never was a user's."""


def codecs(tree: ast.Module) -> set[str]:
    """Return the codecs that a module takes from elsewhere."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("agentflow"):
            found |= {alias.name for alias in node.names} & CODECS
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.Attribute) and node.attr in CODECS:
            found.add(node.attr)
    return found


def ours(tree: ast.Module) -> set[str]:
    """Return what a module takes of the gate to make stored data."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "agentflow.data")
    return {alias.name for node in imports for alias in node.names} & OURS


@cache
def modules() -> dict[str, tuple[set[str], set[str]]]:
    """Return module → the codecs that it takes from elsewhere, and what it takes of the gate."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[path.relative_to(ROOT).as_posix()] = codecs(tree), ours(tree)
    return found


def test_only_the_gate_and_a_few_that_keep_nothing_know_a_codec() -> None:
    found = {name for name, (theirs, _) in modules().items() if theirs} - GATE
    assert found == set(READ_OR_SHOWN), "let values in by agentflow.data, or say here why this module needs a codec"


def test_only_doors_and_those_that_write_rows_encode() -> None:
    found = {name for name, (_, gate) in modules().items() if gate} - GATE
    assert found == set(AROUND), "let values in by the engine's gate, or say here why this module encodes"
