"""Labelled images in the formats of the field, read into one table."""
