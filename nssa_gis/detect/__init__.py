"""From a scene to a layer."""
