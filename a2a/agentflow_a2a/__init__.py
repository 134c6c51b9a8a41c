"""The A2A server: runs are tasks of the Agent2Agent protocol, and their waits are answered by messages."""
