-- Written by tests/store/newest.py: all that the migrations make.
CREATE TABLE artifacts (
  pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, artifact TEXT NOT NULL, append INTEGER NOT NULL, at REAL NOT NULL,
  data BLOB NOT NULL
, generation INTEGER NOT NULL DEFAULT 0, last_chunk INTEGER NOT NULL DEFAULT 1, step INTEGER, anew INTEGER NOT NULL DEFAULT 0, task TEXT);
CREATE TABLE context (run INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE definitions (digest TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE elsewhere (
  turn TEXT PRIMARY KEY,      -- the turn's task
  agent TEXT NOT NULL,        -- of whom the run is
  type TEXT NOT NULL,         -- of the step
  step TEXT NOT NULL,
  state BLOB NOT NULL,
  ending TEXT NOT NULL        -- the turn reversed, as in tasks
) WITHOUT ROWID;
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
, heard INTEGER NOT NULL DEFAULT 0, tolerated INTEGER NOT NULL DEFAULT 0, tenant TEXT NOT NULL DEFAULT '', agent TEXT NOT NULL DEFAULT '', retention REAL, changed_at REAL NOT NULL DEFAULT 0);
CREATE TABLE inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  root INTEGER NOT NULL,
  run INTEGER NOT NULL,
  kind TEXT NOT NULL,
  n INTEGER NOT NULL,
  task TEXT,
  data BLOB NOT NULL
);
CREATE TABLE labels (name TEXT, value TEXT, run INTEGER, PRIMARY KEY (name, value, run)) WITHOUT ROWID;
CREATE TABLE listened (run INTEGER, wait TEXT, pos INTEGER NOT NULL, PRIMARY KEY (run, wait)) WITHOUT ROWID;
CREATE TABLE logins (
  key TEXT PRIMARY KEY,       -- digest of the state
  agent TEXT NOT NULL,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  connection TEXT NOT NULL,
  scopes BLOB NOT NULL,       -- JSON
  sealed TEXT NOT NULL,
  wait TEXT,
  created_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  taken_at REAL,
  outcome TEXT
) WITHOUT ROWID;
CREATE TABLE messages (
  pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, task TEXT, id TEXT, role TEXT NOT NULL, generation INTEGER NOT NULL,
  at REAL NOT NULL, data BLOB
);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pinned (run INTEGER, digest TEXT, PRIMARY KEY (run, digest)) WITHOUT ROWID;
CREATE TABLE published (
  pos INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, id TEXT, topic TEXT NOT NULL, at REAL NOT NULL,
  data BLOB NOT NULL
, tenant TEXT NOT NULL DEFAULT '', shared INTEGER NOT NULL DEFAULT 0);
CREATE TABLE pushes (
  key INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  task TEXT,                  -- as in events: NULL for the run's own
  task_id TEXT NOT NULL,
  id TEXT NOT NULL,
  tenant TEXT NOT NULL,       -- whose it is: who has asked for it
  owner TEXT NOT NULL,
  agent TEXT NOT NULL,        -- of whom the run is
  place TEXT NOT NULL,        -- where it goes, as far as everybody may know
  sealed TEXT NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL,                   -- NULL: when there is something new
  error TEXT,
  holder TEXT,                -- who sends it just now
  created_at REAL NOT NULL
);
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
  messaged BLOB,
  input BLOB NOT NULL
, usage BLOB);
CREATE TABLE shared (
  pos INTEGER PRIMARY KEY, run INTEGER NOT NULL, key TEXT NOT NULL, address TEXT NOT NULL, value BLOB NOT NULL
);
CREATE TABLE slots (key TEXT, run INTEGER, n INTEGER, place INTEGER NOT NULL DEFAULT 0, most INTEGER NOT NULL DEFAULT 1, within TEXT, PRIMARY KEY (key, run, n)) WITHOUT ROWID;
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
, ended_order INTEGER NOT NULL DEFAULT 0);
CREATE TABLE subscriptions (
  task TEXT PRIMARY KEY, run INTEGER NOT NULL, n INTEGER NOT NULL, step TEXT NOT NULL, owner TEXT NOT NULL,
  topic TEXT NOT NULL, filter BLOB
, tenant TEXT NOT NULL DEFAULT '', shared INTEGER NOT NULL DEFAULT 0);
CREATE TABLE taken (run INTEGER, pos INTEGER, task TEXT, PRIMARY KEY (run, pos, task)) WITHOUT ROWID;
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
, tenant TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL DEFAULT '', context_id TEXT NOT NULL DEFAULT '', assignees TEXT);
CREATE TABLE timers (
  run INTEGER, n INTEGER, kind TEXT,
  root INTEGER NOT NULL,
  due REAL NOT NULL,
  entry INTEGER NOT NULL, holder TEXT, agent TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run, n, kind)
) WITHOUT ROWID;
CREATE TABLE tokens (
  agent TEXT NOT NULL,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  connection TEXT NOT NULL,
  sealed TEXT NOT NULL,
  scopes BLOB NOT NULL,       -- JSON
  account TEXT,
  expires_at REAL,
  refreshable INTEGER NOT NULL,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at REAL NOT NULL,
  holder TEXT,                -- who fetches them anew just now…
  held_until REAL,            -- …and until when at most
  PRIMARY KEY (agent, tenant, owner, connection)
) WITHOUT ROWID;
CREATE TABLE usage (
  run INTEGER NOT NULL,
  n INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  model TEXT NOT NULL,
  at REAL NOT NULL,
  calls INTEGER NOT NULL,
  input INTEGER NOT NULL,
  output INTEGER NOT NULL,
  cached INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  unpriced INTEGER NOT NULL,
  root INTEGER NOT NULL,
  currency TEXT NOT NULL,
  PRIMARY KEY (run, n, attempt, entry, model)
) WITHOUT ROWID;
CREATE INDEX artifacts_run ON artifacts (run, generation);
CREATE INDEX events_task ON events (run, task, generation) WHERE generation IS NOT NULL;
CREATE INDEX heads_changed ON heads (state, changed_at) WHERE parent IS NULL AND state NOT IN ('submitted', 'working');
CREATE INDEX heads_children ON heads (parent) WHERE parent IS NOT NULL;
CREATE INDEX heads_context ON heads (context_id, created_at) WHERE parent IS NULL;
CREATE INDEX heads_holder ON heads (holder, agent) WHERE holder IS NOT NULL;
CREATE UNIQUE INDEX heads_idempotency ON heads (tenant, owner, agent, workflow, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX heads_listed ON heads (tenant, owner, state, changed_at)
  WHERE parent IS NULL AND state NOT IN ('submitted', 'working');
CREATE INDEX heads_newest ON heads (created_at) WHERE parent IS NULL;
CREATE INDEX heads_owner ON heads (tenant, owner, created_at) WHERE parent IS NULL;
CREATE INDEX heads_ready ON heads (agent, key)
  WHERE parent IS NULL AND holder IS NULL AND asleep = 0 AND paused = 0 AND state IN ('submitted', 'working');
CREATE INDEX heads_state ON heads (state, created_at) WHERE parent IS NULL;
CREATE INDEX heads_tree ON heads (root) WHERE parent IS NOT NULL;
CREATE INDEX heads_workflow ON heads (workflow, created_at) WHERE parent IS NULL;
CREATE INDEX inbox_root ON inbox (root);
CREATE INDEX logins_expiry ON logins (expires_at);
CREATE INDEX messages_id ON messages (id) WHERE id IS NOT NULL;
CREATE INDEX messages_task ON messages (run, task);
CREATE INDEX pinned_digest ON pinned (digest);
CREATE INDEX published_at ON published (tenant, owner, topic, at);
CREATE UNIQUE INDEX published_id ON published (tenant, owner, id) WHERE id IS NOT NULL;
CREATE INDEX published_shared ON published (tenant, topic) WHERE shared = 1;
CREATE INDEX published_topic ON published (tenant, owner, topic);
CREATE INDEX pushes_active ON pushes (agent, due) WHERE state = 'active';
CREATE INDEX pushes_failed ON pushes (created_at) WHERE state = 'failed';
CREATE UNIQUE INDEX pushes_id ON pushes (task_id, tenant, owner, id);
CREATE INDEX pushes_run ON pushes (run);
CREATE INDEX runs_definition ON runs (definition);
CREATE UNIQUE INDEX runs_ending ON runs (ending);
CREATE INDEX shared_run ON shared (run, address);
CREATE INDEX slots_queue ON slots (key, place);
CREATE INDEX slots_run ON slots (run, n);
CREATE INDEX subscriptions_run ON subscriptions (run);
CREATE INDEX subscriptions_topic ON subscriptions (tenant, topic, owner);
CREATE INDEX tasks_assigned ON tasks (tenant, created_at)
  WHERE assignees IS NOT NULL AND state IN ('submitted', 'working', 'input-required', 'auth-required');
CREATE INDEX tasks_context ON tasks (context_id, updated_at);
CREATE UNIQUE INDEX tasks_ending ON tasks (ending);
CREATE INDEX tasks_listed ON tasks (tenant, owner, state, updated_at);
CREATE INDEX tasks_open ON tasks (created_at)
  WHERE state IN ('submitted', 'working', 'input-required', 'auth-required');
CREATE INDEX tasks_run ON tasks (run);
CREATE INDEX tasks_state ON tasks (state, updated_at);
CREATE INDEX timers_due ON timers (holder, agent, due);
CREATE INDEX timers_root ON timers (root, due);
CREATE INDEX usage_root ON usage (root);
INSERT INTO meta VALUES ('pos', 0);
INSERT INTO meta VALUES ('run_keys', 0);
INSERT INTO meta VALUES ('scratch', 0);
INSERT INTO sqlite_sequence VALUES ('published', 0);
PRAGMA application_id = 1095126103;
PRAGMA user_version = 12;
