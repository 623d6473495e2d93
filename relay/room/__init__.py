"""Room: puts its members' events into one sequence, and checks whether every member got it."""
