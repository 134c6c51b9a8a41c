"""What only a database in a file has: a place in the file system, a log, other processes."""
