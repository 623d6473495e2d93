"""Laboratory: bad networks on purpose, and the study of what a jam makes of them."""
