"""One process that holds trees: what happens to them, planned and committed; slots, times, takeover, its end."""
