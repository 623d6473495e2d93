"""Models of bad networks: they decide which datagrams are lost or late."""
