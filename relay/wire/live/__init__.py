"""Live state: what of a member's music exists in every scsynth at an instant, kept to build it elsewhere."""
