"""A runtime whose workers are other processes of this machine, which connect to a socket: for tests of any runtime."""
