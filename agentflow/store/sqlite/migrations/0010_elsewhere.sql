-- What turns of agents have begun elsewhere: it is ended there when the turn is over. Their states are in tasks.
CREATE TABLE elsewhere (
  turn TEXT PRIMARY KEY,      -- the turn's task
  agent TEXT NOT NULL,        -- of whom the run is
  type TEXT NOT NULL,         -- of the step
  step TEXT NOT NULL,
  state BLOB NOT NULL,
  ending TEXT NOT NULL        -- the turn reversed, as in tasks
) WITHOUT ROWID;
