"""Laboratory: bad networks on purpose, and the study of jams over them."""
