"""What people see of each command, as data: on a terminal and in a pipe.

Ids stand as RUN and WAIT, durations and ages as #, times of day as @, dates as ISO, the local service's port as PORT;
several blanks as two; a text that is cut ends early, as where it is cut depends on the ages beside it. A line of `...`
stands for any lines.
"""

from __future__ import annotations

from dataclasses import dataclass

CONFIG = """\
skills: {"native:network": {private: true}}
workflows:
  report:
    input: {region: {type: string, default: emea}}
    steps:
      - id: fetch
        for_each: [emea, apac-south, us]
        type: api_call
        url: "http://127.0.0.1:PORT/{item}/{run.id}"
        retry: {max_attempts: 3, base: 1ms}
      - {id: summarise, type: set, values: {total: 28}}
      - id: review
        type: wait_for_input
        message: |-
          Approve the report?
          Total is {steps.summarise.total} for region {input.region}. 3 lines are above their limit.
        schema:
          type: object
          properties:
            decision: {enum: [approve, reject], description: What should happen to the report}
            amount: {type: number, minimum: 0, maximum: 1000, description: Budget in EUR, default: 250}
            note: {type: string}
          required: [decision]
      - {id: send, type: set, values: {sent: 12, total: 28}}
  mail:
    input: {region: {type: string, default: emea}}
    steps:
      - {id: summarise, type: set, values: {total: 28}}
      - id: send
        type: api_call
        method: POST
        url: "http://127.0.0.1:PORT/send"
        body: {total: 28}
        retry: {max_attempts: 3, base: 1ms}
      - {id: archive, type: set, values: {done: true}}
  hello:
    steps:
      - {id: greet, type: set, values: {text: hello}}
"""
BROKEN = """\
skills: [native:shell]
workflows:
  report:
    steps:
      - {id: summarise, type: set, values: {total: 28}}
      - id: review
        type: wait_for_input
        message: "Total {steps.summarize.total}"
      - id: send
        type: script
        command: "true"
        time_out: 30s
  tidy:
    steps:
      - id: archive
        type: set
        values: {a: 1}
        depends_on: [notify]
      - id: notify
        type: set
        values: {b: 1}
        depends_on: [archive]
"""
SICK = """\
tools:
  crm: {command: crm-mcp-that-is-not-there}
workflows:
  report:
    steps:
      - {id: build, type: script, command: "ls"}
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """One command and what it shows."""

    name: str
    command: str
    """WAIT: the newest open wait."""
    code: int
    terminal: str
    pipe: str
    """stderr, then stdout."""
    json: tuple[str, ...]
    """Texts that the one document holds, on stdout or, of an error, on stderr."""
    narrow: str | None = None
    """At 60 columns, where that differs."""
    wide: str | None = None
    """At 200 columns."""
    plain: str | None = None
    """Where nothing is drawn over."""
    keys: tuple[tuple[str, str], ...] = ()
    plain_keys: tuple[tuple[str, str], ...] = ()
    """The same where nothing is drawn over."""
    before: tuple[str, ...] = ()
    """A command in a pipe before it."""
    fresh: bool = False
    """It changes the store: it gets one of its own."""


_SCHEMA = '"required": ["decision"]'
_FORM = (
    ("reject", "\r"),
    (r"\[250\]: ", "5000\r"),
    ("maximum of 1000", ""),
    (r"\[250\]: ", "400\r"),
    ("leave out", "\r"),
)
_PLAIN = (("reject\\): ", "app\r"), *_FORM[1:])
_RUN = """\
run RUN  report  started

✔ fetch  3 of 3  #
  ↻ [1]  2 attempts (HTTP 503, then ok)
✔ summarise  total 28  #
✋ review  waits for you

  Approve the report?
  Total is 28 for region emea. 3 lines are above their limit.
...
  ✘ 5000 is greater than the maximum of 1000
...
✔ review  decision=approve, amount=400, by you  #
✔ send  sent 12, total 28  #

completed in # (+ # waiting)
{"sent": 12, "total": 28}
"""
_RUN_NARROW = _RUN.replace("amount=400, by you  #", "amount=400, b… #")
_PARKED = """\
run RUN report started
step fetch[1] retrying attempt=2 in=# error=AF-HTTP-STATUS
step fetch completed # 3/3
step summarise completed #
step review waiting wait=WAIT
The run waits for an answer. It is saved and goes on when somebody gives it.
  step:  review  "Approve the report? Total is 28 for region emea. 3 lines are above their limit."
  hint:  agentflow waits answer WAIT --set decision=approve
  hint:  give answers in advance with --answer review=@answer.json
"""
_LEFT = """\
run RUN  report  started
...
✋ review  waits for you
...
Left the run waiting. It is saved and goes on when somebody answers:
  agentflow waits answer WAIT --set decision=approve
  agentflow runs watch RUN
"""
_FAILURE = """\
error[AF-HTTP-STATUS]: step "send": HTTP 503 — Service Unavailable from POST http://127.0.0.1:PORT/send
  --> agentflow.yaml:29:13
  |
29 |  - id: send
  |  ^^^^ attempts at @, @, @
  = answer: {"error":"upstream down"}
  = hint: when the service is back: agentflow runs retry RUN --from send
"""
_FAILED = f"""\
run RUN  mail  started

✔ summarise  total 28  #
✘ send  3 attempts: HTTP 503  #
{_FAILURE}\
failed in #
"""
_TRIED = "↻ send  attempt {}: HTTP 503 — Service Unavailable from POST http://127.0.0.1:…\n"
_FAILED_PLAIN = _FAILED.replace("✘ send", f"{_TRIED.format(2)}{_TRIED.format(3)}✘ send")
_FAILED_PIPE = f"""\
run RUN mail started
step summarise completed #
step send retrying attempt=2 in=# error=AF-HTTP-STATUS
step send retrying attempt=3 in=# error=AF-HTTP-STATUS
step send failed # attempts=3 error=AF-HTTP-STATUS
{_FAILURE}\
run RUN failed #
"""
_PROBLEMS = """\
error[AF-REF-STEP]: unknown step "summarize" in a template
  --> broken.yaml:8:32
  |
8 |  message: "Total {steps.summarize.total}"
  |  ^^^^^^^^^ did you mean "summarise"?

error[AF-FIELD-UNKNOWN]: step "send" (script) has no field "time_out"
  --> broken.yaml:12:9
  |
12 |  time_out: #
  |  ^^^^^^^^ did you mean "timeout"?

error[AF-GRAPH-CYCLE]: Circular dependency detected: archive → notify → archive (these steps wait for each other)
  --> broken.yaml:18:22
  |
18 |  depends_on: [notify]
  |  ^^^^^^ and notify depends on archive at 22:22
  = hint: remove one of the two; a step of type "while" or "until" makes a loop

3 errors in 1 file
"""
_SHOWN = """\
run RUN  mail  ✘ failed  started @ by cli  #
cause: send: HTTP 503 — Service Unavailable from POST http://127.0.0.1:PORT/send  [AF-HTTP-STATUS, 3 attempts]
  answer: {"error":"upstream down"}

✔ summarise  set  #  {"total": 28}
✘ send  api_call  3 tries  #  HTTP 503
- archive  set  -  not run: send failed

input  {"region": "emea"}
kept  summarise
look  agentflow runs show RUN --step send  (attempts, log)
retry  agentflow runs retry RUN --from send  (keeps 1 step, runs 2)
"""
_DOCTOR = """\
agentflow VERSION · SYSTEM

! config  sick.yaml: 1 workflow, 1 warning
  fix: agentflow validate -f sick.yaml
✘ mcp  "crm": command "crm-mcp-that-is-not-there" not found
  fix: install it, or correct tools.crm.command (sick.yaml:2)
! skills  native:shell: the config doesn't grant it; needed by "build"
  fix: if you trust this config, add to it: skills: [native:shell]

1 problem, 2 warnings
"""
_INVALID = """\
error[AF-WAIT-INVALID]: the answer doesn't fit; the wait is still open
  amount: 5000 is greater than the maximum of 1000
  hint: agentflow waits show WAIT prints the schema and an example answer
"""
_CONFLICT = 'error[AF-WAIT-CONFLICT]: WAIT was answered # ago by you: {"decision": "approve"}\n'
_APPROVE = "waits answer WAIT --set decision=approve --detach"

_LIST = """\
ID  STATE  WORKFLOW  NOW  STARTED  ELAPSED
RUN  ✔ completed  hello  # ago  #
RUN  ✋ input-required  report  review: Approve…  # ago  -
RUN  ✘ failed  mail  send: HTTP 503…  # ago  #
3 of 3
"""

SCENES = (
    Scene("run with a wait", "run report --input region=emea", 0, _RUN, _PARKED, (_SCHEMA, '"error": null'),
          keys=_FORM, plain_keys=_PLAIN, narrow=_RUN_NARROW, fresh=True),
    Scene("run that is left", "run report", 75, _LEFT, _PARKED, (_SCHEMA, '"state": "input-required"'),
          keys=(("reject", "\x1b"),), plain_keys=(("reject\\): ", "\x04"),), fresh=True),
    Scene("run that fails", "run mail", 1, _FAILED, _FAILED_PIPE, ('"code": "AF-HTTP-STATUS"', '"step": "send"'),
          plain=_FAILED_PLAIN, fresh=True),
    Scene("validate", "validate broken.yaml", 65, _PROBLEMS, _PROBLEMS,
          ('"ok": false', "AF-REF-STEP", "AF-FIELD-UNKNOWN", "AF-GRAPH-CYCLE")),
    Scene("runs list", "runs list", 0, _LIST, """\
ID\tSTATE\tWORKFLOW\tNOW\tSTARTED\tELAPSED
RUN\tcompleted\thello\t\tISO\t#
RUN\tinput-required\treport\treview: Approve…\tISO\t-
RUN\tfailed\tmail\tsend: HTTP 503…\tISO\t#
""", ('"total": 3', '"state": "input-required"'), narrow="""\
ID  STATE  WORKFLOW  NOW
RUN  ✔ completed  hello
RUN  ✋ input-required  report  review: Approve…
RUN  ✘ failed  mail  send: HTTP 503…
3 of 3
"""),
    Scene("runs show", "runs show MAIL", 0, _SHOWN, _SHOWN, ('"state": "failed"', '"took": {"working": '),
          narrow=_SHOWN.replace("send failed", "send f…")),
    Scene("waits", "waits", 0, """\
ID  KIND  RUN  STEP  MESSAGE  AGE  TIMES OUT
WAIT  input  RUN  review  Approve the report…  #  -
""", """\
ID\tKIND\tRUN\tSTEP\tMESSAGE\tSINCE\tTIMES OUT
WAIT\tinput\tRUN\treview\tApprove the report? Total is 28 for region emea. 3 lines are above their limit.\tISO\t-
""", ('"kind": "input"', _SCHEMA), wide="""\
ID  KIND  RUN  STEP  MESSAGE  AGE  TIMES OUT
WAIT  input  RUN  review  Approve the report…  #  -
""", narrow="""\
ID  KIND  RUN  STEP  MESSAGE
WAIT  input  RUN  review  Approve the report…
"""),
    Scene("an answer that doesn't fit", "waits answer WAIT --set decision=approve --set amount=5000", 65, _INVALID,
          _INVALID, ('"code": "AF-WAIT-INVALID"', "greater than the maximum")),
    Scene("an answer", _APPROVE, 0, "answered WAIT. Run RUN goes on: agentflow runs watch RUN\n",
          "answered WAIT. Run RUN goes on: agentflow runs watch RUN\n", ('"value": {"decision": "approve"}',),
          before=("run report -q",), fresh=True),
    Scene("a second answer", "waits answer WAIT --set decision=reject", 73, _CONFLICT, _CONFLICT,
          ('"code": "AF-WAIT-CONFLICT"',), before=("run report -q", _APPROVE), fresh=True),
    Scene("doctor", "doctor -f sick.yaml --only config,mcp,skills", 69, _DOCTOR, _DOCTOR,
          ('"problems": 1', '"warnings": 2', '"state": "problem"')),
)  # fmt: skip
