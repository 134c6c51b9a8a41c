-- Lists of one owner's runs, and of one conversation's.
CREATE INDEX heads_owner ON heads (owner, created_at) WHERE parent IS NULL;
CREATE INDEX heads_context ON heads (context_id, created_at) WHERE parent IS NULL;
