"""Models of bad networks: they decide which datagrams are lost, delayed or duplicated."""
