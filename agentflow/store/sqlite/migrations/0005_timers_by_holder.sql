-- Who holds the tree of a timer, as in the head of its root: a host looks for its own, and for those that nobody has.
ALTER TABLE timers ADD COLUMN holder TEXT;
UPDATE timers SET holder = (SELECT h.holder FROM heads h WHERE h.key = timers.root);
DROP INDEX timers_due;
CREATE INDEX timers_due ON timers (holder, due);
