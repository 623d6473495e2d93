"""Laboratory: tries jams on emulated bad networks, and writes the study about them."""
