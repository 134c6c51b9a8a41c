-- What ended before what in a run: times can be equal, and clocks can be set back. 0: ended before this was kept.
ALTER TABLE steps ADD COLUMN ended_order INTEGER NOT NULL DEFAULT 0;
