"""What doors look at: runs, their steps, what changes."""
