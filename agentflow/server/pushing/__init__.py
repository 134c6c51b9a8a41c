"""Sends changes of tasks to receivers that clients have named: from an outbox, apart from everything else."""
