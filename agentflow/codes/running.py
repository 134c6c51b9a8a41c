"""Codes of runs, their steps and waits, and of commands about them."""

from __future__ import annotations

from agentflow.doors import Code

RUNNING: dict[str, Code] = {
    "AF-FAILED": Code("failed", "Something expected failed.", "Read the message."),
    "AF-DEFECT": Code("defect", "A fault of agentflow itself.", "Report it with the steps that led to it."),
    "AF-USAGE": Code("usage", "The command line was used wrongly.", "See the command's --help."),
    "AF-CONFLICT": Code("conflict", "The state of things doesn't allow it.", "Look at the run's state first."),
    "AF-OUTPUT-LOST": Code(
        "output", "The result couldn't be written to stdout.", "Make room, or keep its reader; what was done is done."
    ),
    "AF-REPLY-BUTTONS": Code(
        "failed", "A reply's buttons can't be made.", "Give buttons_from a list, and texts for each button's fields."
    ),
    "AF-SLOT-DEADLOCK": Code(
        "failed", "A step would wait for a concurrency key for ever.", "Give inner steps keys of their own."
    ),
    "AF-REF-TEXT": Code("failed", "A value can't be written into a text.", "Use the reference without text around."),
    "AF-REF-JSONPATH": Code("failed", "A JSONPath can't be evaluated.", "Look at the values that it reads."),
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
    "AF-SCHEMA-STALE": Code(
        "invalid",
        "Editors check the config by another version's schema, or by none.",
        "Run `agentflow schema --write`.",
    ),
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
