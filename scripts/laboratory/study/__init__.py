"""Study: many runs, and what they say."""
