"""Cost: measures the CPU time, memory and delay of a jam, and lets it play for hours."""
