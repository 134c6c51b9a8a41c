-- What entries of attempts have used, by model: costs are in trillionths. The sum of a run and of those below it is in
-- the run, as JSON.
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
CREATE INDEX usage_root ON usage (root);
ALTER TABLE runs ADD COLUMN usage BLOB;
