"""Study: plans and makes many runs, and draws conclusions from them."""
