"""Boxes as columns of numbers: overlap, suppression, consensus."""
