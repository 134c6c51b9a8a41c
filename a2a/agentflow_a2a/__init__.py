"""Home of the A2A server and of A2A agents. They arrive in a later release: there is nothing to import yet."""
