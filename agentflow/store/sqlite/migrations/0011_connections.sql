-- Tokens that people got by signing in to other services, sealed; and who is about to sign in.
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
CREATE INDEX logins_expiry ON logins (expires_at);
