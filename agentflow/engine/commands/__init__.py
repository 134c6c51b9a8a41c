"""What doors ask for: to start, to answer, to retry."""
