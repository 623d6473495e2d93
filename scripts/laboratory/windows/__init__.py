"""Windows: lets genuine Sonic Pi windows play together in one room."""
