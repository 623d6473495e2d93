"""Demo: the main job, shown."""
