"""The default store: one SQLite file, several processes, every commit durable before anybody sees it; or in memory."""
