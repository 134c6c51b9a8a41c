"""Connections: who we are towards other services. Tokens are fetched, kept sealed for their owner, and renewed."""
