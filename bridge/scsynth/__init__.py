"""scsynth: ids, samples and the tree of the scsynth that plays the jam."""
