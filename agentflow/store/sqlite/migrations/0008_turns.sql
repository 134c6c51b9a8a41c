-- An agent's turn is a task of its own, and what the agent gives is that task's. NULL: the run's own.
ALTER TABLE artifacts ADD COLUMN task TEXT;
