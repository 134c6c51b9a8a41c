"""Codes of what agentflow works with: stores, servers, sign-ins, skills, tools, agents, scripts, services."""

from __future__ import annotations

from agentflow.doors import Code

OUTSIDE: dict[str, Code] = {
    "AF-PLATFORM": Code("missing", "The system isn't supported.", "Use WSL, a container, Linux or macOS."),
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
    "AF-INIT-EXISTS": Code("conflict", "Files of a new project are there already.", "Take another folder: init DIR."),
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
    "AF-AUTH-NEEDED": Code("missing", "There are no credentials for a connection.", "Sign in to it, or set it up."),
    "AF-AUTH-DENIED": Code(
        "denied", "Whoever was asked to sign in, or a service, refused.", "Sign in, and consent; renew a token."
    ),
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
}
