-- A host goes on with the runs of its own agent, and with those of ''. Whatever stands there of before may be the name of
-- a folder, which nobody answers to any more: such runs are anybody's, as they were.
UPDATE OR IGNORE heads SET agent = '' WHERE agent <> '';
-- Of runs in progress that had one idempotency key in two folders, one keeps it.
UPDATE heads SET agent = '', idempotency_key = NULL
  WHERE agent <> '' AND state IN ('submitted', 'working', 'input-required', 'auth-required');
-- What is to be done is found by the agent of the tree, as by its holder: others' costs a host nothing.
ALTER TABLE timers ADD COLUMN agent TEXT NOT NULL DEFAULT '';
UPDATE timers SET agent = (SELECT h.agent FROM heads h WHERE h.key = timers.root);
DROP INDEX timers_due;
CREATE INDEX timers_due ON timers (holder, agent, due);
DROP INDEX heads_holder;
CREATE INDEX heads_holder ON heads (holder, agent) WHERE holder IS NOT NULL;
DROP INDEX heads_ready;
CREATE INDEX heads_ready ON heads (agent, key)
  WHERE parent IS NULL AND holder IS NULL AND asleep = 0 AND paused = 0 AND state IN ('submitted', 'working');
