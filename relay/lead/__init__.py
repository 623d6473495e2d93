"""Lead: how far ahead a room plays, and what that is measured by."""
