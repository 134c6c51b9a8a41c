"""The planner: pure. It changes a run's state in memory and notes what has to be stored; it does no I/O.

Each operation does one small thing and leaves what follows to `Tree.push`, so that neither a chain of skipped steps nor
deep nesting recurses. `drive.drain` carries operations out until nothing is left.
"""
