"""The SQL of a commit, one text a purpose: the driver keeps them prepared."""

from __future__ import annotations

from typing import NamedTuple

# ruff: noqa: S608  the only text put in is a constant of this module

OF_RUN = (
    "events", "timers", "tasks", "subscriptions", "taken", "listened", "slots", "shared", "artifacts", "messages",
    "context", "pinned", "pushes", "usage",
)  # fmt: skip
"""Tables with rows of runs, named in their column `run`."""
OPEN_STATES = "('submitted', 'working', 'input-required', 'auth-required')"

# Most commits add to the log of a run and change nothing else of it: how far the log goes, it tells itself.
LAST_SEQ = "max(h.seq, coalesce((SELECT max(e.seq) FROM events e WHERE e.run = h.key), 0))"
LAST_AT = """
max(h.updated_at, coalesce((SELECT e.at FROM events e WHERE e.run = h.key ORDER BY e.seq DESC LIMIT 1), 0))
"""


class Place(NamedTuple):
    """What lists of tasks find a run by; of `PLACE`."""

    tenant: str
    owner: str
    context_id: str


HEAD = f"""
SELECT h.root, {LAST_SEQ}, h.generation, h.extras, {LAST_AT}, h.epoch, h.state FROM heads h WHERE h.key = ?
"""
# What an older version started belongs to no agent: it is anybody's.
IDEMPOTENT = """
SELECT key FROM heads h
WHERE h.tenant = ? AND h.owner = ? AND h.agent IN (?, '') AND h.workflow = ? AND h.idempotency_key = ?
"""
PLACE = "SELECT tenant, owner, context_id FROM heads WHERE key = ?"
LAST_POS = """
SELECT max((SELECT coalesce(max(pos), 0) FROM events), (SELECT value FROM meta WHERE name = 'pos'))
"""
LAST_PUBLISHED = "SELECT coalesce(max(pos), 0) FROM published"
OPEN_TASK = f"SELECT n, step, generation FROM tasks WHERE ending = ? AND state IN {OPEN_STATES}"

# Short: the driver looks a text up by all of its characters, for each row. Where columns aren't named, the values are
# those of the table in order.
NEW_HEAD = (
    "INSERT INTO heads(key,root,parent,seq,generation,born,extras,updated_at,epoch,holder,asleep,state,paused,workflow,"
    "owner,context_id,idempotency_key,created_at,changed_at,tenant,agent,retention,heard)"
    "VALUES(?1,?2,?3,?16,?17,0,?18,?19,?5,?6,0,?7,0,?8,?9,?10,?11,?4,?4,?12,?13,?14,?15)"
)
NEW_RUN = (
    "INSERT INTO runs(key,id,ending,parent_step,definition,entry_point,door,labels,pins,fingerprint,retry_of,messaged,"
    "input)VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
NEW_PIN = "INSERT OR IGNORE INTO pinned (run, digest) VALUES (?, ?)"
NEW_LABEL = "INSERT INTO labels VALUES (?, ?, ?)"

# The columns with indexes are named only where they change: else every commit would write the indexes too.
UPDATE_HEAD = "UPDATE heads SET seq=?,generation=?,extras=?,updated_at=? WHERE key=?"
_PATCH = """
UPDATE heads SET
  error = coalesce(?, error), output = coalesce(?, output), output_step = coalesce(?, output_step),
  message = coalesce(?, message), now_text = coalesce(?, now_text), last_response = coalesce(?, last_response),
  tolerated = coalesce(?, tolerated),
  memo = CASE WHEN ? IS NULL THEN memo ELSE nullif(?, x'') END,
"""
PATCH_HEAD = f"{_PATCH} reason = coalesce(?, reason) WHERE key = ?"
PATCH_STATE = f"""{_PATCH}
  reason = CASE WHEN ? THEN ? ELSE coalesce(?, reason) END, changed_at = coalesce(?, changed_at),
  state = ?, paused = coalesce(?, paused), ended_at = coalesce(?, ended_at)
WHERE key = ?
"""
_END = (
    "state=?,changed_at=?,reason=?,ended_at=?,output_step=coalesce(?,output_step),now_text=coalesce(?,now_text),"
    "memo=NULL,seq=?,generation=?,extras=?,updated_at=? WHERE key=?"
)
END_HEAD = f"UPDATE heads SET {_END}"
END_AND_RELEASE = f"UPDATE heads SET holder=NULL,asleep=0,{_END}"
TAKE = "UPDATE heads SET holder = ?, epoch = ?, asleep = 0 WHERE key = ?"
RELEASE = "UPDATE heads SET holder = NULL, asleep = ? WHERE key = ?"
HOLDER = "SELECT holder FROM heads WHERE key = ? AND parent IS NULL"

# The values are those of the row, with what the store adds behind them: to take rows apart would cost more than this.
UPSERT_STEP = (
    "INSERT INTO steps VALUES(?1<<32|?2,?18,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?19,?16,?17)ON CONFLICT DO "
    "UPDATE SET address=?3,state=?4,reason=?5,phase=?6,attempt=?7,tries=?8,entry=?9,crashes=?10,task=?11,started_at=?12"
    ",ended_at=?13,error=?14,memo=coalesce(?15,memo),hash=coalesce(?19,hash),result=coalesce(?16,result),ended_order=?17"
)
"""Of a `StepRow`, its place and the hash of its result."""
NEW_EVENT = "INSERT INTO events VALUES(?7,?8,?9,?5,?10,?1,?2,?3,?4)"
"""Of an `EventRow`, its position, run, number and generation."""
EVENT_POS, EVENT_GENERATION = 6, 9
"""Where position and generation stand among these."""

HOLD_TIMERS = "UPDATE timers SET due = due + ? WHERE run = ?"
DROP_TIMER = "DELETE FROM timers WHERE run = ? AND n = ? AND kind = ?"
SET_TIMER = """
REPLACE INTO timers (run, n, kind, root, due, entry, holder, agent)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, holder, agent FROM heads WHERE key = ?4
"""
HAND_TIMERS = "UPDATE timers SET holder = ?1 WHERE root = ?2 AND holder IS NOT ?1"

UPSERT_TASK = f"""
INSERT INTO tasks (id, ending, run, n, step, kind, state, expires_at, created_at, updated_at, message, schema, details,
  assignees, tenant, owner, context_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (ending) DO UPDATE SET
  n = excluded.n, step = excluded.step, kind = excluded.kind, state = excluded.state, expires_at = excluded.expires_at,
  updated_at = excluded.updated_at, message = excluded.message, schema = excluded.schema,
  details = coalesce(excluded.details, details),
  assignees = excluded.assignees
WHERE state IN {OPEN_STATES}
"""
CLOSE_TASK = f"""
UPDATE tasks SET state = ?, message = coalesce(?, message), updated_at = max(updated_at, ?)
WHERE ending = ? AND state IN {OPEN_STATES}
"""
CLOSE_TASKS = f"""
UPDATE tasks SET state = 'canceled', updated_at = max(updated_at, ?) WHERE run = ? AND state IN {OPEN_STATES}
"""
ANSWER_TASK = f"""
UPDATE tasks SET state = ?, answer = ?, by = ?, door = ?, message_id = ?, answered_at = ?, updated_at = ?,
  generation = coalesce(?, generation)
WHERE ending = ? AND state IN {OPEN_STATES}
"""
SET_GENERATION = "UPDATE tasks SET generation = ? WHERE ending = ?"
CLOSE_RUN = (
    "DELETE FROM timers WHERE run = ?",
    "DELETE FROM subscriptions WHERE run = ?",
    "DELETE FROM taken WHERE run = ?",
    "DELETE FROM listened WHERE run = ?",
)

SET_CONTEXT = "REPLACE INTO context (run, data) VALUES (?, ?)"
KEEP_POSITION = "UPDATE meta SET value = ?1 WHERE name = 'pos' AND value < ?1"
NEW_COMMAND = "INSERT INTO inbox (root, run, kind, n, task, data) VALUES (?, ?, ?, ?, ?, ?)"
DROP_COMMAND = "DELETE FROM inbox WHERE id = ?"
NEW_SUBSCRIPTION = """
REPLACE INTO subscriptions (task, run, n, step, tenant, owner, topic, filter, shared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
NEW_SHARED = "INSERT INTO shared (run, key, address, value) VALUES (?, ?, ?, ?)"
DROP_SHARED = "DELETE FROM shared WHERE run = ? AND address >= ? AND address < ?"
NEW_ARTIFACT = """
INSERT INTO artifacts (run, artifact, append, at, data, last_chunk, step, anew, generation, task)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
NEW_MESSAGE = "INSERT INTO messages (run, task, id, role, generation, at, data) VALUES (?, ?, ?, ?, ?, ?, ?)"

KEEP_USAGE = "REPLACE INTO usage VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
KEEP_USED = "UPDATE runs SET usage = ? WHERE key = ?"

FIRST = (NEW_HEAD, NEW_RUN, NEW_PIN, NEW_LABEL)
"""What a commit writes before its steps and events, in order; then come these."""
THEN = (
    PATCH_HEAD, END_HEAD, END_AND_RELEASE, PATCH_STATE, SET_CONTEXT, TAKE, RELEASE, HAND_TIMERS, HOLD_TIMERS,
    DROP_TIMER, SET_TIMER, SET_GENERATION, DROP_SHARED, NEW_SHARED, NEW_ARTIFACT, NEW_MESSAGE, DROP_COMMAND,
    KEEP_POSITION, KEEP_USAGE, KEEP_USED,
)  # fmt: skip
"""What it writes after them, in order."""
