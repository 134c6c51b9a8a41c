-- Published events have an owner, and positions that are never used again.
ALTER TABLE published RENAME TO published_before;
CREATE TABLE published (
  pos INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, id TEXT, topic TEXT NOT NULL, at REAL NOT NULL,
  data BLOB NOT NULL
);
INSERT INTO published SELECT pos, 'local', id, topic, at, data FROM published_before ORDER BY pos;
DROP TABLE published_before;
CREATE UNIQUE INDEX published_id ON published (owner, id) WHERE id IS NOT NULL;
CREATE INDEX published_topic ON published (owner, topic);
CREATE INDEX published_at ON published (owner, topic, at);

ALTER TABLE subscriptions RENAME TO subscriptions_before;
CREATE TABLE subscriptions (
  task TEXT PRIMARY KEY, run INTEGER NOT NULL, n INTEGER NOT NULL, step TEXT NOT NULL, owner TEXT NOT NULL,
  topic TEXT NOT NULL, filter BLOB
);
INSERT INTO subscriptions SELECT s.task, s.run, s.n, s.step, h.owner, s.topic, s.filter
  FROM subscriptions_before s JOIN heads h ON h.key = s.run ORDER BY s.rowid;
DROP TABLE subscriptions_before;
CREATE INDEX subscriptions_topic ON subscriptions (owner, topic);
CREATE INDEX subscriptions_run ON subscriptions (run);

-- Of a root: the last event that was published when it began.
ALTER TABLE heads ADD COLUMN heard INTEGER NOT NULL DEFAULT 0;
UPDATE heads SET heard = coalesce((SELECT max(p.pos) FROM published p WHERE p.at < heads.created_at), 0)
  WHERE parent IS NULL;

-- Events that waits of a tree have taken, by its root: no later wait of the tree gets them.
CREATE TABLE taken (run INTEGER, pos INTEGER, task TEXT, PRIMARY KEY (run, pos, task)) WITHOUT ROWID;
-- Up to where all events that waits of one kind could get are taken: the next one goes on from there.
CREATE TABLE listened (run INTEGER, wait TEXT, pos INTEGER NOT NULL, PRIMARY KEY (run, wait)) WITHOUT ROWID;

-- Definitions that a root run may still start sub-workflows of: a definition goes with the last run that refers to it.
CREATE TABLE pinned (run INTEGER, digest TEXT, PRIMARY KEY (run, digest)) WITHOUT ROWID;
CREATE INDEX pinned_digest ON pinned (digest);
INSERT OR IGNORE INTO pinned SELECT r.key, j.value FROM runs r JOIN heads h ON h.key = r.key, json_each(r.pins) j
  WHERE h.parent IS NULL AND r.pins IS NOT NULL;
CREATE INDEX runs_definition ON runs (definition);

-- How many failures a run tolerated, those of its sub-workflows included.
ALTER TABLE heads ADD COLUMN tolerated INTEGER NOT NULL DEFAULT 0;

-- What was written inside a container can be found.
DROP INDEX shared_run;
CREATE INDEX shared_run ON shared (run, address);
-- Who waits for a slot of a key, in order. place: position in the key's queue; 0: the step holds a slot.
ALTER TABLE slots ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE slots ADD COLUMN most INTEGER NOT NULL DEFAULT 1;  -- limit of the step
ALTER TABLE slots ADD COLUMN within TEXT;  -- JSON: [run, step] of the steps around it that hold slots
CREATE INDEX slots_queue ON slots (key, place);
-- Slots were taken before their steps were claimed: what a crash between the two has left.
DELETE FROM slots WHERE NOT EXISTS (
  SELECT 1 FROM steps s WHERE s.key = slots.run << 32 | slots.n AND s.state NOT IN ('completed', 'failed', 'canceled')
);
