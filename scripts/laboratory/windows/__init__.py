"""Windows: genuine Sonic Pi windows that play together in one room."""
