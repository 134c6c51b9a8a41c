"""The commands' signatures: what they are called, take and say in `--help`. What they do is imported when they run."""
