-- Facts of a store: counters that must outlive the rows they count.
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
-- run_keys: highest reserved key of a run. pos: highest position of a deleted event. scratch: what sizing the log writes.
INSERT INTO meta VALUES ('run_keys', 0), ('pos', 0), ('scratch', 0);

CREATE TABLE definitions (digest TEXT PRIMARY KEY, body BLOB NOT NULL);

-- The small part of a run: what every commit changes and what lists filter by.
CREATE TABLE heads (
  key INTEGER PRIMARY KEY,
  root INTEGER NOT NULL,
  parent INTEGER,
  seq INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  born INTEGER NOT NULL,      -- how many step rows it was given: the order of their first insertion
  extras INTEGER NOT NULL,    -- 1: it had tasks, timers, subscriptions or slots, to be closed at its end
  updated_at REAL NOT NULL,
  epoch INTEGER NOT NULL,     -- of the root: who holds the tree, and how often it was taken
  holder TEXT,
  asleep INTEGER NOT NULL,    -- 1: released, with nothing to do until a command comes or a timer is due
  state TEXT NOT NULL,
  paused INTEGER NOT NULL,
  workflow TEXT NOT NULL,
  owner TEXT NOT NULL,
  context_id TEXT NOT NULL,
  idempotency_key TEXT,
  created_at REAL NOT NULL,
  ended_at REAL,
  reason TEXT,
  message TEXT,
  now_text TEXT,
  output_step INTEGER,
  last_response INTEGER,
  error BLOB,
  memo BLOB,
  output BLOB
);
CREATE UNIQUE INDEX heads_idempotency ON heads (owner, workflow, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX heads_newest ON heads (created_at) WHERE parent IS NULL;
CREATE INDEX heads_state ON heads (state, created_at) WHERE parent IS NULL;
CREATE INDEX heads_workflow ON heads (workflow, created_at) WHERE parent IS NULL;
CREATE INDEX heads_children ON heads (parent) WHERE parent IS NOT NULL;
CREATE INDEX heads_tree ON heads (root) WHERE parent IS NOT NULL;
CREATE INDEX heads_holder ON heads (holder) WHERE holder IS NOT NULL;
CREATE INDEX heads_ready ON heads (key)
  WHERE parent IS NULL AND holder IS NULL AND asleep = 0 AND paused = 0 AND state IN ('submitted', 'working');

-- The part of a run that is written once.
CREATE TABLE runs (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  ending TEXT NOT NULL,       -- the id reversed: found by its ending
  parent_step INTEGER,
  definition TEXT NOT NULL,
  entry_point TEXT,
  door TEXT NOT NULL,
  labels TEXT,
  pins TEXT,
  fingerprint TEXT,
  retry_of TEXT,
  start_message BLOB,
  input BLOB NOT NULL
);
CREATE UNIQUE INDEX runs_ending ON runs (ending);

CREATE TABLE labels (name TEXT, value TEXT, run INTEGER, PRIMARY KEY (name, value, run)) WITHOUT ROWID;
CREATE TABLE context (run INTEGER PRIMARY KEY, data BLOB NOT NULL);

CREATE TABLE steps (
  key INTEGER PRIMARY KEY,    -- run << 32 | number
  born INTEGER NOT NULL,
  address TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  phase TEXT,
  attempt INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  task TEXT,
  started_at REAL,
  ended_at REAL,
  error BLOB,
  memo BLOB,
  hash INTEGER,               -- of the result
  result BLOB
);

CREATE TABLE events (
  pos INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  task TEXT,                  -- NULL: the run's own
  generation INTEGER,
  type TEXT NOT NULL,
  step TEXT,
  data BLOB,
  at REAL NOT NULL,
  UNIQUE (run, seq)
);

CREATE TABLE timers (
  run INTEGER, n INTEGER, kind TEXT,
  root INTEGER NOT NULL,
  due REAL NOT NULL,
  entry INTEGER NOT NULL,
  PRIMARY KEY (run, n, kind)
) WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due);
CREATE INDEX timers_root ON timers (root, due);

CREATE TABLE tasks (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  ending TEXT NOT NULL,
  run INTEGER NOT NULL,
  n INTEGER NOT NULL,
  step TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0,
  expires_at REAL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  by TEXT,
  door TEXT,
  message_id TEXT,
  answered_at REAL,
  message TEXT,
  schema BLOB,
  details BLOB,
  answer BLOB
);
CREATE UNIQUE INDEX tasks_ending ON tasks (ending);
CREATE INDEX tasks_run ON tasks (run);
CREATE INDEX tasks_open ON tasks (created_at)
  WHERE state IN ('submitted', 'working', 'input-required', 'auth-required');

-- Commands for holders. Their numbers are cursors: never used twice.
CREATE TABLE inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  root INTEGER NOT NULL,
  run INTEGER NOT NULL,
  kind TEXT NOT NULL,
  n INTEGER NOT NULL,
  task TEXT,
  data BLOB NOT NULL
);
CREATE INDEX inbox_root ON inbox (root);

CREATE TABLE subscriptions (
  task TEXT PRIMARY KEY, run INTEGER NOT NULL, n INTEGER NOT NULL, step TEXT NOT NULL, topic TEXT NOT NULL,
  filter BLOB, since REAL NOT NULL
);
CREATE INDEX subscriptions_topic ON subscriptions (topic);
CREATE INDEX subscriptions_run ON subscriptions (run);

CREATE TABLE published (pos INTEGER PRIMARY KEY, id TEXT, topic TEXT NOT NULL, at REAL NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX published_id ON published (id) WHERE id IS NOT NULL;
CREATE INDEX published_topic ON published (topic, at);

CREATE TABLE slots (key TEXT, run INTEGER, n INTEGER, PRIMARY KEY (key, run, n)) WITHOUT ROWID;
CREATE INDEX slots_run ON slots (run, n);

CREATE TABLE shared (
  pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, key TEXT NOT NULL, address TEXT NOT NULL, value BLOB NOT NULL
);
CREATE INDEX shared_run ON shared (run);

CREATE TABLE artifacts (
  pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, artifact TEXT NOT NULL, append INTEGER NOT NULL, at REAL NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX artifacts_run ON artifacts (run);

CREATE TABLE messages (pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, task TEXT, at REAL NOT NULL, data BLOB NOT NULL);
CREATE INDEX messages_run ON messages (run);
