"""Codes of what is wrong with a config or a workflow before anything runs."""

from __future__ import annotations

from agentflow.doors import Code

CHECKS: dict[str, Code] = {
    "AF-STEP-INVALID": Code("invalid", "A step built in Python isn't valid.", "Correct the arguments that it names."),
    "AF-CONNECTION-UNKNOWN": Code("invalid", "The config has no such connection.", "List it under `connections:`."),
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
    "AF-TRIGGER-IDLE": Code(
        "invalid", "A trigger by a schedule or a webhook starts nothing yet.", "Start the run by cron, or a step recur."
    ),
    "AF-CRON-INVALID": Code("invalid", "A cron expression isn't valid or never comes.", "Write five fields."),
    "AF-CRON-ZONE": Code("invalid", "There is no such time zone.", "Use an IANA name, such as Europe/Berlin."),
    "AF-CRON-SECONDS": Code("invalid", "A cron expression has six fields.", "The first one counts seconds."),
}
