"""Many scenes."""
