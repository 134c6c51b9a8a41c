"""One attempt of a step: what it is given, what it may ask, and what it comes to."""
