"""Care of databases in files. Its door is `agentflow.store.care`."""
