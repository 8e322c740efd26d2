"""Find objects of a few pixels in large georeferenced images and hand them over as a vector layer."""

__version__ = "0.1.0"
