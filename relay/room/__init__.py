"""Room: one sequence of events for its members, and whether they got it."""
