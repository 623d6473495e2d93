"""Live state: the part of a member's music that exists in every scsynth at an instant. It can be built in
another scsynth."""
