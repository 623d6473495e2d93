"""scsynth: ids, samples and the node tree of the scsynth that plays the jam."""
