"""Room: puts its members' events into one sequence, and checks that all members were handed the same one."""
