"""Windows: genuine Sonic Pi windows in one room."""
