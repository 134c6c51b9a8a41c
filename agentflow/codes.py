"""The table of stable error codes: what each means, and how every door shows it."""

from __future__ import annotations

from agentflow.doors import DOORS, Code, Door


def door(code: str) -> Door:
    """Return how a code is told; an unknown one is a defect."""
    entry = CODES.get(code)
    return DOORS[entry.category if entry else "defect"]


CODES: dict[str, Code] = {
    "AF-FAILED": Code("failed", "Something expected failed.", "Read the message."),
    "AF-DEFECT": Code("defect", "A fault of agentflow itself.", "Report it with the steps that led to it."),
    "AF-USAGE": Code("usage", "The command line was used wrongly.", "See the command's --help."),
    "AF-CONFLICT": Code("conflict", "The state of things doesn't allow it.", "Look at the run's state first."),
    "AF-PLATFORM": Code("missing", "The system isn't supported.", "Use WSL, a container, Linux or macOS."),
    "AF-OUTPUT-LOST": Code(
        "output", "The result couldn't be written to stdout.", "Make room, or keep its reader; what was done is done."
    ),
    "AF-STORE-FAILED": Code("failed", "The database refused a statement.", "Read the message."),
    "AF-STORE-KIND": Code("usage", "There is no such kind of store.", "Name a path, or sqlite:///path."),
    "AF-STORE-OPEN": Code("failed", "The database can't be opened.", "Check its path and its folder's permissions."),
    "AF-STORE-FORMAT": Code("invalid", "The file isn't a store.", "Name another file with --store."),
    "AF-STORE-NEWER": Code("conflict", "The store was written by a newer agentflow.", "Upgrade agentflow."),
    "AF-STORE-GONE": Code(
        "failed", "The store was deleted or replaced while it was open.", "Put it back, or restore a backup."
    ),
    "AF-STORE-NETWORK": Code(
        "failed", "The store would stand on a network file system, which damages it.", "Put it on a local disk."
    ),
    "AF-STORE-MISSING": Code("unknown", "There is no store at this place.", "Name another one with --store."),
    "AF-STORE-EXISTS": Code("conflict", "A file or a store with runs is there already.", "Say --yes to replace it."),
    "AF-STORE-IN-USE": Code("conflict", "Other processes have the store open.", "End them, then try again."),
    "AF-STORE-SQLITE": Code("missing", "SQLite is too old to share a file safely.", "Upgrade the package apsw."),
    "AF-STORE-WAL": Code("failed", "The store can't have a write-ahead log.", "Put it on a local disk."),
    "AF-STORE-BUSY": Code("conflict", "Another process keeps the store locked.", "End that process, then try again."),
    "AF-STORE-READONLY": Code("denied", "The store can't be written.", "Give this user write access to it."),
    "AF-STORE-FULL": Code("failed", "The disk is full.", "Make room on it, then go on with the run."),
    "AF-STORE-IO": Code("failed", "The disk failed.", "Check the disk."),
    "AF-STORE-DAMAGED": Code(
        "failed", "The store, or a result in it, is damaged.", "`agentflow store check` tells what helps."
    ),
    "AF-REPLY-BUTTONS": Code(
        "failed", "A reply's buttons can't be made.", "Give buttons_from a list, and texts for each button's fields."
    ),
    "AF-SLOT-DEADLOCK": Code(
        "failed", "A step would wait for a concurrency key for ever.", "Give inner steps keys of their own."
    ),
    "AF-STEP-INVALID": Code("invalid", "A step built in Python isn't valid.", "Correct the arguments that it names."),
    "AF-SKILL-MISSING": Code(
        "missing", "A step needs a skill or a connection that isn't granted.", "Grant it in the config, or connect it."
    ),
    "AF-SKILL-DENIED": Code(
        "denied", "The limits of a granted skill leave out what a step does.", "Change the limit that it names."
    ),
    "AF-NETWORK-DENIED": Code(
        "denied", "The rules of native:network don't allow the host or its address.", "Change `allow` or `private`."
    ),
    "AF-HTTP-REQUEST": Code("invalid", "An HTTP request can't be made.", "Correct the step's url, headers or body."),
    "AF-HTTP-STATUS": Code("failed", "A service answered with an HTTP error.", "Read its answer; see `expect`."),
    "AF-HTTP-NETWORK": Code("failed", "A service couldn't be reached or didn't answer.", "Retry when it is back."),
    "AF-HTTP-DECODE": Code(
        "failed", "A service's answer is cut off or damaged.", "Retry; else look at its Content-Encoding."
    ),
    "AF-HTTP-SIZE": Code("failed", "A service's answer is too large.", "Ask for less, or fetch it into a file."),
    "AF-SCRIPT-START": Code("missing", "A script can't be started.", "Check the command, its folder and arguments."),
    "AF-SCRIPT-EXIT": Code("failed", "A script ended with an error.", "Read what it printed."),
    "AF-SCRIPT-OUTPUT": Code("failed", "A script printed too much.", "Write large data into a file."),
    "AF-SCRIPT-JSON": Code("failed", "A script didn't print JSON.", "Print JSON only, or use output_format: text."),
    "AF-PYTHON-DENIED": Code("denied", "A Python module isn't allowed.", "List it under python.modules."),
    "AF-PYTHON-UNKNOWN": Code("unknown", "There is no such Python function.", "Check module and name."),
    "AF-PYTHON-IMPORT": Code(
        "failed", "A Python module fails when it is imported.", "Correct the module at the line that is named."
    ),
    "AF-PYTHON-ARGUMENTS": Code(
        "invalid", "A Python function doesn't take the step's input.", "Name the input's keys like its parameters."
    ),
    "AF-PYTHON-RAISED": Code(
        "failed",
        "A Python function raised an exception.",
        "Read its class, its message and the lines of your code: agentflow runs show RUN --step STEP.",
    ),
    "AF-SERVE-OPEN": Code(
        "denied", "Strangers could reach the server, and nobody has to say who it is.", "Add `auth` to the config."
    ),
    "AF-SERVE-ADDRESS": Code("failed", "The server can't listen on this address.", "Name one of this machine's."),
    "AF-PORT-TAKEN": Code("conflict", "Another program uses the port.", "Take another one: --port."),
    "AF-AUTH-TOKEN": Code("missing", "A token of the config's `auth` has no value.", "Set its environment variable."),
    "AF-CARD-KEY": Code(
        "missing",
        "The key that signs the card can't be used.",
        "Give a private key in PEM: EC, Ed25519 or RSA.",
    ),
    "AF-INSTALL": Code("missing", "A package that is needed isn't installed.", "Install what the message names."),
    "AF-TOOL-UNKNOWN": Code("unknown", "There is no such tool.", "Check its name, and the config's `tools`."),
    "AF-TOOL-FAILED": Code("failed", "A tool failed.", "Read its message."),
    "AF-TOOL-ARGUMENTS": Code("invalid", "A tool's arguments don't fit.", "Correct the step's `input`."),
    "AF-TOOL-CONNECTION": Code("failed", "A tool's server can't be reached.", "Look at the server; retry."),
    "AF-TOOL-RESULT": Code("failed", "A tool's result isn't what its server promises.", "Look at the server."),
    "AF-TOOL-CANCELED": Code("failed", "A tool's task was cancelled where it runs.", "Ask who cancelled it; retry."),
    "AF-CONNECTION-UNKNOWN": Code("invalid", "The config has no such connection.", "List it under `connections:`."),
    "AF-AGENT-UNKNOWN": Code("unknown", "There is no such agent.", "Check its name, and the config's `agents`."),
    "AF-AGENT-CANCELED": Code(
        "failed", "An agent's turn was canceled.", "Tolerate it with on_error: continue, or retry the run from there."
    ),
    "AF-AGENT-FAILED": Code("failed", "An agent failed.", "Read its message."),
    "AF-AGENT-TOKEN": Code(
        "invalid", "The variable of an agent's token isn't a secret of the config.", "List it in `env`, not as public."
    ),
    "AF-AGENT-REJECTED": Code("failed", "An agent has rejected what it was asked.", "Read its message."),
    "AF-AGENT-REFUSED": Code("failed", "An agent has refused a request.", "Read its message; compare with its card."),
    "AF-AGENT-DENIED": Code("denied", "An agent lets nobody in with these credentials.", "Check the agent's token."),
    "AF-AGENT-CARD": Code("failed", "An agent's card can't be used.", "Check the agent's `url` in the config."),
    "AF-AGENT-UNREACHABLE": Code("failed", "An agent can't be reached.", "See that it runs; check its `url`."),
    "AF-AGENT-LOST": Code("failed", "An agent doesn't know its task any more.", "Retry the step: it asks anew."),
    "AF-AGENT-DEPTH": Code(
        "failed", "Agents ask one another in a chain that is too long.", "See that no two of them ask each other."
    ),
    "AF-CONFIG-INVALID": Code("invalid", "A config or a workflow isn't valid.", "Correct the places that are named."),
    "AF-CONFIG-NOT-FOUND": Code("unknown", "There is no such config file.", "Name one, or run in its folder."),
    "AF-CONFIG-UNREADABLE": Code(
        "invalid", "A file can't be read as text.", "Save it as UTF-8; check its permissions."
    ),
    "AF-YAML-SYNTAX": Code("invalid", "The YAML can't be read.", "Correct the text at the place."),
    "AF-YAML-TEMPLATE": Code("invalid", "A template isn't quoted, so YAML reads a mapping.", "Put it into quotes."),
    "AF-YAML-KEY": Code("invalid", "A key of a mapping isn't a text.", "Quote texts that begin with a brace."),
    "AF-YAML-MERGE": Code("invalid", "Merge keys (<<) aren't supported.", "Repeat the fields, or alias a value."),
    "AF-YAML-TAG": Code("invalid", "YAML tags aren't supported.", "Leave the tag out; quote what must stay text."),
    "AF-YAML-ALIAS": Code("invalid", "A YAML alias can't be followed.", "Define the anchor first; repeat less."),
    "AF-YAML-DOCUMENTS": Code("invalid", "A file holds more than one document.", "Use a file each, and `include`."),
    "AF-JSON-SYNTAX": Code("invalid", "The JSON can't be read.", "Correct the text at the place."),
    "AF-AUTH-NEEDED": Code("missing", "There are no credentials for a connection.", "Sign in to it, or set it up."),
    "AF-AUTH-DENIED": Code("denied", "Whoever was asked to sign in, or the service, refused.", "Sign in, and consent."),
    "AF-AUTH-DECLINED": Code("failed", "A step's connection was declined.", "Retry the run, and sign in when it asks."),
    "AF-AUTH-STATE": Code("denied", "The answer to a login isn't one that was asked for here.", "Begin anew."),
    "AF-AUTH-TIMEOUT": Code("timeout", "Nobody has signed in in time.", "Begin anew."),
    "AF-AUTH-SCOPES": Code("denied", "A login granted fewer permissions than are needed.", "Sign in, and grant all."),
    "AF-AUTH-REFUSED": Code("failed", "An authorization server refused a request.", "Check the client in the config."),
    "AF-AUTH-SERVER": Code("failed", "An authorization server can't be asked.", "Check its address; try again."),
    "AF-AUTH-NO-LOGIN": Code("usage", "A connection's credentials stand in the config.", "There is nothing to do."),
    "AF-SEAL-KEY": Code("invalid", "AGENTFLOW_KEY holds no key.", "Set it to 32 random bytes in base64, or unset it."),
    "AF-SEAL-FILE": Code(
        "denied", "The key file beside the store can't be used.", "Read why; chmod 600, or restore it."
    ),
    "AF-SEAL-BROKEN": Code(
        "invalid",
        "A sealed text was changed, or sealed for something else or with another key.",
        "Bring it as it was given; keep old keys in AGENTFLOW_KEY.",
    ),
    "AF-KEY-DUPLICATE": Code("invalid", "A key appears twice in one mapping.", "Remove or rename one of the two."),
    "AF-NUMBER-RANGE": Code("invalid", "A number has no JSON form.", "Quote it if it is meant as text."),
    "AF-DEFINITION-DEPTH": Code("invalid", "Values are nested too deep.", "Move the inner part into its own workflow."),
    "AF-DEFINITION-SIZE": Code("invalid", "A definition is larger than 16 MiB.", "Split it and use `include`."),
    "AF-FIELD-UNKNOWN": Code("invalid", "There is no such field.", "Use the suggested name, or remove it."),
    "AF-FIELD-MISSING": Code("invalid", "A required field isn't there.", "Add it."),
    "AF-FIELD-TYPE": Code("invalid", "A field's value has the wrong type.", "Write a value of the type it names."),
    "AF-FIELD-VALUE": Code("invalid", "A field's value isn't allowed.", "Write one that the message names."),
    "AF-STEP-TYPE": Code("invalid", "There is no such step type.", "See `agentflow steps`."),
    "AF-SHELL-REFERENCE": Code(
        "invalid",
        "A reference stands where its value would become a program, or text that a program or a shell runs.",
        "Give it to the script by `env`.",
    ),
    "AF-WORKFLOW-DUPLICATE": Code("invalid", "Two workflows have the same id.", "Rename one of the two."),
    "AF-INCLUDE-CYCLE": Code("invalid", "Files include each other.", "Remove one of the includes."),
    "AF-INCLUDE-LIMIT": Code("invalid", "Too many files are included.", "Put several workflows into one file."),
    "AF-INCLUDE-MISSING": Code("invalid", "An include matches no file.", "Paths are relative to the including file."),
    "AF-PYTHON-MODULE": Code("invalid", "A tool or an agent uses a module that isn't listed.", "List it."),
    "AF-SKILL-UNKNOWN": Code("invalid", "There is no such native skill.", "Use one of those that the message names."),
    "AF-GRAPH-DUPLICATE": Code(
        "invalid",
        "Two steps of one scope have the same id; all branches of one condition or switch are one.",
        "Rename one.",
    ),
    "AF-GRAPH-DEPENDS": Code("invalid", "A step depends on one that isn't in its list.", "Use an id of the same list."),
    "AF-GRAPH-CYCLE": Code("invalid", "Steps wait for each other.", "Remove one of the dependencies."),
    "AF-GRAPH-CALLS": Code("invalid", "Workflows call each other in a circle.", "Remove one of the calls."),
    "AF-GRAPH-SLOT": Code(
        "invalid", "A step needs a concurrency key that the steps around it hold.", "Give the inner step another key."
    ),
    "AF-GRAPH-UNREACHABLE": Code("invalid", "A step can never run.", "Give the `end` before it an `if`, or remove it."),
    "AF-WORKFLOW-ID": Code("invalid", "A workflow's id has characters that ids can't have.", "Use the `label`."),
    "AF-STEP-ID": Code("invalid", "A step's id has characters that ids can't have.", "Use letters, digits, _ and -."),
    "AF-STEP-ONCE": Code("invalid", "A step that runs at most once would be retried.", "Remove the retry."),
    "AF-GATE-INVALID": Code("invalid", "A gate of a step can't be asked like this.", "Do what the hint says."),
    "AF-LOOP-ENDLESS": Code("invalid", "A loop has no limit.", "Give it max_iterations."),
    "AF-SWITCH-EMPTY": Code("invalid", "A switch has no cases.", "Give it cases, or remove it."),
    "AF-END-SCOPE": Code("invalid", "A step ends something that isn't around it.", "Name run, or a step around it."),
    "AF-REPLY-TEMPLATE": Code("invalid", "A button_template has no list to work on.", "Give buttons_from a list."),
    "AF-REF-STEP": Code("invalid", "A reference names an unknown step.", "Use the suggested name."),
    "AF-REF-FIELD": Code("invalid", "A reference names a field that a result doesn't have.", "Use one that it has."),
    "AF-REF-INPUT": Code("invalid", "A reference names an input that isn't declared.", "Declare it, or correct it."),
    "AF-REF-ENV": Code("invalid", "A reference names an env value that isn't listed.", "List it under `env:`."),
    "AF-REF-CONTEXT": Code("invalid", "A shared key isn't declared.", "Declare it under the workflow's `context:`."),
    "AF-REF-WITH": Code("invalid", "A reference names a value that `with` lacks.", "Add it to the step's `with`."),
    "AF-REF-LOOP": Code("invalid", "A loop's name is used outside of the loop.", "Use it inside the loop only."),
    "AF-REF-ORDER": Code(
        "invalid", "A reference reads a step that may not be done yet.", "Depend on it, or write the reference with ?."
    ),
    "AF-REF-TYPE": Code("invalid", "A reference's declared type doesn't fit its place.", "Convert it, or correct one."),
    "AF-REF-WORKFLOW": Code("invalid", "A step calls an unknown workflow.", "Use the suggested name."),
    "AF-REF-PROVIDER": Code("invalid", "The config has no such tool or agent.", "Use the suggested name."),
    "AF-CALL-INPUT": Code("invalid", "A called workflow's input doesn't fit.", "Give the inputs that it declares."),
    "AF-CONDITION-NEVER": Code("invalid", "A comparison can have only one outcome.", "Use one of the declared values."),
    "AF-SECRET-PLACE": Code(
        "invalid", "A secret stands where it would be kept, or sent.", "See where secrets may stand."
    ),
    "AF-SECRET-SHORT": Code(
        "invalid",
        "A value is too short to be kept secret: texts have it by chance.",
        "Mark the variable as `public: true`, or take a value of four characters or more.",
    ),
    "AF-TEMPLATE-SYNTAX": Code("invalid", "A template is written wrongly.", "Correct it at the place."),
    "AF-CONDITION-SYNTAX": Code("invalid", "A condition can't be understood.", "Correct it at the place."),
    "AF-CONDITION-SIZE": Code("invalid", "A condition is too long.", "Compute a part of it in a step before."),
    "AF-REF-TEXT": Code("failed", "A value can't be written into a text.", "Use the reference without text around."),
    "AF-REF-JSONPATH": Code("failed", "A JSONPath can't be evaluated.", "Look at the values that it reads."),
    "AF-TEMPLATE-ROOT": Code(
        "invalid",
        "A text looks like a reference and isn't quite one.",
        "Write {input.x}, {steps.ID.x}, … without spaces or $.",
    ),
    "AF-TEMPLATE-BRACES": Code("invalid", "Two braces stand for a literal one.", "Use single braces in templates."),
    "AF-SCHEMA-INVALID": Code("invalid", "A JSON Schema isn't valid.", "Correct it at the place."),
    "AF-SCHEMA-HEADER": Code(
        "invalid", "An x-mcp-header isn't valid.", "Name a header, once, on a text, an integer or a boolean."
    ),
    "AF-SCHEMA-DEFAULT": Code("invalid", "A default doesn't fit its own schema.", "Correct one of the two."),
    "AF-RETRY-KIND": Code(
        "invalid", "A retry policy names no kind of failure.", "Name a kind that the message lists, or a code."
    ),
    "AF-SKILL-INVALID": Code("invalid", "A requirement's id isn't valid.", "Write native:shell or provider:service."),
    "AF-ENTRY-DUPLICATE": Code("invalid", "Two entry points have the same id.", "Rename one of the two."),
    "AF-ENTRY-STEP": Code("invalid", "An entry point starts at an unknown step.", "Name a top-level step."),
    "AF-ENTRY-PRESET": Code("invalid", "An entry point presets an unknown step.", "Name a top-level step."),
    "AF-ENTRY-INPUT": Code("invalid", "An entry point requires an undeclared input.", "Declare it, or correct it."),
    "AF-TRIGGER-DUPLICATE": Code("invalid", "Two triggers answer to the same name.", "Rename or remove one of them."),
    "AF-TRIGGER-RESERVED": Code(
        "invalid", "A slash command is reserved for channels, or a tool's name for agentflow.", "Choose another name."
    ),
    "AF-TRIGGER-NAME": Code(
        "invalid", "A slash command isn't one word, or a tool's name has other characters.", "Use one plain word."
    ),
    "AF-CRON-INVALID": Code("invalid", "A cron expression isn't valid or never comes.", "Write five fields."),
    "AF-CRON-ZONE": Code("invalid", "There is no such time zone.", "Use an IANA name, such as Europe/Berlin."),
    "AF-CRON-SECONDS": Code("invalid", "A cron expression has six fields.", "The first one counts seconds."),
    "AF-WAIT-OPEN": Code("parked", "The run waits for an answer.", "Answer it: agentflow waits answer WAIT."),
    "AF-WAIT-UNKNOWN": Code("unknown", "There is no such wait.", "See `agentflow waits`."),
    "AF-WAIT-INVALID": Code(
        "invalid", "An answer, or a default, doesn't fit its wait.", "Correct it; an open wait stays open."
    ),
    "AF-WAIT-HUMAN": Code(
        "denied", "Only a person may answer the wait.", "Answer it on its page, or with agentflow waits answer."
    ),
    "AF-WAIT-CONFLICT": Code(
        "conflict", "A wait was answered before, or closed.", "Look at the run: the first answer counts."
    ),
    "AF-RUN-UNKNOWN": Code("unknown", "There is no such run.", "See `agentflow runs list`."),
    "AF-RUN-CHILD": Code("conflict", "A child run isn't retried by itself.", "Retry its root run from the step."),
    "AF-RUN-ENDED": Code("conflict", "The run has ended already.", "Start it anew, or retry it."),
    "AF-RUN-NOT-PAUSED": Code("conflict", "The run isn't paused.", "Nothing has to be done."),
    "AF-RUN-CANCELED": Code("canceled", "The run was canceled.", "Start it anew, or retry it."),
    "AF-TIME-OVER": Code(
        "timeout",
        "The time given with --timeout is over. What the store had taken by then is saved.",
        "Watch the run: it goes on from there.",
    ),
    "AF-WORKFLOW-UNKNOWN": Code("unknown", "There is no such workflow.", "Use one of the config's workflows."),
    "AF-STEP-UNKNOWN": Code("unknown", "The run has no such step.", "See `agentflow runs show RUN`."),
    "AF-STEP-TYPE-UNKNOWN": Code("unknown", "There is no such step type to look up.", "See `agentflow steps`."),
    "AF-CODE-UNKNOWN": Code("unknown", "There is no such error code.", "Check its spelling."),
    "AF-SCHEMA-NONE": Code("unknown", "The workflow declares no input schema.", "Declare its `input`."),
    "AF-ID-AMBIGUOUS": Code("conflict", "Several ids end like this.", "Give more characters."),
    "AF-INPUT-INVALID": Code("invalid", "An input doesn't fit, or can't be read.", "Correct it; no run was made."),
    "AF-WAIT-AMBIGUOUS": Code(
        "conflict",
        "A run was answered that waits for more than one answer.",
        "Answer one of its waits: agentflow waits list.",
    ),
    "AF-WAIT-CLOSED": Code(
        "conflict",
        "The wait ended without an answer: it timed out, or its run ended.",
        "Look at the run: agentflow runs show.",
    ),
    "AF-RUN-NOT-WAITING": Code(
        "conflict", "A run was answered that waits for no answer.", "Look at what it does: agentflow runs show."
    ),
    "AF-WAIT-TOO-LARGE": Code("invalid", "An answer is larger than 4 MiB.", "Answer with the place of a file instead."),
    "AF-RESULT-INVALID": Code(
        "failed", "A step's result couldn't be read back as it is.", "Return plain data, and mend the place it names."
    ),
    "AF-RESULT-TOO-LARGE": Code(
        "failed", "A step's result is larger than 4 MiB.", "Write it to a file or an artifact and return its place."
    ),
    "AF-STEP-RAISED": Code(
        "failed",
        "The code of a step type raised an exception.",
        "Read its class, its message and the lines of the code: agentflow runs show RUN --step STEP.",
    ),
    "AF-TIMEOUT": Code(
        "failed",
        "An attempt took longer than its timeout.",
        "Raise the timeout, or tolerate it with on_error: continue.",
    ),
    "AF-STEP-FAILED": Code("failed", "A step failed.", "Look at it: agentflow runs show --step."),
    "AF-RUN-STUCK": Code(
        "failed",
        "Nothing can go on: steps wait for what can't come any more.",
        "Mend depends_on_any, or tolerate the failure it names.",
    ),
    "AF-WORKER-INVALID": Code(
        "invalid",
        "The worker of a step sent something that can't be read.",
        "Run the same version of agentflow there and here.",
    ),
    "AF-TOKENS-INVALID": Code(
        "invalid",
        "The usage that a step tells isn't numbers of tokens, or no cost.",
        "Give whole numbers, and a cost from 0 on.",
    ),
    "AF-BUDGET-STOPPED": Code(
        "failed",
        "A run's budget was spent, and an operator has stopped it.",
        "Raise the workflow's budget, and retry the run from the step that was next.",
    ),
    "AF-INTERRUPTED": Code(
        "failed",
        "A step that runs at most once was interrupted by a crash.",
        "Find out what it did, then retry the run from it.",
    ),
    "AF-STEP-CRASHED": Code(
        "failed",
        "A step was running in five crashes of its process.",
        "Look at what it does to the process: memory, native code, signals.",
    ),
    "AF-LIMIT-DEPTH": Code(
        "failed", "Sub-workflows are nested more than 100 levels deep.", "Look for one that starts itself."
    ),
    "AF-OUTPUT-INVALID": Code(
        "failed",
        "A run's output can't be kept or doesn't fit the output_schema.",
        "Mend the output template or the schema.",
    ),
    "AF-CHILD-CANCELED": Code(
        "failed", "The child run of a workflow step was cancelled.", "Retry the run from that step."
    ),
    "AF-CHILD-FAILED": Code(
        "failed", "The child run of a workflow step failed.", "Look at it: agentflow runs show --tree."
    ),
    "AF-WAIT-DECLINED": Code(
        "failed",
        "Somebody declined to answer a wait.",
        "Tolerate it with on_error: continue, or retry the run from there.",
    ),
    "AF-APPROVAL-REJECTED": Code(
        "failed", "Nobody has approved a step, so it hasn't run.", "Retry the run from the step: it asks again."
    ),
    "AF-APPROVAL-CHANGED": Code("failed", "A step would do what wasn't approved.", "Retry from there: it asks again."),
    "AF-REVIEW-REJECTED": Code(
        "failed", "What a step has given wasn't accepted.", "Retry the run from the step; what it did outside is done."
    ),
    "AF-WAIT-TIMEOUT": Code(
        "failed", "Nobody answered a wait in time, and it has no default.", "Give it a default, or a longer timeout."
    ),
    "AF-RUN-ACTIVE": Code("conflict", "A run was to be retried that hasn't ended.", "Wait for its end, or cancel it."),
    "AF-ENTRY-UNKNOWN": Code(
        "unknown", "The workflow has no such entry point.", "List them: agentflow graph, or look into the config."
    ),
    "AF-EVENT-INVALID": Code(
        "invalid", "A published event isn't data that could be read back.", "Correct the place that is named."
    ),
    "AF-EVENT-TOO-LARGE": Code(
        "invalid", "A published event is larger than limits.event_size.", "Publish the place of a file instead."
    ),
    "AF-INPUT-UNKNOWN": Code(
        "invalid", "The workflow declares no input of this name.", "Correct the name, or declare it; no run was made."
    ),
    "AF-INPUT-TOO-LARGE": Code("invalid", "An input is larger than 4 MiB.", "Pass the place of a file instead."),
    "AF-SHUTTING-DOWN": Code(
        "conflict", "The engine is closing and starts nothing more.", "Start it with the next engine."
    ),
    "AF-KEY-CONFLICT": Code(
        "conflict", "An idempotency key was used before, with other input.", "Take another key, or the same input."
    ),
    "AF-CONDITION-FAILED": Code(
        "failed", "A condition can't be evaluated.", "Test for missing values first, such as x != null && x > 3."
    ),
    "AF-REF-MISSING": Code(
        "failed",
        "A reference has no value when it is needed.",
        "Correct it, or write ? before its brace if it may be missing.",
    ),
    "AF-LOOP-ITEMS": Code(
        "failed", "A for_each got something that isn't a list.", "Loop over a list, or a reference to one."
    ),
    "AF-LOOP-LIMIT": Code("failed", "A loop reached max_iterations.", "Raise it, or mend the condition."),
}
