"""Study: many runs, and the conclusions from them."""
