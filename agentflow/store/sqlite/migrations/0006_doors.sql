-- Whose a run is: the owner's in a tenant, of an agent. '': not known, of before.
ALTER TABLE heads ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE heads ADD COLUMN agent TEXT NOT NULL DEFAULT '';
DROP INDEX heads_idempotency;
CREATE UNIQUE INDEX heads_idempotency ON heads (tenant, owner, agent, workflow, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
DROP INDEX heads_owner;
CREATE INDEX heads_owner ON heads (tenant, owner, created_at) WHERE parent IS NULL;

-- Seconds that a run is kept after its end; NULL: as long as whoever purges says.
ALTER TABLE heads ADD COLUMN retention REAL;

-- When a task's state last changed, and lists by it: pages of a task list go on from there. Of waits it is updated_at.
ALTER TABLE heads ADD COLUMN changed_at REAL NOT NULL DEFAULT 0;
CREATE INDEX events_task ON events (run, task, generation) WHERE generation IS NOT NULL;
UPDATE heads SET changed_at = coalesce(
  ended_at, (SELECT max(e.at) FROM events e WHERE e.run = heads.key AND e.task IS NULL AND e.generation IS NOT NULL
    AND e.type IN ('run_started', 'run_status')), created_at);
-- Those that move are few and found by heads_state: a run that starts and ends at once is written here once.
CREATE INDEX heads_changed ON heads (state, changed_at) WHERE parent IS NULL AND state NOT IN ('submitted', 'working');
CREATE INDEX heads_listed ON heads (tenant, owner, state, changed_at)
  WHERE parent IS NULL AND state NOT IN ('submitted', 'working');

ALTER TABLE tasks ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN context_id TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN assignees TEXT;  -- JSON; NULL: the owner only
UPDATE tasks SET owner = h.owner, context_id = h.context_id FROM heads h WHERE h.key = tasks.run;
UPDATE tasks SET assignees = json_extract(CAST(details AS TEXT), '$.assignees')
  WHERE details IS NOT NULL AND json_valid(CAST(details AS TEXT));
CREATE INDEX tasks_state ON tasks (state, updated_at);
CREATE INDEX tasks_context ON tasks (context_id, updated_at);
CREATE INDEX tasks_listed ON tasks (tenant, owner, state, updated_at);
CREATE INDEX tasks_assigned ON tasks (tenant, created_at)
  WHERE assignees IS NOT NULL AND state IN ('submitted', 'working', 'input-required', 'auth-required');

-- Messages: whose and in which task, and with which change of it they came. data NULL: an answer, told by its task.
ALTER TABLE messages RENAME TO messages_before;
DROP INDEX messages_run;
CREATE TABLE messages (
  pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, task TEXT, id TEXT, role TEXT NOT NULL, generation INTEGER NOT NULL,
  at REAL NOT NULL, data BLOB
);
INSERT INTO messages (run, task, id, role, generation, at, data)
  SELECT r.key, NULL, CASE WHEN json_valid(t) THEN json_extract(t, '$.messageId') END, 'user',
    coalesce((SELECT min(generation) FROM events e WHERE e.run = r.key AND e.task IS NULL AND e.generation > 0), 0),
    r.created_at, r.start_message
  FROM (SELECT runs.*, CAST(start_message AS TEXT) t, h.created_at FROM runs JOIN heads h ON h.key = runs.key) r
  WHERE r.start_message IS NOT NULL ORDER BY r.key;
INSERT INTO messages (run, task, id, role, generation, at, data)
  SELECT m.run, m.task, CASE WHEN json_valid(m.t) THEN json_extract(m.t, '$.messageId') END, 'agent',
    coalesce(e.generation, 0), m.at, m.data
  FROM (SELECT *, CAST(data AS TEXT) t, row_number() OVER (PARTITION BY run, task ORDER BY pos) k FROM messages_before) m
  LEFT JOIN (SELECT run, generation, row_number() OVER (PARTITION BY run ORDER BY seq) k FROM events
    WHERE type = 'message' AND task IS NULL) e ON m.task IS NULL AND e.run = m.run AND e.k = m.k
  ORDER BY m.pos;
INSERT INTO messages (run, task, id, role, generation, at)
  SELECT k.run, k.id, k.message_id, 'user', coalesce((SELECT max(e.generation) FROM events e
    WHERE e.run = k.run AND e.task = k.id AND e.generation > 0 AND e.type = 'step_resumed'), 0), k.answered_at
  FROM tasks k WHERE k.answer IS NOT NULL AND k.door <> 'event' ORDER BY k.answered_at, k.key;
DROP TABLE messages_before;
CREATE INDEX messages_task ON messages (run, task);
CREATE INDEX messages_id ON messages (id) WHERE id IS NOT NULL;
-- Whether a message has started the run: its first one.
ALTER TABLE runs RENAME COLUMN start_message TO messaged;
UPDATE runs SET messaged = messaged IS NOT NULL;

-- Artifacts come in chunks, each a change of the task. step: number of the step that gave it. anew: what this step has
-- given of the artifact before counts no more.
ALTER TABLE artifacts ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE artifacts ADD COLUMN last_chunk INTEGER NOT NULL DEFAULT 1;
ALTER TABLE artifacts ADD COLUMN step INTEGER;
ALTER TABLE artifacts ADD COLUMN anew INTEGER NOT NULL DEFAULT 0;
UPDATE artifacts SET generation = f.generation, last_chunk = f.last
  FROM (SELECT a.pos, e.generation, e.last
    FROM (SELECT pos, run, row_number() OVER (PARTITION BY run ORDER BY pos) k FROM artifacts) a
    JOIN (SELECT run, generation, row_number() OVER (PARTITION BY run ORDER BY seq) k,
      CASE WHEN json_valid(CAST(data AS TEXT)) THEN coalesce(json_extract(CAST(data AS TEXT), '$.last_chunk'), 1)
        ELSE 1 END last
      FROM events WHERE type = 'artifact' AND task IS NULL AND generation IS NOT NULL) e ON e.run = a.run AND e.k = a.k
  ) f WHERE f.pos = artifacts.pos;
DROP INDEX artifacts_run;
CREATE INDEX artifacts_run ON artifacts (run, generation);

-- Published events stay in their tenant. shared: for other owners there too, who take them where their wait says so.
ALTER TABLE published ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE published ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
DROP INDEX published_id;
DROP INDEX published_topic;
DROP INDEX published_at;
CREATE UNIQUE INDEX published_id ON published (tenant, owner, id) WHERE id IS NOT NULL;
CREATE INDEX published_topic ON published (tenant, owner, topic);
CREATE INDEX published_at ON published (tenant, owner, topic, at);
CREATE INDEX published_shared ON published (tenant, topic) WHERE shared = 1;
ALTER TABLE subscriptions ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE subscriptions ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;  -- 1: takes other owners' events too
DROP INDEX subscriptions_topic;
CREATE INDEX subscriptions_topic ON subscriptions (tenant, topic, owner);
