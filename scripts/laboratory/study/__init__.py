"""Study: many runs, and the results drawn from them."""
