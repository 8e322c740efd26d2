"""Training: labelled sources, composites, assigner, losses, trainer. Nothing else in the library imports this room."""
