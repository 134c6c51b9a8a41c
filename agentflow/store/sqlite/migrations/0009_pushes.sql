-- Where changes of tasks are sent to. An outbox of them needs no rows of its own: each receiver has a place in the log.
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
CREATE UNIQUE INDEX pushes_id ON pushes (task_id, tenant, owner, id);
CREATE INDEX pushes_run ON pushes (run);
CREATE INDEX pushes_active ON pushes (agent, due) WHERE state = 'active';
CREATE INDEX pushes_failed ON pushes (created_at) WHERE state = 'failed';
